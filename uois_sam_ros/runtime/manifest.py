"""The manifest of a model folder: which file is which network, its sha256, and how it was made.

``manifest.json`` holds ``{"format": 1, "models": {name: entry}}``; an entry has at least "file",
"sha256" and "bytes", and any facts that the export adds (preset, opset, training, scores). A network whose
weights lie in a second file has "data", an object with the same three keys for that file.
No file is given to a backend before its size and sha256 agree with the entry.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import ModelError
from ..models.spec import SPECS

MANIFEST_NAME = "manifest.json"
FORMAT = 1
#: Where an installation keeps the models, below its prefix.
SHARE_ENGINES = Path("share") / "uois_sam_ros" / "engines"
REMEDY = "install the package again, or make the models with 'uois-sam train export'"

#: (path, mtime in ns, bytes) -> sha256, so that a file is hashed once a process.
_HASHES: dict[tuple[str, int, int], str] = {}


@dataclass(frozen=True)
class Manifest:
    """A checked ``manifest.json``.

    Attributes:
        folder: where the manifest and the model files lie.
        models: model name -> entry.
    """

    folder: Path
    models: Mapping[str, Mapping[str, Any]]

    @classmethod
    def load(cls, folder: str | Path) -> Manifest:
        """Read ``folder/manifest.json``.

        Raises:
            ModelError: missing, not JSON, of another format, or with incomplete entries.
        """
        folder = Path(folder)
        path = folder / MANIFEST_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelError(f"model folder {folder}: expected {MANIFEST_NAME} in it, got none; "
                             f"{REMEDY}") from None
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: expected readable JSON, got: {error}; {REMEDY}") from error
        if not isinstance(content, dict) or not isinstance(content.get("models"), dict):
            raise ModelError(f"{path}: expected an object with 'format' and 'models', got "
                             f"something else; {REMEDY}")
        if content.get("format") != FORMAT:
            raise ModelError(f"{path}: expected manifest format {FORMAT}, got "
                             f"{content.get('format')!r}; the models belong to another version of "
                             f"this package: {REMEDY}")
        for name, entry in content["models"].items():
            _check_entry(path, name, entry)
        return cls(folder, MappingProxyType(content["models"]))

    def entry(self, name: str) -> Mapping[str, Any]:
        """Return the entry called ``name``.

        Raises:
            ModelError: unknown name; the message lists the known ones.
        """
        if name not in self.models:
            raise ModelError(
                f"model folder {self.folder}: expected an entry '{name}' in {MANIFEST_NAME}, got "
                f"{', '.join(sorted(self.models)) or 'no models'}; {remedy(name)}"
            )
        return self.models[name]

    def verify(self, name: str) -> Path:
        """Return the path of the model file after checking its size and sha256, and those of its data file.

        Raises:
            ModelError: unknown name, missing file, or a file that is not the one expected.
        """
        entry = self.entry(name)
        for expected in (entry, entry.get("data")):
            if expected is not None:
                _verify_file(self.folder / expected["file"], expected, remedy(name))
        return self.folder / entry["file"]


def remedy(name: str) -> str:
    """Return what to do when the model ``name`` is missing or damaged."""
    spec = SPECS.get(name)
    if spec is None or spec.made_by in REMEDY:
        return REMEDY
    return f"make it with '{spec.made_by}' and pass --model-dir DIR"


def write_entry(folder: str | Path, name: str, file: str, *, data_file: str = "", **facts: Any) -> dict[str, Any]:
    """Add or replace the entry ``name`` for ``folder/file`` and return it.

    "file", "sha256" and "bytes" are filled in here, and "data" for a ``data_file`` beside it; ``facts`` must be JSON
    values. The manifest is created when there is none and replaced in one step.

    Raises:
        ModelError: no such file, a manifest that cannot be read, facts that are not JSON.
    """
    folder = Path(folder)
    entry = {**_describe(folder, file), **facts}
    if data_file:
        entry["data"] = _describe(folder, data_file)
    target = folder / MANIFEST_NAME
    _check_entry(target, name, entry)
    models = dict(Manifest.load(folder).models) if target.exists() else {}
    models[name] = entry
    try:
        text = json.dumps({"format": FORMAT, "models": dict(sorted(models.items()))}, indent=2)
    except (TypeError, ValueError) as error:
        raise ModelError(f"manifest entry '{name}': expected JSON values, got: {error}") from error
    draft = target.with_suffix(".json.tmp")
    draft.write_text(text + "\n", encoding="utf-8")
    os.replace(draft, target)
    return entry


def _describe(folder: Path, file: str) -> dict[str, Any]:
    path = folder / file
    if not path.is_file():
        raise ModelError(f"model file {path}: expected a file to describe, got none")
    return {"file": file, "sha256": _file_sha256(path, path.stat()), "bytes": path.stat().st_size}


def _verify_file(path: Path, expected: Mapping[str, Any], what_to_do: str) -> None:
    try:
        state = path.stat()
    except OSError:
        raise ModelError(f"model file {path}: expected it beside {MANIFEST_NAME}, got no such "
                         f"file; {what_to_do}") from None
    if state.st_size != expected["bytes"]:
        raise ModelError(f"model file {path}: expected {expected['bytes']} bytes, got "
                         f"{state.st_size} (truncated or replaced); {what_to_do}")
    got = _file_sha256(path, state)
    if got != expected["sha256"]:
        raise ModelError(f"model file {path}: expected sha256 {expected['sha256']}, got {got} "
                         f"(corrupt or replaced); {what_to_do}")


def find_models(model_dir: str = "") -> Path:
    """Return the folder that holds ``manifest.json``.

    An explicit ``model_dir`` is the only place looked at; otherwise ``engines/`` of the source
    tree, then ``share/uois_sam_ros/engines`` of the installation, of ``sys.prefix`` and of every
    prefix in AMENT_PREFIX_PATH.

    Raises:
        ModelError: no manifest in any of them; the message lists them.
    """
    places = [Path(model_dir).expanduser()] if model_dir else _default_places()
    for place in places:
        if (place / MANIFEST_NAME).is_file():
            return place
    listing = ", ".join(str(place) for place in places)
    hint = "set model_dir to the folder that holds it" if model_dir else REMEDY
    raise ModelError(f"models: expected {MANIFEST_NAME} in one of: {listing}; got none; {hint}")


def _default_places() -> list[Path]:
    places = []
    package = Path(__file__).resolve().parents[1]
    if (package.parent / "setup.py").is_file():
        places.append(package.parent / "engines")
    else:
        places += [parent / SHARE_ENGINES for parent in package.parents
                   if (parent / SHARE_ENGINES).is_dir()]
    places.append(Path(sys.prefix) / SHARE_ENGINES)
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    places += [Path(prefix) / SHARE_ENGINES for prefix in prefixes if prefix]
    return list(dict.fromkeys(places))


def _check_entry(path: Path, name: str, entry: Any) -> None:
    expected = {"file": str, "sha256": str, "bytes": int}
    if not isinstance(entry, dict) or any(
            not isinstance(entry.get(key), kind) for key, kind in expected.items()):
        raise ModelError(f"{path}: expected 'file', 'sha256' and 'bytes' in entry '{name}', got "
                         f"{sorted(entry) if isinstance(entry, dict) else entry!r}; {REMEDY}")
    if Path(entry["file"]).name != entry["file"] or entry["file"] in ("", ".", ".."):
        raise ModelError(f"{path}: expected a plain file name in entry '{name}', got "
                         f"{entry['file']!r}; models lie beside their manifest")
    if "data" in entry:
        _check_entry(path, f"{name}.data", entry["data"])


def _file_sha256(path: Path, state: os.stat_result) -> str:
    key = (str(path.resolve()), state.st_mtime_ns, state.st_size)
    if key not in _HASHES:
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
        _HASHES[key] = digest.hexdigest()
    return _HASHES[key]
