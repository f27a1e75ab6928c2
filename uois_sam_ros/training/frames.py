"""The labelled frames of any input: which of them train, which validate, and reading them one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..datasets.base import Dataset
from ..datasets.tally import Tally
from ..errors import ConfigError, InputError
from ..replay.sources import InputOptions, Sample, open_input


@dataclass(frozen=True)
class Split:
    """Frame numbers, ascending."""

    train: tuple[int, ...]
    valid: tuple[int, ...]


class LabelledFrames:
    """The frames of an input by number. Data sets are read at random, other inputs from the front.

    Args:
        path: anything that ``open_input`` takes.

    Attributes:
        sources: the source of every frame.
        left_out: what was not used, and why.

    Raises:
        InputError: nothing there that can be read.
    """

    def __init__(self, path: str, options: InputOptions = InputOptions()) -> None:
        self.path, self.left_out = path, Tally()
        self._input = open_input(path, options)
        if isinstance(self._input, Dataset):
            self.sources = tuple(self._input.where(index)[0] for index in range(len(self._input)))
        else:
            self.sources = tuple(sample.source for sample in self._input)

    def __len__(self) -> int:
        return len(self.sources)

    def read(self, chosen: Collection[int]) -> Iterator[tuple[int, Sample]]:
        """Yield number and sample of the chosen frames that are labelled; the others are counted in ``left_out``."""
        wanted = set(chosen)
        if isinstance(self._input, Dataset):
            samples = ((index, self._input.sample(index)) for index in sorted(wanted))
        else:
            samples = ((index, sample) for index, sample in enumerate(self._input) if index in wanted)
        for index, sample in samples:
            where = f"{sample.source}/{sample.name}"
            if sample.frame is None:
                self.left_out.add(f"refused: {sample.error}", where)
            elif sample.truth is None:
                self.left_out.add("without masks", where)
            else:
                yield index, sample

    def none_labelled(self, purpose: str = "to learn from") -> InputError:
        """Return the refusal of an input without a single labelled frame for a purpose."""
        reasons = "; ".join(self.left_out.sentences()) or "it is empty"
        return InputError(f"{self.path}: expected labelled frames {purpose}, got none ({reasons}); give label "
                          "images (<name>_label.png) or COCO annotations with masks")


def split_frames(sources: Sequence[str], *, held_out: float, percent: float, seed: int) -> Split:
    """Hold frames out for validation, and choose the share to train on.

    The last frames of every source are held out: neighbours in a recording or views of one scene look alike, and
    would tell nothing. What is held out depends on neither ``percent`` nor ``seed``, so that runs can be compared;
    a smaller percentage is a part of any larger one.

    Args:
        held_out: share of each source, 0 to below 1; 0 holds nothing out.
        percent: of the other frames, 1 to 100.

    Raises:
        ConfigError: a number outside its range.
        InputError: too few frames for both parts.
    """
    if not 1 <= percent <= 100:
        raise ConfigError(f"--fraction: expected 1 to 100 percent of the training frames, got {percent:g}")
    if not 0 <= held_out < 1:
        raise ConfigError(f"--held-out: expected a share from 0 to below 1, got {held_out:g}")
    groups: dict[str, list[int]] = defaultdict(list)
    for index, source in enumerate(sources):
        groups[source].append(index)
    valid = [index for group in groups.values() for index in group[len(group) - round(held_out * len(group)):]]
    if held_out and not valid and sources:
        valid = [len(sources) - 1]
    rest = np.setdiff1d(np.arange(len(sources)), valid)
    if len(rest) == 0:
        raise InputError(f"training frames: expected at least 2, one of them to validate with, got {len(sources)}; "
                         "label another frame, or pass others with --val")
    count = max(1, round(len(rest) * percent / 100))
    chosen = np.random.default_rng(seed).permutation(rest)[:count]
    return Split(tuple(sorted(int(index) for index in chosen)), tuple(sorted(valid)))
