"""COCO's run-length code of a mask, exactly as pycocotools reads and writes it, on numpy alone.

Runs of 0 and 1 alternate, column by column, beginning with 0. The text form stores each run as the difference to the
one two before it, in groups of five bits, six bits a character.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError

_FIRST_CHARACTER = 48
_MORE, _SIGN, _BITS = 0x20, 0x10, 5


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Encode bool[H, W] as ``{"size": [H, W], "counts": text}``."""
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], turns, [flat.size]]).astype(np.int64)
    runs = np.diff(edges)
    if flat.size and flat[0]:
        runs = np.concatenate([[0], runs])
    return {"size": [int(side) for side in mask.shape], "counts": _to_text(runs)}


def decode_mask(code: dict[str, Any], what: str) -> np.ndarray:
    """Decode a run-length code, text or list of runs, into bool[H, W].

    Raises:
        InputError: not a code, or its runs do not add up to its size.
    """
    try:
        height, width = (int(side) for side in code["size"])
        counts = code["counts"]
        runs = _from_text(counts) if isinstance(counts, (str, bytes)) else np.asarray(counts, dtype=np.int64)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{what}: expected a run-length code with size and counts, got {_short(code)}; export the "
                         "annotations again") from error
    if runs.ndim != 1 or height < 0 or width < 0 or (runs < 0).any() or runs.sum() != height * width:
        raise InputError(f"{what}: expected runs that add up to {width}x{height} pixels, got {int(np.sum(runs))}; the "
                         "annotation is damaged, export it again")
    values = np.zeros(len(runs), dtype=bool)
    values[1::2] = True
    return np.repeat(values, runs).reshape((height, width), order="F")


def _to_text(runs: Sequence[int] | np.ndarray) -> str:
    rest = np.asarray(runs, dtype=np.int64).copy()
    rest[3:] -= np.asarray(runs, dtype=np.int64)[1:-2]
    characters = []
    going = np.ones(len(rest), dtype=bool)
    while going.any():
        bits = rest & (_MORE - 1)
        rest = rest >> _BITS
        more = np.where(bits & _SIGN, rest != -1, rest != 0)
        characters.append(np.where(going, bits + np.where(more, _MORE, 0) + _FIRST_CHARACTER, 0))
        going &= more
    if not characters:
        return ""
    table = np.stack(characters, axis=1).astype(np.uint8)
    return table[table > 0].tobytes().decode("ascii")


def _from_text(text: str | bytes) -> np.ndarray:
    raw = text.encode("ascii") if isinstance(text, str) else text
    values = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - _FIRST_CHARACTER
    if values.size == 0:
        return values
    if values.min() < 0 or values.max() > 63 or values[-1] & _MORE:
        raise ValueError("characters outside of the code, or an unfinished number")
    last = np.flatnonzero(values & _MORE == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(len(values)) - np.repeat(first, last - first + 1)
    runs = np.add.reduceat((values & (_MORE - 1)) << (_BITS * np.minimum(place, 11)), first)
    negative = (values[last] & _SIGN) > 0
    runs -= np.where(negative, np.int64(1) << (_BITS * np.minimum(last - first + 1, 11)), 0)
    runs[1::2] = np.cumsum(runs[1::2])  # each run was stored as its difference to the one two before it,
    runs[2::2] = np.cumsum(runs[2::2])  # the first three as they are
    return runs


def _short(code: Any) -> str:
    text = repr(code)
    return text if len(text) <= 60 else text[:57] + "..."
