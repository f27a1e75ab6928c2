"""A COCO annotation file of any size: its images in memory, its annotations read from the file when asked for.

The file is scanned once, element by element, and only the place of each annotation is kept: 45,000 images with a
million masks take some tens of megabytes, and processes that read in parallel share nothing but the file.
"""

from __future__ import annotations

import json
import mmap
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .tally import Tally

#: Bytes that are looked at once.
_WINDOW = 1 << 20
_SPACE, _BOM = " \t\r\n", b"\xef\xbb\xbf"
_KEPT = ("id", "file_name", "depth_file_name", "width", "height", "intrinsics", "depth_scale", "labelled", "source",
         "name")
ORPHAN = "annotation of an image that is not listed: left out"
SAME_ID = "annotation id that is used more than once: each is taken as an object of its own"
LISTED_TWICE = "image that is listed twice with the same id and file: taken once"
CLASHING = "image id that two pictures share: both refused, nobody can tell whose the annotations are"


class CocoFile:
    """The index of one annotation file.

    Attributes:
        images: one dictionary an image, in the order of the file: id, file_name and what else is known of it.
        clashing: indices of images that share their id with another picture.

    Args:
        path: the file.
        tally: gets what is wrong with it as a whole.

    Raises:
        InputError: unreadable, cut off, or without a list of images.
    """

    def __init__(self, path: Path, tally: Tally) -> None:
        self.path = path
        try:
            with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                images, image_ids, ids, places = _scan(data)
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: expected COCO annotations (JSON with images and annotations), got: {error}; "
                             "export or copy the file again") from error
        self.images, index_of, self.clashing = _sort_images(images, tally)
        owner = np.fromiter((index_of.get(_key(number), -1) for number in image_ids), np.int64, len(image_ids))
        for k in np.flatnonzero(owner < 0):
            tally.add(ORPHAN, f"annotation {ids[k]}, image {image_ids[k]}")
        for number in _repeated(ids):
            tally.add(SAME_ID, f"id {number}")
        order = np.argsort(owner, kind="stable")
        self._places = np.asarray(places, dtype=np.int64).reshape(-1, 2)[order]
        self._first = np.searchsorted(owner[order], np.arange(len(self.images) + 1))

    def __len__(self) -> int:
        return len(self.images)

    def annotations(self, index: int) -> list[dict[str, Any]]:
        """Read the annotations of image ``index`` in the order of the file.

        Raises:
            InputError: the file changed since it was scanned.
        """
        found = []
        with open(self.path, "rb") as stream:
            for start, size in self._places[self._first[index]:self._first[index + 1]].tolist():
                stream.seek(start)
                try:
                    found.append(json.loads(stream.read(size)))
                except ValueError as error:
                    raise InputError(f"{self.path}: expected the annotations that were there at the start, got other "
                                     "bytes; do not change the file while it is read") from error
        return found


def _scan(data: mmap.mmap) -> tuple[list[dict[str, Any]], list[Any], list[Any], array]:
    """Return images, and of every annotation image_id, id and (flat) start and size in bytes."""
    images: list[dict[str, Any]] = []
    image_ids, ids, places = [], [], array("q")
    reader, listed = _Reader(data), False
    for key in reader.keys():
        if key == "images":
            listed = True
            images = [_image(json.loads(data[start:start + size])) for _, start, size in reader.elements()]
        elif key == "annotations":
            for item, start, size in reader.elements():
                if isinstance(item, dict):
                    image_ids.append(item.get("image_id"))
                    ids.append(item.get("id"))
                    places.extend((start, size))
        else:
            reader.value()
    if not listed:
        raise ValueError("JSON without a list of images")
    return images, image_ids, ids, places


def _image(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or item.get("id") is None or not isinstance(item.get("file_name"), str):
        raise ValueError(f"an image without id or file_name: {str(item)[:80]}")
    return {name: item[name] for name in _KEPT if name in item}


class _Reader:
    """Walks through a JSON object in a file; one byte is one character, so that places are bytes."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._decoder = data, json.JSONDecoder()
        self._at = self._base = len(_BOM) if data[:len(_BOM)] == _BOM else 0
        self._text = ""

    def keys(self) -> Iterator[str]:
        """Yield the keys of the outer object; take each value before the next key."""
        self._expect("{")
        if self._skip() == "}":
            return
        while True:
            key, _, _ = self.value()
            self._expect(":")
            yield key
            if self._expect(",}") == "}":
                return

    def elements(self) -> Iterator[tuple[Any, int, int]]:
        """Yield the elements of a list with start and size in bytes."""
        self._expect("[")
        if self._skip() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._expect(",]") == "]":
                return

    def value(self) -> tuple[Any, int, int]:
        """Decode one value of any kind; a longer look at the file follows where it is cut by the window."""
        self._skip()
        window = _WINDOW
        while True:
            offset = self._at - self._base
            try:
                value, end = self._decoder.raw_decode(self._text, offset)
                if end < len(self._text) or self._base + end >= len(self._data):  # a number may go on
                    start, self._at = self._at, self._base + end
                    return value, start, self._at - start
            except json.JSONDecodeError as error:
                if self._base + len(self._text) >= len(self._data):
                    raise ValueError(f"{error.msg} at byte {self._base + error.pos}") from error
            self._look(window)
            window *= 2

    def _skip(self) -> str:
        """Move to the next character that is no space and return it."""
        while True:
            offset = self._at - self._base
            while offset < len(self._text) and self._text[offset] in _SPACE:
                offset += 1
            self._at = self._base + offset
            if offset < len(self._text):
                return self._text[offset]
            if self._at >= len(self._data):
                raise ValueError(f"the file ends at byte {self._at}, in the middle")
            self._look(_WINDOW)

    def _expect(self, characters: str) -> str:
        found = self._skip()
        if found not in characters:
            raise ValueError(f"'{found}' in place of {' or '.join(characters)} at byte {self._at}")
        self._at += 1
        return found

    def _look(self, size: int) -> None:
        self._base, self._text = self._at, self._data[self._at:self._at + size].decode("latin-1")


def _sort_images(images: list[dict[str, Any]],
                 tally: Tally) -> tuple[list[dict[str, Any]], dict[Any, int], frozenset[int]]:
    kept: list[dict[str, Any]] = []
    index_of: dict[Any, int] = {}
    clashing: set[int] = set()
    for image in images:
        key = _key(image["id"])
        known = index_of.setdefault(key, len(kept))
        if known < len(kept) and kept[known]["file_name"] == image["file_name"]:
            tally.add(LISTED_TWICE, f"{image['file_name']}, id {image['id']}")
            continue
        if known < len(kept):
            clashing |= {known, len(kept)}
            tally.add(CLASHING, f"id {image['id']}: {kept[known]['file_name']} and {image['file_name']}")
        kept.append(image)
    return kept, index_of, frozenset(clashing)


def _key(number: Any) -> Any:
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if isinstance(number, (int, str)) else repr(number)


def _repeated(ids: list[Any]) -> list[Any]:
    seen: set[Any] = set()
    repeated: dict[Any, None] = {}
    for number in (_key(number) for number in ids if number is not None):
        if number in seen:
            repeated[number] = None
        seen.add(number)
    return list(repeated)
