"""Write networks as ONNX files: the compact model, and those of the paper's presets.

The compact model's weights are rounded to fp16 before export and stored as fp16 (half the size); the networks compute
in fp32. Official weights stay as they are.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from .compact import CompactModel
from .layers import fold_batch_norm
from .networks import example_inputs
from .onnx_file import EXTERNAL_BYTES, write_onnx
from .spec import COMPACT_DECODER, COMPACT_ENCODER, COMPACT_HDNET, model_spec


def prepare(model: CompactModel) -> CompactModel:
    """Fold batch norms and round every weight to the nearest fp16 number (kept as fp32), in place."""
    fold_batch_norm(model.eval())
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.dtype.is_floating_point:
                value.copy_(value.half().float())
    return model


def export_compact(model: CompactModel, folder: str | Path) -> dict[str, Path]:
    """Export encoder, decoder and HDNet; return spec name -> file.

    The model must have gone through ``prepare``.
    """
    folder, model = Path(folder), model.eval()
    image = torch.zeros(1, 13, 240, 320)
    with torch.no_grad():
        features = model.encoder(image)
        decoded = model.decoder(*features[:4], torch.full((5, 2), 40.0))
    rows, cols = torch.export.Dim("h16", min=6, max=120), torch.export.Dim("w16", min=6, max=120)
    at = lambda stride: {2: (16 // stride) * rows, 3: (16 // stride) * cols}
    prompts = {0: torch.export.Dim("M", min=1, max=4096)}
    points = torch.full((5, 2), 40.0)
    jobs = (
        (COMPACT_ENCODER, model.encoder, (image,), (at(1),)),
        (COMPACT_DECODER, model.decoder, (*features[:4], points), (at(2), at(4), at(16), at(2), prompts)),
        (COMPACT_HDNET, model.hdnet, (decoded[2], decoded[3], decoded[1]), (prompts, prompts, prompts)),
    )
    return {spec.name: write_onnx(spec, module, inputs, shapes, folder, half=True)
            for spec, module, inputs, shapes in jobs}


def export_network(name: str, module: torch.nn.Module, folder: str | Path, *, settings: dict[str, Any] | None = None,
                   external_bytes: int = EXTERNAL_BYTES) -> Path:
    """Export one network of the paper's presets, whose dimensions are fixed but for the number of prompts.

    Args:
        settings: of a head, for reading it back.
        external_bytes: weights above this size go to a file of their own.
    """
    spec = model_spec(name)
    inputs, prompts = example_inputs(spec), torch.export.Dim("M", min=1, max=4096)
    shapes = tuple({k: prompts for k, dim in enumerate(tensor.dims) if dim == "M"} for tensor in spec.inputs)
    return write_onnx(spec, module.eval(), inputs, shapes, Path(folder), settings=settings,
                      external_bytes=external_bytes)
