"""The data sets by name, and ``name:ROOT`` as an input: ``uois-sam eval ocid:/data/OCID-dataset``."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from ..errors import InputError
from ..replay.sources import InputOptions
from .base import Dataset

#: Name -> module and class, in the order of ``uois-sam dataset list``.
_READERS = {
    "uoais-sim": ("uoais_sim", "UoaisSim"),
    "ocid": ("ocid", "Ocid"),
    "osd": ("osd", "Osd"),
    "phocal": ("phocal", "Phocal"),
    "housecat6d": ("housecat6d", "HouseCat6D"),
    "graspnet": ("graspnet", "GraspNet"),
    "coco": ("coco", "Coco"),
    "synthetic": ("synthetic", "Synthetic"),
}
NAMES = tuple(_READERS)
_SPEC = re.compile(r"(?P<name>[a-z][a-z0-9-]+)(?:@(?P<words>[a-z0-9_,]*))?:(?P<root>.+)")


def reader(name: str) -> type[Dataset]:
    """Return the reader of a data set.

    Raises:
        InputError: no data set of this name.
    """
    if name not in _READERS:
        raise InputError(f"data set '{name}': expected one of {', '.join(NAMES)}, got another name; see: uois-sam "
                         "dataset list")
    module, found = _READERS[name]
    return getattr(import_module(f".{module}", __package__), found)


def open_dataset(name: str, root: str | Path, options: InputOptions = InputOptions()) -> Dataset:
    """Open a data set as a sequence of samples: ``len(d)``, ``d.sample(i)``, ``for sample in d``.

    Args:
        name: ``ocid``, or with words that choose a part, ``graspnet@kinect,test_seen``.
        root: its folder.

    Raises:
        InputError: unknown name or words, no such folder, or another layout.
    """
    plain, _, words = name.partition("@")
    return reader(plain)(root, [word for word in words.split(",") if word], options)


def split_spec(text: str) -> tuple[str, str] | None:
    """Split ``name[@words]:ROOT`` into name with words, and root; ``None`` when the text is a path.

    What exists as a path is a path.
    """
    match = _SPEC.fullmatch(text)
    if match is None or Path(text).exists():
        return None
    return text[:match.start("root") - 1], match["root"]
