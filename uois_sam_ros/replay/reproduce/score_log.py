"""Scores of every frame as JSON lines: written while the run goes on, found again after it was killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TextIO

from ...errors import InputError
from ..accuracy.run_file import LINES_FORMAT
from ..metrics import FrameScores
from ..output import write_text

_SCORES = tuple(spec.name for spec in fields(FrameScores))


class ScoreLog:
    """The file of one run on one data set: a header line, then a line a frame.

    Lines of an interrupted run are kept; a later line of the same frame replaces the earlier one. Lines scored by
    another metric, and what cannot be read, are dropped.

    Args:
        path: the file; its folder is made.
        header: facts of the run; ``metric_key`` must be among them.

    Raises:
        InputError: the file cannot be written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path, self._header = path, {"format": LINES_FORMAT, **header}
        self._lines = _read(path, header["metric_key"])
        self._stream: TextIO | None = None

    def find(self, source: str, name: str, frame_key: str, truth_key: str) -> tuple[FrameScores, float] | None:
        """Return scores and time of this very frame and truth, or ``None``."""
        line = self._lines.get((source, name))
        if line is None or (line.get("frame_key"), line.get("truth_key")) != (frame_key, truth_key):
            return None
        try:
            return FrameScores(*(float(line["scores"][key]) for key in _SCORES)), float(line["total_ms"])
        except (KeyError, TypeError, ValueError):
            return None

    def add(self, source: str, name: str, frame_key: str, truth_key: str, scores: FrameScores, total_ms: float) -> None:
        """Append a scored frame; it is on disk when this returns."""
        self._append({"source": source, "name": name, "frame_key": frame_key, "truth_key": truth_key,
                      "scores": asdict(scores), "total_ms": total_ms})

    def refuse(self, source: str, name: str, reason: str) -> None:
        """Append a frame that could not be used."""
        self._append({"source": source, "name": name, "refused": reason})

    def finish(self, order: list[tuple[str, str]]) -> None:
        """Write the file anew with these frames alone, in this order.

        Raises:
            InputError: it cannot be written.
        """
        self.close()
        lines = [self._header, *(self._lines[place] for place in order if place in self._lines)]
        write_text(self.path, "".join(json.dumps(line) + "\n" for line in lines))

    def close(self) -> None:
        """Close the file; lines so far stay."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _append(self, line: dict[str, Any]) -> None:
        try:
            if self._stream is None:
                self.finish(list(self._lines))  # without a half line of an interrupted run
                self._stream = self.path.open("a", encoding="utf-8")
            self._stream.write(json.dumps(line) + "\n")
            self._stream.flush()
        except OSError as error:
            raise InputError(f"{self.path}: expected a writable file, got: {error}; free some space and start again: "
                             "what is there is kept") from error
        self._lines[line["source"], line["name"]] = line


def _read(path: Path, metric_key: str) -> dict[tuple[str, str], dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for number, raw in enumerate(text.split("\n")):
        try:
            line = json.loads(raw)
            if number == 0:
                if line["format"] != LINES_FORMAT or line["metric_key"] != metric_key:
                    return {}
            else:
                lines[str(line["source"]), str(line["name"])] = line
        except (ValueError, KeyError, TypeError):
            if number == 0:
                return {}
    return lines
