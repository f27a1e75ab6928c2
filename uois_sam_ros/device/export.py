"""Write a device stage as an ONNX file, all sizes fixed, for TensorRT and ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..models.onnx_file import write_onnx
from ..models.spec import ModelSpec, TensorSpec


def export_stage(name: str, module: nn.Module, inputs: dict[str, torch.Tensor], output_names: tuple[str, ...],
                 folder: str | Path) -> Path:
    """Export a module as ``folder/<name>.onnx``.

    Args:
        module: takes tensors by position and returns a tuple of tensors.
        inputs: examples by name, in the order of the arguments; their shapes, cameras included, are those of the file.
        output_names: of the results, in order.
    """
    tensors = tuple(TensorSpec(key, tuple(value.shape), str(value.dtype).removeprefix("torch."))
                    for key, value in inputs.items())
    spec = ModelSpec(name, "stage", tensors, tuple(TensorSpec(key, ()) for key in output_names))
    return write_onnx(spec, module.eval(), tuple(inputs.values()), tuple({} for _ in inputs), Path(folder))
