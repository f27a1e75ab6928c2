"""Counts of what a reader left out or did without: how often, and where first."""

from __future__ import annotations


class Tally:
    """Counts remarks by their text; each remembers its first place."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, None]] = {}

    def add(self, remark: str, where: str) -> None:
        """Count ``remark`` for a place; the same place is counted once."""
        self._seen.setdefault(remark, {})[where] = None

    def count(self, remark: str) -> int:
        """Return in how many places ``remark`` was made."""
        return len(self._seen.get(remark, ()))

    def sentences(self) -> list[str]:
        """Return one sentence a remark, in order of appearance."""
        return [f"{len(places)} x {remark} (first: {next(iter(places))})" for remark, places in self._seen.items()]
