"""The files of scores that two runs are compared by: ``eval --json``, ``gallery --json``, lines of ``reproduce``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..metrics import FrameScores

#: First entry of the first line of a file of score lines; see ``reproduce/score_log.py``.
LINES_FORMAT = "uois-sam scores 1"
_SCORES = tuple(spec.name for spec in fields(FrameScores))


@dataclass(frozen=True)
class RunFrame:
    """One scored frame.

    Attributes:
        keys: hashes of the picture and of its truth; empty when the file has none.
    """

    source: str
    name: str
    scores: FrameScores
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """The frames of one run, in the order of the file.

    Attributes:
        title: what to call it.
        frames: (source, name) -> frame.
        refused: frames without scores.
    """

    title: str
    frames: Mapping[tuple[str, str], RunFrame]
    refused: int = 0


def read_run(path: Path) -> Run:
    """Read a file of scores.

    Raises:
        InputError: no such file, another content, no frames, or a frame that is there twice.
    """
    wanted = f"{path}: expected scores that eval --json, gallery --json or reproduce wrote"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{wanted}, got: {error}; write them first") from error
    try:
        facts, entries = _entries(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{wanted}, got something else ({error!r}); write the file again") from error
    if str(facts.get("format", "")).startswith("uois-sam replay"):
        raise InputError(f"{wanted}, got a replay report; use: uois-sam replay RECORDING --against {path}")
    frames: dict[tuple[str, str], RunFrame] = {}
    refused = len(facts.get("refused", ()))
    for entry in entries:
        try:
            if "refused" in entry:
                refused += 1
                continue
            frame = _frame(entry)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{wanted}, got a frame without scores ({error!r}); write the file again") from error
        if (frame.source, frame.name) in frames:
            raise InputError(f"{path}: expected every frame once, got {frame.source}/{frame.name} twice; score sources "
                             "of different names")
        frames[frame.source, frame.name] = frame
    if not frames:
        raise InputError(f"{path}: expected scored frames, got none; score an input that has labels")
    return Run(_title(path, facts), frames, refused)


def _entries(text: str) -> tuple[dict[str, Any], Iterable[Any]]:
    """Return the facts of the file and its frames; a file of lines may end in the middle of one."""
    first, _, rest = text.partition("\n")
    try:
        header = json.loads(first)
    except ValueError:
        header = None
    if isinstance(header, dict) and header.get("format") == LINES_FORMAT:
        lines = [json.loads(line) for line in rest.split("\n")[:-1]]
        latest = {(line["source"], line["name"]): line for line in lines}
        return header, latest.values()
    data = json.loads(text)
    return data, data.get("frames", ())


def _frame(entry: Mapping[str, Any]) -> RunFrame:
    scores = entry["scores"] if "scores" in entry else entry
    keys = tuple(entry[key] for key in ("frame_key", "truth_key") if key in entry)
    return RunFrame(str(entry["source"]), str(entry["name"]), FrameScores(*(float(scores[name]) for name in _SCORES)),
                    keys)


def _title(path: Path, facts: Mapping[str, Any]) -> str:
    what = facts.get("answers") or (f"preset {facts['preset']}" if facts.get("preset") else "")
    more = [str(facts[key]) for key in ("rung", "depth", "perturb") if facts.get(key)]
    return f"{path.name} ({', '.join([what, *more])})" if what else path.name
