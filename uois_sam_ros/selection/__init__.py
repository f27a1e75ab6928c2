"""MaskSet -> Instances: best hypothesis, limits, plane veto, mask NMS, overlap-free painting."""

from .select import select

__all__ = ["select"]
