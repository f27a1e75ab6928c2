"""Synthetic RGB-D scenes: shapes, physics, rendering, depth sensors and shards on disk.

Only training and data generation import this package; the run path never does.
"""
