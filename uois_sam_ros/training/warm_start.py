"""Go on from exported weights: put folded convolutions back under trainable batch norms."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..models.compact import CompactModel
from ..models.networks import load_reference
from ..models.layers import ConvBlock

PARTS = ("encoder", "decoder", "hdnet")


@torch.no_grad()
def warm_start(model: CompactModel, folder: str | Path, image: torch.Tensor, points: torch.Tensor) -> None:
    """Load the networks of a model folder into ``model``, in place.

    Export merged each batch norm into its convolution. Here the merged convolution is kept and its
    bias becomes a batch norm that changes nothing: mean and deviation of the given views, undone
    by its own scale and shift. In evaluation mode the model then equals the exported one; in
    training mode it differs only as far as a batch differs from these views.

    Args:
        folder: holds ``compact_*.onnx``.
        image: float32[B, 13, h, w] network input of real views; more of them give better statistics.
        points: float32[M, 2] prompts on the working grid, for norms inside the decoder.

    Raises:
        ModelError: missing, damaged or foreign file.
    """
    shifts: dict[nn.Module, torch.Tensor] = {}
    for part in PARTS:
        folded = load_reference(f"compact_{part}", folder).state_dict()
        own = getattr(model, part)
        blocks = {name: block for name, block in own.named_modules() if isinstance(block, ConvBlock)}
        for name, block in blocks.items():
            prefix = f"{name}." if name else ""
            shifts[block[1]] = folded.pop(f"{prefix}0.bias")
        missing, unexpected = own.load_state_dict(folded, strict=False)
        norms = {f"{name}.1" if name else "1" for name in blocks}
        assert not unexpected and all(key.rpartition(".")[0] in norms for key in missing)
    hooks = [norm.register_forward_pre_hook(_neutralise(shift)) for norm, shift in shifts.items()]
    model.eval()
    features = model.encoder(image)
    model.decoder(*(value[:1] for value in features[:4]), points)
    for hook in hooks:
        hook.remove()
    model.train()


def _neutralise(shift: torch.Tensor):
    """Return a hook that makes a batch norm add ``shift`` and nothing else, whatever its input's spread."""

    def hook(norm: nn.BatchNorm2d, inputs: tuple[torch.Tensor, ...]) -> None:
        mean, variance = inputs[0].mean(dim=(0, 2, 3)), inputs[0].var(dim=(0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(shift + mean)

    return hook
