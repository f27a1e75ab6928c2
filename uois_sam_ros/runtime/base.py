"""What every backend offers, and the check of arrays against a model's spec."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..errors import ModelError
from ..models.spec import ModelSpec, TensorSpec


class Model(Protocol):
    """A loaded network.

    Attributes:
        spec: names, dtypes and dimensions of its tensors.
        metadata: the facts of its manifest entry (preset, parameters, scores, ...).
    """

    spec: ModelSpec
    metadata: Mapping[str, Any]

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once.

        Args:
            inputs: exactly the arrays that ``spec.inputs`` names, in its dtypes and dimensions.

        Returns:
            One array for each of ``spec.outputs``, by name.

        Raises:
            ModelError: missing or extra input, wrong dtype or dimensions.
            BackendError: the library failed to run the network.
        """
        ...


def check_inputs(spec: ModelSpec, inputs: Mapping[str, np.ndarray]) -> None:
    """Raise ModelError unless ``inputs`` are what ``spec`` describes."""
    check_tensors(f"{spec.name} input", spec.inputs, inputs)


def check_tensors(what: str, tensors: Sequence[TensorSpec],
                  arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ModelError unless names, dtypes and dimensions of ``arrays`` agree with ``tensors``.

    A letter stands for one size throughout the call: ``h/2`` of one tensor must be half of the
    ``h`` of another.
    """
    names = [tensor.name for tensor in tensors]
    if set(names) != set(arrays):
        raise ModelError(
            f"{what}: expected the tensors {', '.join(names)}, got "
            f"{', '.join(sorted(arrays)) or 'none'}; names are defined in models/spec.py"
        )
    sizes: dict[str, int] = {}
    for tensor in tensors:
        array = arrays[tensor.name]
        if str(array.dtype) != tensor.dtype:
            raise ModelError(
                f"{what} '{tensor.name}': expected {tensor.dtype}, got {array.dtype}; "
                f"use .astype('{tensor.dtype}')"
            )
        if array.ndim != len(tensor.dims) or not all(
                _fits(size, dim, sizes) for size, dim in zip(array.shape, tensor.dims)):
            known = ", ".join(f"{letter} = {size}" for letter, size in sizes.items())
            raise ModelError(
                f"{what} '{tensor.name}': expected shape [{', '.join(map(str, tensor.dims))}]"
                f"{f' with {known}' if known else ''}, got {list(array.shape)}; pass tensors of "
                "one frame and one batch"
            )


def _fits(size: int, dim: int | str, sizes: dict[str, int]) -> bool:
    if isinstance(dim, int):
        return size == dim
    letter, _, divisor = dim.partition("/")
    return sizes.setdefault(letter, size * int(divisor or 1)) == size * int(divisor or 1)


def thread_count(threads: int) -> int:
    """Return ``threads``, or for 0 the number of cores that this process may use."""
    if threads > 0:
        return threads
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)
