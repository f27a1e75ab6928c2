"""Download an official weight file: with progress, resumable, and verified before it gets its name."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from ..errors import InputError, ModelError
from ..models.official import OfficialFile
from .verify import BLOCK, sha256_of

#: What was loaded so far lies in a file with this suffix.
PART = ".part"
TIMEOUT_S = 30.0


def fetch(entry: OfficialFile, folder: str | Path, *, url: str = "", progress: bool = True) -> Path:
    """Download ``entry`` into ``folder`` and return its path; what is already there is kept or continued.

    Args:
        url: another place than the official one; the content must be the same.

    Raises:
        InputError: no connection, not enough disk, or a connection that ended early (run again to continue).
        ModelError: what came, or a file that was there before, is not the official file.
    """
    folder, url = Path(folder), url or entry.url
    target, part = folder / entry.file, folder / f"{entry.file}{PART}"
    if target.exists():
        _verify(target, entry, f"move it away to download it again from {url}")
        return target
    folder.mkdir(parents=True, exist_ok=True)
    done = part.stat().st_size if part.exists() else 0
    if done < entry.bytes:
        free = shutil.disk_usage(folder).free
        if free < entry.bytes - done:
            raise InputError(f"{folder}: expected {entry.bytes - done} bytes of free space, got {free}; choose another "
                             "--out")
        _download(entry, url, part, done, progress)
    try:
        _verify(part, entry, f"it was removed; check the address {url}")
    except ModelError:
        part.unlink()
        raise
    os.replace(part, target)
    return target


def _download(entry: OfficialFile, url: str, part: Path, done: int, progress: bool) -> None:
    from tqdm import tqdm

    try:
        request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            done = done if _continues(answer, done) else 0
            with (open(part, "r+b" if done else "wb") as stream,
                  tqdm(total=entry.bytes, initial=done, unit="B", unit_scale=True, desc=entry.file,
                       disable=None if progress else True) as bar):
                stream.seek(done)
                while (block := answer.read(BLOCK)) and done <= entry.bytes:
                    stream.write(block)
                    done += len(block)
                    bar.update(len(block))
                stream.truncate()
    except ValueError as error:  # urllib's own, for an address that is none
        raise InputError(f"--url: expected an address such as {entry.url}, got '{url}' ({error})") from error
    except (OSError, HTTPException) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise InputError(f"{url}: expected {entry.bytes} bytes, got {done} and then: {reason}; run the same command "
                         f"again to continue, or download by hand and compare with 'uois-sam weights check'") from error
    if done < entry.bytes:
        raise InputError(f"{url}: expected {entry.bytes} bytes, got {done} before the connection ended; run the same "
                         "command again to continue")


def _continues(answer: Any, done: int) -> bool:
    """The server sends the rest, from the byte that was asked for, and not the whole."""
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {done}-")


def _verify(path: Path, entry: OfficialFile, remedy: str) -> None:
    size = path.stat().st_size
    if size != entry.bytes:
        raise ModelError(f"{path}: expected {entry.bytes} bytes of {entry.title}, got {size}; {remedy}")
    digest = sha256_of(path)
    if digest != entry.sha256:
        raise ModelError(f"{path}: expected sha256 {entry.sha256} of {entry.title}, got {digest}; {remedy}")
