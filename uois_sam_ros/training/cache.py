"""Features of frozen networks on disk, within a budget.

An entry is an ``.npz`` of fp16 (or other) arrays; its checksums are zip's own, so a damaged entry is noticed when it is
read and computed again. Every folder below the cache belongs to one network with one set of weights; an entry's name is
the sha256 of the picture. When the budget is reached, entries that this run has not used go, the oldest first; what
this run needs is never evicted for more of it, because an epoch reads everything once and would evict it all in turn.
"""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError

GB = 10 ** 9
SUFFIX = ".npz"
#: Entries touched so long before the start count as this run's own; file systems round times.
SLACK_S = 2.0


class FeatureCache:
    """A folder of entries, shared by all ranks and by runs one after the other.

    Args:
        folder: made when missing.
        budget_gb: of all its entries, in 10^9 bytes.
        writers: processes that write at the same time.

    Raises:
        InputError: the folder cannot be written, or the budget is not above 0.
    """

    def __init__(self, folder: str | Path, budget_gb: float, writers: int = 1) -> None:
        if not budget_gb > 0:
            raise InputError(f"--cache-gb: expected more than 0 GB, got {budget_gb:g}")
        self.folder, self.budget, self.writers = Path(folder), budget_gb * GB, writers
        self._began = time.time() - SLACK_S
        self._free = 0  # bytes to write before the folder is looked at again
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".write.{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise InputError(f"cache {self.folder}: expected a folder that can be written, got: {error.strerror}; pass "
                             "another --cache") from error

    def shelf(self, name: str) -> Shelf:
        """Return the entries of one network; ``name`` tells it and its weights."""
        return Shelf(self, self.folder / name)

    def reserve(self, size: int) -> None:
        """Make room for an entry.

        Raises:
            InputError: the budget is used up by entries of this run.
        """
        if size <= self._free:
            self._free -= size
            return
        entries = sorted((stat.st_mtime, stat.st_size, path) for path, stat in self._entries())
        total = sum(entry[1] for entry in entries)
        needed = size * self.writers
        for used, bytes_there, path in entries:
            if total + needed <= self.budget or used >= self._began:
                break
            path.unlink(missing_ok=True)
            total -= bytes_there
        if total + needed > self.budget:
            raise InputError(
                f"cache {self.folder}: expected room for more than the {total / GB:.3g} GB that this run has stored, "
                f"got a budget of {self.budget / GB:.3g} GB (an entry takes {size / 1e6:.2g} MB); raise --cache-gb, or "
                "use fewer frames with --fraction")
        self._free = (self.budget - total) // self.writers - size

    def _entries(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self.folder.glob(f"*/*{SUFFIX}"):
            try:
                found.append((path, path.stat()))
            except FileNotFoundError:
                continue  # another rank evicted it
        return found


@dataclass(frozen=True)
class Shelf:
    """The entries of one network."""

    cache: FeatureCache
    folder: Path

    def get(self, key: str) -> dict[str, np.ndarray] | None:
        """Return an entry; ``None`` when it is missing, or damaged, and then it is removed."""
        path = self.folder / f"{key}{SUFFIX}"
        try:
            with np.load(path, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            os.utime(path)
            return arrays
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            path.unlink(missing_ok=True)
            return None

    def put(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Store an entry, whole or not at all.

        Raises:
            InputError: no room in the budget or on the disk.
        """
        self.cache.reserve(sum(array.nbytes for array in arrays.values()))
        draft = self.folder / f"{key}.{os.getpid()}.tmp"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(draft, "wb") as stream:
                np.savez(stream, **arrays)
            os.replace(draft, self.folder / f"{key}{SUFFIX}")
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise InputError(f"cache {self.folder}: expected to write an entry, got: {error.strerror}; free the disk, "
                             "pass a --cache elsewhere, or use fewer frames with --fraction") from error

    def load(self, key: str) -> dict[str, np.ndarray]:
        """Return an entry that this run has stored or seen.

        Raises:
            InputError: it is gone or damaged.
        """
        arrays = self.get(key)
        if arrays is None:
            raise InputError(f"cache {self.folder}: expected entry {key[:12]} that was there a moment ago, got none "
                             "or a damaged one; run the same command again: what is missing is computed, and training "
                             "goes on where it was. Several machines need a cache that all of them see")
        return arrays
