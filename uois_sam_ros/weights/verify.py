"""Is this file the official one? By size and sha256, without torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..errors import ModelError
from ..models.official import OFFICIAL, OfficialFile

BLOCK = 1 << 20


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def identify(path: str | Path) -> OfficialFile | None:
    """Return which official file this is, or ``None`` when it is none of them."""
    digest = sha256_of(path)
    return next((entry for entry in OFFICIAL.values() if entry.sha256 == digest), None)


def refuse_impostor(path: str | Path) -> OfficialFile | None:
    """Return what ``identify`` does, but refuse a file that only bears an official name.

    Raises:
        ModelError: the name is that of an official file, the content is not.
    """
    path, found = Path(path), identify(path)
    named = next((entry for entry in OFFICIAL.values() if entry.file == path.name), None)
    if named is not None and found is not named:
        raise ModelError(
            f"checkpoint {path}: expected {named.bytes} bytes with sha256 {named.sha256} under this name, got "
            f"{path.stat().st_size} bytes with {sha256_of(path)}; it is damaged or other weights: get it again with "
            f"'uois-sam weights fetch {named.name}', or give your own weights another name")
    return found
