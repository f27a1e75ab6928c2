"""Data sets on disk. ``shards`` is the format that generation writes and training and replay read."""
