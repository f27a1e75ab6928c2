"""Weight files: reading them without running code from them, telling what they hold, refusing the wrong ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..errors import ModelError

#: (channels, blocks) of the image encoder -> name.
SAM_NAMES = {(768, 12): "SAM ViT-B", (1024, 24): "SAM ViT-L", (1280, 32): "SAM ViT-H", (96, 4): "SAM tiny"}
DINOV2_NAMES = {(384, 12): "DINOv2 ViT-S/14", (768, 12): "DINOv2 ViT-B/14", (1024, 24): "DINOv2 ViT-L/14",
                (1536, 40): "DINOv2 ViT-g/14", (96, 4): "DINOv2 tiny"}
#: Names of keys in a message.
SHOWN = 3


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Return the mapping that a ``.pth`` file holds.

    Raises:
        ModelError: missing, truncated, no checkpoint, or one that would run code.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"checkpoint {path}: expected a file, got {'a folder' if path.is_dir() else 'none'}; "
                         "'uois-sam weights list' tells where the official ones are")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for damaged and foreign files
        raise ModelError(f"checkpoint {path}: expected weights that torch can read ({path.stat().st_size} bytes here), "
                         f"got: {_first_line(error)}; it is truncated or no checkpoint: get it again, or compare it "
                         "with 'uois-sam weights check'") from error
    if not isinstance(content, dict):
        raise ModelError(f"checkpoint {path}: expected a mapping of names to tensors, got {type(content).__name__}; "
                         "use an official file or one that this package wrote")
    return content


def describe_checkpoint(content: Mapping[str, Any]) -> str:
    """Return what a checkpoint holds, in words."""
    if "network" in content and "state" in content:
        return str(content["network"])
    if "format" in content and "model" in content:
        return "a training checkpoint of this package"
    inner = content.get("model", content)
    if isinstance(inner, Mapping) and "image_encoder.trunk.pos_embed" in inner:
        return "SAM 2"
    if "model" in content:
        return "a wrapped checkpoint"
    if "image_encoder.patch_embed.seq.0.c.weight" in content:
        return "MobileSAM"
    if "mask_decoder.hf_token.weight" in content:
        return "SAM-HQ"
    if "image_encoder.pos_embed" in content:
        return _name(SAM_NAMES, "a SAM", content["image_encoder.pos_embed"], content, r"image_encoder\.blocks\.(\d+)\.")
    if {"pos_embed", "cls_token", "mask_token"} <= set(content):
        name = _name(DINOV2_NAMES, "a DINOv2", content["pos_embed"], content, r"blocks\.(?:\d+\.)?(\d+)\.norm1")
        return f"{name} with registers" if "register_tokens" in content else name
    return f"an unknown network with {len(content)} entries ({_some(content)})"


def check_state(path: str | Path, content: Mapping[str, Any], expected: Mapping[str, torch.Tensor], title: str) -> None:
    """Raise ModelError unless the checkpoint has exactly the keys and shapes of ``expected``.

    Args:
        title: what is wanted, in the words of ``describe_checkpoint``.
    """
    found = describe_checkpoint(content)
    if found != title:
        short = found.removeprefix("SAM ").removeprefix("DINOv2 "), title.removeprefix("SAM ").removeprefix("DINOv2 ")
        raise ModelError(f"checkpoint {path}: expected {title}, got {found}: this is {short[0]}, the preset wants "
                         f"{short[1]}; give the other file or choose the preset that fits it")
    missing, extra = [k for k in expected if k not in content], [k for k in content if k not in expected]
    if missing or extra:
        raise ModelError(f"checkpoint {path}: expected the {len(expected)} tensors of {title}, got {len(missing)} "
                         f"missing ({_some(missing)}) and {len(extra)} unexpected ({_some(extra)}); use the official "
                         "file, unchanged")
    odd = [f"{key} {tuple(content[key].shape)} instead of {tuple(tensor.shape)}" for key, tensor in expected.items()
           if content[key].shape != tensor.shape]
    if odd:
        raise ModelError(f"checkpoint {path}: expected the shapes of {title}, got {_some(odd)}; use the official file, "
                         "unchanged")


def _name(names: Mapping[tuple[int, int], str], family: str, embedding: torch.Tensor, content: Mapping[str, Any],
          block: str) -> str:
    blocks = [int(found.group(1)) for key in content if (found := re.match(block, key))]
    size = int(embedding.shape[-1]), max(blocks, default=-1) + 1
    return names.get(size, f"{family} of {size[0]} channels and {size[1]} blocks")


def _some(names: Any) -> str:
    names = list(names)
    return ", ".join(map(str, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "") or "none"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
