"""SAM from the ``segment-anything`` package's own classes: building, loading, and its mask decoder as one module.

The package imports torchvision for pictures that we prepare ourselves, and torchvision has no build for every
machine. Its network classes need only torch, so they are imported past the package's own ``__init__``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from ..errors import BackendError, ModelError
from .checkpoint_file import SAM_NAMES, check_state, read_checkpoint
from .spec import CUT, SAM_CELL, SAM_SIZES, sam_input_hw

PACKAGE = "segment_anything"
#: SAM's patch side in pixels, and the width of its embedding and tokens.
PATCH, WIDTH = 16, 256
MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


@dataclass(frozen=True)
class SamShape:
    """An image encoder: channels, blocks, heads, the blocks that attend globally, the window of the others."""

    width: int
    depth: int
    heads: int
    global_blocks: tuple[int, ...]
    window: int = 14


SHAPES = {
    "vit_b": SamShape(768, 12, 12, (2, 5, 8, 11)),
    "vit_l": SamShape(1024, 24, 16, (5, 11, 17, 23)),
    "vit_h": SamShape(1280, 32, 16, (7, 15, 23, 31)),
    "tiny": SamShape(96, 4, 3, (1, 3), window=8),
}


def sam_classes() -> ModuleType:
    """Return the package's ``modeling`` module, whether or not torchvision is installed.

    Raises:
        BackendError: the package is not installed.
    """
    if PACKAGE in sys.modules:
        return importlib.import_module(f"{PACKAGE}.modeling")
    found = importlib.util.find_spec(PACKAGE)
    if found is None:
        raise BackendError("SAM: expected the package segment-anything, got none; pip install segment-anything==1.0 "
                           "(torchvision is not needed)")
    bare = ModuleType(PACKAGE)
    bare.__path__ = list(found.submodule_search_locations or [])
    sys.modules[PACKAGE] = bare
    try:
        return importlib.import_module(f"{PACKAGE}.modeling")
    finally:
        del sys.modules[PACKAGE]  # a later "import segment_anything" is the real one


def build_sam(variant: str) -> nn.Module:
    """Return the package's ``Sam`` with fresh weights.

    Args:
        variant: vit_b, vit_l, vit_h, or tiny, our own stand-in; with ``CUT`` behind it, see ``cut``.

    Raises:
        ModelError: unknown variant. BackendError: the package is not installed.
    """
    if variant.endswith(CUT):
        return cut(build_sam(variant.removesuffix(CUT)), variant)
    if variant not in SHAPES:
        raise ModelError(f"SAM: expected one of {', '.join(SHAPES)}, got '{variant}'")
    classes, shape, side = sam_classes(), SHAPES[variant], SAM_SIZES[variant]
    cells = side // PATCH
    encoder = classes.ImageEncoderViT(
        img_size=side, patch_size=PATCH, embed_dim=shape.width, depth=shape.depth, num_heads=shape.heads, mlp_ratio=4,
        out_chans=WIDTH, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6), use_rel_pos=True,
        window_size=shape.window, global_attn_indexes=shape.global_blocks)
    prompts = classes.PromptEncoder(embed_dim=WIDTH, image_embedding_size=(cells, cells),
                                    input_image_size=(side, side), mask_in_chans=16)
    decoder = classes.MaskDecoder(
        num_multimask_outputs=3, transformer_dim=WIDTH, iou_head_depth=3, iou_head_hidden_dim=256,
        transformer=classes.TwoWayTransformer(depth=2, embedding_dim=WIDTH, mlp_dim=2048, num_heads=8))
    return classes.Sam(encoder, prompts, decoder, pixel_mean=MEAN, pixel_std=STD).eval()


def load_sam(path: str | Path, variant: str) -> nn.Module:
    """Return ``build_sam(variant)`` with the weights of an official-format checkpoint.

    Raises:
        ModelError: unreadable file, another variant or network, missing or unexpected tensors.
        BackendError: the package is not installed.
    """
    if variant.endswith(CUT):
        return cut(load_sam(path, variant.removesuffix(CUT)), variant)
    with torch.device("meta"):  # no time or memory for weights that are replaced at once
        sam = build_sam(variant)
    state = read_checkpoint(path)
    check_state(path, state, sam.state_dict(), SAM_NAMES[SHAPES[variant].width, SHAPES[variant].depth])
    sam.load_state_dict(state, assign=True)
    for name, values in (("pixel_mean", MEAN), ("pixel_std", STD)):  # not part of the checkpoint
        setattr(sam, name, torch.tensor(values).view(-1, 1, 1))
    return sam.eval()


def cut(sam: Any, variant: str) -> Any:
    """Make the image encoder of a ``Sam`` one for the upper part of its square, in place; return the ``Sam``.

    The official modules then run on fewer rows: their position embeddings are cut, and of the relative positions of the
    blocks that attend globally those that still occur are kept (SAM itself would stretch the table). The one difference
    to SAM on the square: tokens of the empty rest no longer attend and are no longer attended to.
    """
    cells_hw = tuple(side // PATCH for side in sam_input_hw(variant))
    encoder = sam.image_encoder
    encoder.pos_embed = nn.Parameter(encoder.pos_embed[:, :cells_hw[0], :cells_hw[1]].clone())
    for block in encoder.blocks:
        if block.window_size == 0:
            for name, cells in zip(("rel_pos_h", "rel_pos_w"), cells_hw):
                table = getattr(block.attn, name)
                beyond = (len(table) - (2 * cells - 1)) // 2
                setattr(block.attn, name, nn.Parameter(table[beyond:len(table) - beyond].clone()))
    return sam


class SamPromptDecoder(nn.Module):
    """SAM's prompt encoder and mask decoder as one network: foreground points in, four masks and the tokens out.

    Args:
        sam: a ``Sam``; its modules are shared, not copied.
    """

    def __init__(self, sam: Any) -> None:
        super().__init__()
        prompts = sam.prompt_encoder
        self.position, self.point = prompts.pe_layer, prompts.point_embeddings[1]
        self.no_point, self.no_mask = prompts.not_a_point_embed, prompts.no_mask_embed
        self.mask_decoder = sam.mask_decoder
        self.square_hw, self.side = prompts.image_embedding_size, prompts.input_image_size[0]
        self.cells_hw = tuple(sam.image_encoder.pos_embed.shape[1:3])

    def forward(self, image_embedding: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Decode M prompts on one image.

        Args:
            image_embedding: float32[1, 256, e, e].
            points: float32[M, 2], (x, y) on the working grid, whose pixel is four of SAM's input.

        Returns:
            low_res_masks [M, 4, 4e, 4e] logits, iou_predictions [M, 4], mask_tokens [M, 4, 256], iou_token [M, 256].
        """
        source, position = (values.expand(points.shape[0], -1, -1, -1)
                            for values in (self.without_mask(image_embedding), self.dense_position()))
        return self.decode(source, position, self.embed_points(points))

    def batched(self, image_embedding: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Decode P prompts on each of B images.

        Positions are computed in their own precision, whatever ``torch.autocast`` says.

        Args:
            image_embedding: float32[B, 256, e, e].
            points: float32[B, P, 2], as in ``forward``.

        Returns:
            What ``forward`` does, with [B, P] in the place of M.
        """
        front = points.shape[:2]
        source = self.without_mask(image_embedding)[:, None].expand(-1, front[1], -1, -1, -1).flatten(0, 1)
        with torch.autocast(points.device.type, enabled=False):
            embedded = self.embed_points(points.flatten(0, 1))
            position = self.dense_position().expand(source.shape[0], -1, -1, -1)
        return tuple(values.unflatten(0, front) for values in self.decode(source, position, embedded))

    def decode(self, source: torch.Tensor, position: torch.Tensor,
               embedded: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Decode M prompts, each on its own image.

        Args:
            source: float32[M, 256, e, e] from ``without_mask``; position: float32[M, 256, e, e] from
                ``dense_position``; embedded: float32[M, 2, 256] from ``embed_points``.
        """
        decoder = self.mask_decoder
        output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([output.expand(embedded.shape[0], -1, -1), embedded], dim=1)
        hidden, image = decoder.transformer(source, position, tokens)
        iou_token, mask_tokens = hidden[:, 0], hidden[:, 1:1 + decoder.num_mask_tokens]
        pixels = decoder.output_upscaling(image.transpose(1, 2).unflatten(2, self.cells_hw))
        kernels = torch.stack([mlp(mask_tokens[:, index])
                               for index, mlp in enumerate(decoder.output_hypernetworks_mlps)], dim=1)
        masks = (kernels @ pixels.flatten(2)).unflatten(2, tuple(pixels.shape[-2:]))
        return masks, decoder.iou_prediction_head(iou_token), mask_tokens, iou_token

    def without_mask(self, image_embedding: torch.Tensor) -> torch.Tensor:
        """Return the embedding [B, 256, e, e] with SAM's sign for "no mask was given" added."""
        return image_embedding + self.no_mask.weight.reshape(1, -1, 1, 1)

    def dense_position(self) -> torch.Tensor:
        """Return the embedding [1, 256, e, e] of every cell's place in SAM's square."""
        return self.position(self.square_hw)[None, :, :self.cells_hw[0], :self.cells_hw[1]]

    def embed_points(self, points: torch.Tensor) -> torch.Tensor:
        """Return the sparse embedding [M, 2, 256]: the point, and the padding point that SAM adds where no box is.

        The centre of working pixel x is SAM's input pixel 4 (x + 0.5) - 0.5; SAM itself then adds 0.5.
        """
        unit = (points + 0.5) * (SAM_CELL / self.side)
        clicked = self.position._pe_encoding(unit[:, None]) + self.point.weight
        return torch.cat([clicked, self.no_point.weight.expand(points.shape[0], 1, -1)], dim=1)
