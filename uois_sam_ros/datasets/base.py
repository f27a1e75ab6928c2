"""A data set as a sequence of samples that are read one by one; a bad frame never ends the run."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..errors import InputError, UoisError
from ..images import read_image, read_label, to_metres, to_rgb
from ..replay.sources import InputOptions, Sample
from ..types import Frame, Intrinsics
from .info import DatasetInfo
from .tally import Tally

NO_DEPTH_FILE = "no depth image: read as colour only"
NO_CAMERA = "no intrinsics known: depth left out; pass --intrinsics fx,fy,cx,cy to use it"
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Inventory:
    """What lies on disk against what was published.

    Attributes:
        found: frames that will be read.
        published: frames there should be; ``None`` = not published.
        groups: source -> frames found.
        missing: one phrase each for what is named and not there (sequences, scenes, files).
    """

    found: int
    published: int | None
    groups: Mapping[str, int]
    missing: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Nothing that is named is missing, and the number is the published one where there is one."""
        return not self.missing and self.published in (None, self.found)


class Dataset(ABC):
    """Base of all readers: random access by index, and the ``Input`` that the verbs take.

    Subclasses list names at construction; pictures, labels and annotations are read when a sample is asked for.
    A frame that cannot be used is a sample with ``error`` set. What was done without (a missing depth image) or left
    out is counted in ``notes``.

    Args:
        root: folder of the data set.
        words: which part; keys of ``info.words``, in any order.
        options: intrinsics and depth scale that override what the files say; ``read_depth``.

    Raises:
        InputError: no such folder, or nothing in it that looks like the data set.
    """

    info: ClassVar[DatasetInfo]

    def __init__(self, root: str | Path, words: Sequence[str] = (), options: InputOptions = InputOptions()) -> None:
        self.root, self.options, self.tally = Path(root), options, Tally()
        self.words = tuple(word for word in self.info.words if word in words)
        unknown = [word for word in words if word not in self.info.words]
        if unknown:
            raise InputError(f"{self.info.name}@{','.join(words)}: expected words out of "
                             f"{', '.join(self.info.words) or 'none'}, got '{unknown[0]}'; see: uois-sam dataset list")
        if not self.root.exists():
            raise InputError(f"{self.info.title} {self.root}: expected its folder, got no such file or folder")

    @abstractmethod
    def __len__(self) -> int:
        """Number of frames."""

    @abstractmethod
    def where(self, index: int) -> tuple[str, str]:
        """Return source and name of a frame."""

    @abstractmethod
    def read(self, index: int) -> Sample:
        """Read one frame.

        Raises:
            UoisError: it cannot be used.
        """

    @property
    def count(self) -> int | None:
        """Number of frames."""
        return len(self)

    @property
    def notes(self) -> list[str]:
        """What was done without or left out so far."""
        return [f"{self.info.title}: {sentence}" for sentence in self.tally.sentences()]

    def sample(self, index: int) -> Sample:
        """Return frame ``index``; ``error`` is set when it cannot be used.

        Raises:
            IndexError: out of range.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"sample: expected 0 to {len(self) - 1}, got {index}")
        try:
            return self.read(index)
        except (UoisError, OSError) as error:
            return Sample(*self.where(index), error=str(error))

    def __iter__(self) -> Iterator[Sample]:
        for index in range(len(self)):
            yield self.sample(index)

    def inventory(self) -> Inventory:
        """Compare what is there with what was published; opens no picture."""
        groups = Counter(self.where(index)[0] for index in range(len(self)))
        return Inventory(len(self), self.info.published.get(",".join(self.words)), dict(groups), self.missing())

    def missing(self) -> tuple[str, ...]:
        """Name what should be there and is not."""
        return ()

    def nothing_found(self) -> InputError:
        """Return the refusal of a folder that does not look like this data set."""
        return InputError(f"{self.info.title} {self.root}: expected {self.info.layout}, got none of it; pass the "
                          "folder that holds it")


@dataclass(frozen=True)
class Entry:
    """Where the files of one frame are, whether or not they exist."""

    source: str
    name: str
    color: Path
    depth: Path
    label: Path
    tags: Mapping[str, str] = field(default_factory=dict)


class TreeDataset(Dataset):
    """A data set of colour, depth and label images in folders beside each other."""

    #: Labels that are no object.
    background: ClassVar[tuple[int, ...]] = (0,)

    def __init__(self, root: str | Path, words: Sequence[str] = (), options: InputOptions = InputOptions()) -> None:
        super().__init__(root, words, options)
        self.entries = self.list_entries()
        if not self.entries:
            raise self.nothing_found()

    @abstractmethod
    def list_entries(self) -> list[Entry]:
        """List the frames in the order in which they are read."""

    @abstractmethod
    def camera(self, entry: Entry) -> tuple[Intrinsics | None, float]:
        """Return the intrinsics of the colour image, and metres per unit of depth."""

    def __len__(self) -> int:
        return len(self.entries)

    def where(self, index: int) -> tuple[str, str]:
        return self.entries[index].source, self.entries[index].name

    def read(self, index: int) -> Sample:
        entry = self.entries[index]
        color = to_rgb(read_image(entry.color))
        truth = self.read_truth(entry)
        check_size(truth, color.shape[:2], entry.label)
        depth_m, intrinsics = None, self.options.intrinsics
        if self.options.read_depth:
            depth_m, intrinsics = self._read_depth(entry)
        frame = Frame(color, depth_m, intrinsics, entry.name)
        return Sample(entry.source, entry.name, frame, truth, tags=entry.tags)

    def read_truth(self, entry: Entry) -> np.ndarray:
        """Read the label image as uint16[H, W] with the background at 0."""
        label = read_label(entry.label)
        return np.where(np.isin(label, self.background), 0, label).astype(np.uint16)

    def missing(self) -> tuple[str, ...]:
        """Name the frames without label or depth image; subclasses put missing sequences before them."""
        listings: dict[Path, set[str]] = {}

        def is_there(path: Path) -> bool:
            if path.parent not in listings:
                listings[path.parent] = {item.name for item in path.parent.iterdir()} if path.parent.is_dir() else set()
            return path.name in listings[path.parent]

        phrases = []
        for kind in ("label", "depth"):
            absent = [f"{e.source}/{e.name}" for e in self.entries if not is_there(getattr(e, kind))]
            if absent:
                phrases.append(f"{len(absent)} {kind} image{'s' * (len(absent) > 1)}: {shorten(absent)}")
        return tuple(phrases)

    def _read_depth(self, entry: Entry) -> tuple[np.ndarray | None, Intrinsics | None]:
        place = f"{entry.source}/{entry.name}"
        if not entry.depth.exists():
            self.tally.add(NO_DEPTH_FILE, place)
            return None, self.options.intrinsics
        intrinsics, scale = self.camera(entry)
        intrinsics = self.options.intrinsics or intrinsics
        if intrinsics is None:
            self.tally.add(NO_CAMERA, place)
            return None, None
        depth = read_image(entry.depth)
        return to_metres(depth, self.options.depth_scale or scale, str(entry.depth)), intrinsics


def check_size(label: np.ndarray, color_hw: tuple[int, int], what: str | Path) -> None:
    """Refuse a label of another size than its picture.

    Raises:
        InputError: the sizes differ.
    """
    if label.shape != tuple(color_hw):
        raise InputError(f"{what}: expected {color_hw[1]}x{color_hw[0]} like the colour image, got "
                         f"{label.shape[1]}x{label.shape[0]}; use the labels of this resolution")


def natural(text: str) -> list[tuple[int, str]]:
    """Sort key that puts 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text) if part]


def list_pictures(folder: Path, suffixes: Sequence[str] = PICTURE_SUFFIXES) -> list[Path]:
    """List the pictures in a folder in natural order; empty when there is no such folder."""
    if not folder.is_dir():
        return []
    files = (item for item in folder.iterdir() if item.suffix.lower() in suffixes and not item.name.startswith("."))
    return sorted(files, key=lambda item: natural(item.name))


def shorten(names: Sequence[str], most: int = 5) -> str:
    """Join names, the first few of them."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
