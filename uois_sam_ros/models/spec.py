"""Names, dtypes and dimensions of every network's tensors, in one place.

Export, the backends, the manifest and the parity tests read them here; nobody else spells them.
Dimensions are letters: M prompts, H hypotheses, C token width, h x w the working grid.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ModelError


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: name, dtype and dimensions (ints are fixed, letters dynamic)."""

    name: str
    dims: tuple[int | str, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class ModelSpec:
    """One network.

    Attributes:
        kind: encoder, decoder or rescorer.
        input_kind: for encoders, which network input the transform builds ("rgbd").
        stride: padding multiple an encoder needs.
    """

    name: str
    kind: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    input_kind: str = ""
    stride: int = 1

    @property
    def input_names(self) -> tuple[str, ...]:
        return tuple(tensor.name for tensor in self.inputs)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(tensor.name for tensor in self.outputs)


PIXEL = TensorSpec("pixel", (1, "Cp", "h/2", "w/2"))
MIDDLE = TensorSpec("middle", (1, "Cm", "h/4", "w/4"))
CONTEXT = TensorSpec("context", (1, "Cc", "h/16", "w/16"))
FOREGROUND = TensorSpec("foreground", (1, 1, "h/2", "w/2"))
HEATMAP = TensorSpec("heatmap", (1, 1, "h/2", "w/2"))
POINTS = TensorSpec("points", ("M", 2))
MASKS = TensorSpec("low_res_masks", ("M", "H", "h", "w"))
IOU = TensorSpec("iou_predictions", ("M", "H"))
MASK_TOKENS = TensorSpec("mask_tokens", ("M", "H", "C"))
IOU_TOKEN = TensorSpec("iou_token", ("M", "C"))
SCORES = TensorSpec("scores", ("M", "H"))

COMPACT_ENCODER = ModelSpec(
    name="compact_encoder", kind="encoder", input_kind="rgbd", stride=16,
    inputs=(TensorSpec("image", (1, 13, "h", "w")),),
    outputs=(PIXEL, MIDDLE, CONTEXT, FOREGROUND, HEATMAP),
)
COMPACT_DECODER = ModelSpec(
    name="compact_decoder", kind="decoder",
    inputs=(PIXEL, MIDDLE, CONTEXT, FOREGROUND, POINTS),
    outputs=(MASKS, IOU, MASK_TOKENS, IOU_TOKEN),
)
COMPACT_HDNET = ModelSpec(
    name="compact_hdnet", kind="rescorer",
    inputs=(MASK_TOKENS, IOU_TOKEN, IOU),
    outputs=(SCORES,),
)

SPECS: dict[str, ModelSpec] = {
    spec.name: spec for spec in (COMPACT_ENCODER, COMPACT_DECODER, COMPACT_HDNET)
}


def model_spec(name: str) -> ModelSpec:
    """Return the spec of a known network.

    Raises:
        ModelError: unknown name.
    """
    if name not in SPECS:
        raise ModelError(f"model: expected one of {', '.join(sorted(SPECS))}, got '{name}'")
    return SPECS[name]
