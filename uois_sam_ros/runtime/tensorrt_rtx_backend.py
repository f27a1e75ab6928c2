"""TensorRT for RTX: a product of its own for RTX desktops, installed by pip; not for a Jetson, nor for data centres."""

from __future__ import annotations

from .tensorrt_api import TENSORRT_RTX
from .tensorrt_backend import TensorRtBackend


class TensorRtRtxBackend(TensorRtBackend):
    """The same builder and runner; its kernels are compiled on the GPU when the engine is opened."""

    flavour = TENSORRT_RTX
    versions = (1,)
