"""Names, dtypes and dimensions of every network's tensors, in one place.

Export, the backends, the manifest and the parity tests read them here; nobody else spells them.
Dimensions are letters: M prompts, H hypotheses, C token width, h x w the working grid; numbers are fixed.
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
        kind: encoder, head (an encoder that reads feature maps instead of an image), decoder or rescorer.
        input_kind: for encoders and heads, the name in ``encoding/kinds.py`` that builds the image and places the maps.
        stride: padding multiple an encoder needs.
        maps: outputs that are pictures of the scene, which ``place`` brings to the working grid; the other outputs
            go to the networks that read them as they are.
        made_by: the command that makes the file.
    """

    name: str
    kind: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    input_kind: str = ""
    stride: int = 1
    maps: tuple[str, ...] = ()
    made_by: str = "uois-sam train export"

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
    name="compact_encoder", kind="encoder", input_kind="rgbd", stride=16, maps=("foreground", "heatmap"),
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

COMPACT = (COMPACT_ENCODER, COMPACT_DECODER, COMPACT_HDNET)

#: Names of SAM's image encoders -> side of their input in pixels. "tiny" is our own, for tests and for training on
#: a processor: an eighth of the cost at half the side.
SAM_SIZES = {"vit_b": 1024, "vit_l": 1024, "vit_h": 1024, "tiny": 512}
#: Pixels of SAM's input that a pixel of its masks, and so of the working grid, stands for.
SAM_CELL = 4
#: Ending of the names of networks that see of SAM's square no more than a 4:3 picture fills, and the share of its rows
#: (above, below the line).
CUT, CUT_ROWS = "_4x3", (3, 4)
#: Names of DINOv2 backbones -> channels of their patch features.
DINOV2_WIDTHS = {"vits14": 384, "tiny": 96}
#: Pixels of DINOv2's input and their patches of 14x14 (h, w).
DINOV2_HW, DINOV2_PATCHES = (336, 448), (24, 32)
EXPORT = "uois-sam export --preset PRESET --sam FILE --dinov2 FILE --hpg FILE --hdnet FILE --out DIR"


def _hpg(name: str, features: TensorSpec, input_kind: str, hw: tuple[int, int]) -> ModelSpec:
    outputs = tuple(TensorSpec(output, (1, 1, *hw)) for output in ("hpg_foreground", "hpg_heatmap"))
    return ModelSpec(name, "head", (features,), outputs, input_kind, maps=("hpg_foreground", "hpg_heatmap"),
                     made_by=EXPORT)


def sam_input_hw(variant: str) -> tuple[int, int]:
    """Return the (h, w) of the input of a SAM variant, such as vit_l or vit_l_4x3."""
    side = SAM_SIZES[variant.removesuffix(CUT)]
    return (side * CUT_ROWS[0] // CUT_ROWS[1] if variant.endswith(CUT) else side, side)


def sam_specs(variant: str) -> tuple[ModelSpec, ...]:
    """Return SAM's image encoder, the HPG on its embedding, its mask decoder and HDNet for one variant.

    The decoder's points are on the working grid, which is the top left part of its masks. A variant that ends in
    ``CUT`` is an encoder and a decoder; HDNet's is that of the whole square.
    """
    name, (height, width) = f"sam_{variant}", sam_input_hw(variant)
    masks_hw = (height // SAM_CELL, width // SAM_CELL)
    embedding = TensorSpec("image_embedding", (1, 256, height // 16, width // 16))
    iou = TensorSpec(IOU.name, ("M", 4))
    tokens = (TensorSpec(MASK_TOKENS.name, ("M", 4, 256)), TensorSpec(IOU_TOKEN.name, ("M", 256)))
    cut = variant.endswith(CUT)
    encoder = ModelSpec(f"{name}_encoder", "encoder", (TensorSpec("image", (1, 3, height, width)),), (embedding,),
                        f"sam{CUT}" if cut else "sam", stride=4, made_by=EXPORT)
    decoder = ModelSpec(f"{name}_decoder", "decoder", (embedding, POINTS),
                        (TensorSpec(MASKS.name, ("M", 4, *masks_hw)), iou, *tokens), made_by=EXPORT)
    if cut:
        return encoder, decoder
    return (
        encoder,
        _hpg(f"{name}_hpg", embedding, "sam", masks_hw),
        decoder,
        ModelSpec(f"{name}_hdnet", "rescorer", (*tokens, iou), (TensorSpec(SCORES.name, ("M", 4)),), made_by=EXPORT),
    )


def dinov2_specs(variant: str) -> tuple[ModelSpec, ...]:
    """Return DINOv2's backbone and the HPG on its patch features for one variant."""
    name = f"dinov2_{variant}"
    features = TensorSpec("patch_features", (1, DINOV2_WIDTHS[variant], *DINOV2_PATCHES))
    image = TensorSpec("image", (1, 3, *DINOV2_HW))
    return (ModelSpec(f"{name}_encoder", "encoder", (image,), (features,), "dinov2", made_by=EXPORT),
            _hpg(f"{name}_hpg", features, "dinov2", DINOV2_HW))


SPECS: dict[str, ModelSpec] = {spec.name: spec for spec in (
    *COMPACT, *(spec for variant in SAM_SIZES for cut in ("", CUT) for spec in sam_specs(variant + cut)),
    *(spec for variant in DINOV2_WIDTHS for spec in dinov2_specs(variant)))}


def model_spec(name: str) -> ModelSpec:
    """Return the spec of a known network.

    Raises:
        ModelError: unknown name.
    """
    if name not in SPECS:
        raise ModelError(f"model: expected one of {', '.join(sorted(SPECS))}, got '{name}'")
    return SPECS[name]
