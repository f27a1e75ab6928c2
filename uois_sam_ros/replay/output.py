"""Files that a verb writes at its end: checked before the long run, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..errors import InputError


def check_file(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written; makes its folder.

    Raises:
        InputError: it is a folder, or may not be written.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{option} {path}: expected a writable file, got: {error}") from error
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{option} {path}: expected a writable file, got {'a folder' if path.is_dir() else 'none'}; "
                         "name a file that may be written")


def write_text(path: Path, text: str) -> None:
    """Write a file, by another name first.

    Raises:
        InputError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file():  # a pipe or a device
            path.write_text(text, encoding="utf-8")
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"{path}: expected a writable file, got: {error}") from error


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write plain data as JSON; raises as ``write_text``."""
    write_text(path, json.dumps(data, indent=1) + "\n")
