"""From a name in ``models/spec.py`` to its torch network: fresh, or with the weights of an exported file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError
from .checkpoint_file import DINOV2_NAMES, SAM_NAMES, check_state, describe_checkpoint, read_checkpoint
from .compact import CompactModel
from .dinov2 import SHAPES as DINOV2_SHAPES
from .dinov2 import Dinov2, build_dinov2
from .heads import build_head, load_head
from .layers import fold_batch_norm
from .onnx_file import read_onnx
from .sam import SHAPES as SAM_SHAPES
from .sam import SamPromptDecoder, build_sam
from .spec import COMPACT, DINOV2_PATCHES, SPECS, ModelSpec, model_spec

#: Endings of parameters that inference does not use, and that an exported file therefore lacks.
UNUSED = ("num_batches_tracked", "mask_token")


def build_network(name: str, settings: dict[str, Any] | None = None) -> torch.nn.Module:
    """Return the network ``name`` with fresh weights, in the form that is exported.

    Args:
        settings: what a head was built with, other than its defaults.

    Raises:
        ModelError: unknown name.
    """
    if name not in SPECS:
        raise ModelError(f"torch model: expected one of {', '.join(SPECS)}, got '{name}'")
    if model_spec(name) in COMPACT:
        return getattr(fold_batch_norm(CompactModel().eval()), name.removeprefix("compact_"))
    if name.endswith(("_hpg", "_hdnet")):
        return build_head(name, **(settings or {})).eval()
    family, part = name.rsplit("_", 1)
    if family.startswith("dinov2_"):
        return Dinov2(DINOV2_SHAPES[family.removeprefix("dinov2_")], DINOV2_PATCHES).eval()
    sam = build_sam(family.removeprefix("sam_"))
    return (sam.image_encoder if part == "encoder" else SamPromptDecoder(sam)).eval()


def load_reference(name: str, folder: str | Path) -> torch.nn.Module:
    """Return the torch network ``name`` with the weights of ``folder/<name>.onnx``.

    Raises:
        ModelError: unknown name; missing, damaged or foreign file.
    """
    path = Path(folder) / f"{name}.onnx"
    if name not in SPECS:
        raise ModelError(f"torch model: expected one of {', '.join(SPECS)}, got '{name}'")
    try:
        weights, settings = read_onnx(path)
        module = build_network(name, settings)
        module.load_state_dict({
            key: value if key.endswith(UNUSED) and key not in weights else torch.tensor(weights[key]).to(value.dtype)
            for key, value in module.state_dict().items()})
    except Exception as error:  # protobuf, onnx and torch raise many types for damaged files
        raise ModelError(f"weights {path}: expected those of {name}, got: {error!r}; "
                         f"re-install the package or export again: {model_spec(name).made_by}") from error
    return module.eval()


def example_inputs(spec: ModelSpec, prompts: int = 5) -> tuple[torch.Tensor, ...]:
    """Return zeros in the shapes of a network all of whose dimensions are numbers or M."""
    return tuple(torch.zeros([prompts if dim == "M" else int(dim) for dim in tensor.dims]) for tensor in spec.inputs)


def identify_checkpoint(path: str | Path) -> str:
    """Return what a usable checkpoint holds, in words, after checking every key and shape.

    Raises:
        ModelError: unreadable file, or one that no preset can use.
    """
    content = read_checkpoint(path)
    title = describe_checkpoint(content)
    if title in SPECS:
        load_head(path, title)
        return title
    for shapes, names, build in ((SAM_SHAPES, SAM_NAMES, build_sam), (DINOV2_SHAPES, DINOV2_NAMES, build_dinov2)):
        for variant, shape in shapes.items():
            if names[shape.width, shape.depth] == title:
                with torch.device("meta"):
                    check_state(path, content, build(variant).state_dict(), title)
                return title
    raise ModelError(f"checkpoint {path}: expected SAM, DINOv2 ViT-S/14, HPG or HDNet, got {title}; no preset uses it")
