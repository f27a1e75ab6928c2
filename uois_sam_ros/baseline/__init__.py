"""Segmentation without learning, to measure the networks against."""

from .geometry import segment_geometry

__all__ = ["segment_geometry"]
