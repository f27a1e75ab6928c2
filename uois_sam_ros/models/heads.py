"""HPG and HDNet on frozen features: building them by name, and the checkpoints that training writes.

A checkpoint is a mapping: "network" is the name in ``models/spec.py``, which tells the features it was trained on;
"settings" the arguments it was built with; "state" its weights; "facts" anything worth remembering, as JSON values.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import ModelError
from .checkpoint_file import describe_checkpoint, read_checkpoint
from .hdnet import HDNet
from .hpg import HPG, HpgSettings
from .spec import MASK_TOKENS, model_spec


def build_head(name: str, **settings: Any) -> nn.Module:
    """Return a fresh HPG or HDNet for the features that ``name`` stands for.

    Args:
        name: "<features>_hpg" or "<features>_hdnet", such as dinov2_vits14_hpg or sam_vit_l_hdnet.
        settings: other than the defaults, as in ``HpgSettings`` and ``HDNet``.

    Raises:
        ModelError: a name without such a network, or unknown settings.
    """
    spec = model_spec(name)
    try:
        if name.endswith("_hpg"):
            _, channels, *hw = spec.inputs[0].dims
            shape = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
            return HPG(HpgSettings(channels, tuple(hw), tuple(spec.outputs[0].dims[2:]), **shape))
        if name.startswith("sam_") and name.endswith("_hdnet"):
            (tokens,) = (tensor for tensor in spec.inputs if tensor.name == MASK_TOKENS.name)
            return HDNet(int(tokens.dims[2]), **settings)
    except TypeError as error:
        raise ModelError(f"{name}: expected the settings of this network, got {settings}: {error}") from error
    raise ModelError(f"head: expected <features>_hpg or sam_<variant>_hdnet, got '{name}'")


def head_settings(module: nn.Module) -> dict[str, Any]:
    """Return the arguments with which ``build_head`` makes such a module again, as JSON values."""
    if isinstance(module, HPG):
        kept = asdict(module.settings)
        return {"width": kept["width"], "widths": list(kept["widths"])}
    return {"hidden": module.mlp.layers[0].out_features, "dropout": module.dropout.p}


def save_head(path: str | Path, name: str, module: nn.Module, facts: dict[str, Any] | None = None) -> None:
    """Write a checkpoint; a kill while writing leaves the old file whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    torch.save({"network": name, "settings": head_settings(module), "state": module.state_dict(),
                "facts": facts or {}}, draft)
    os.replace(draft, path)


def load_head(path: str | Path, name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return the head ``name`` of a checkpoint, in inference mode, and its facts.

    Raises:
        ModelError: unreadable file, another network or one for other features, weights that do not fit.
    """
    content = read_checkpoint(path)
    if content.get("network") != name:
        raise ModelError(f"checkpoint {path}: expected {name}, got {describe_checkpoint(content)}; give the file that "
                         "was trained for this network and these features")
    module = build_head(name, **content.get("settings", {}))
    try:
        module.load_state_dict(content["state"])
    except (KeyError, RuntimeError) as error:
        got = " ".join(str(error).split())[:200]
        raise ModelError(f"checkpoint {path}: expected the weights of {name}, got: {got}; train it again") from error
    return module.eval(), dict(content.get("facts", {}))
