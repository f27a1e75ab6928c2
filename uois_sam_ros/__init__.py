"""Unseen object instance segmentation for robots: RGB-D in, one mask per object out."""

from __future__ import annotations

from .config import SegmenterConfig, load_config
from .types import Frame, Instances, Intrinsics

__version__ = "0.1.0"
__all__ = ["Frame", "Instances", "Intrinsics", "Segmenter", "SegmenterConfig", "load_config", "__version__"]


def __getattr__(name: str):
    """Import the pipeline on first use, so that ``import uois_sam_ros`` needs numpy alone."""
    if name == "Segmenter":
        from .pipeline import Segmenter

        return Segmenter
    raise AttributeError(f"module 'uois_sam_ros' has no attribute '{name}'")
