"""The folder of built engines: one plan and one sidecar a key, written whole or not at all.

A plan is bytes here; nothing in this file knows TensorRT. The sidecar ``<key>.json`` says what the plan is tied to
(its identity), what shapes it takes, the plan's sha256, how it was built and how it compares with the reference; its
own digest covers all of that, so that an edited sidecar is refused like a cut plan.

Over 250 lines because finding, refusing and writing share one format.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..errors import BackendError, ModelError
from .engine_lock import locked
from .parity_report import ParityReport

FORMAT = 1
#: Room to keep free beyond the plan itself, bytes.
SPARE_BYTES = 64 << 20
BUILD = "uois-sam engines build"
#: Identity field -> how a message calls it.
_CALLED = {"onnx_sha256": "ONNX file", "backend": "backend", "version": "library version", "gpu": "GPU",
           "compute_capability": "compute capability", "options": "builder options", "precision": "precision"}


class EngineError(ModelError):
    """No engine that may be used here; ``rebuild`` says whether building one is the remedy."""

    def __init__(self, message: str, *, rebuild: bool = True) -> None:
        super().__init__(message)
        self.rebuild = rebuild


@dataclass(frozen=True)
class EngineIdentity:
    """What an engine is tied to; all of it goes into the key.

    Attributes:
        network: name in ``models/spec.py``.
        onnx_sha256: of the file it was built from.
        precision: of that file: fp32, fp16 or int8.
        backend, version: library and its version.
        gpu, compute_capability: "Orin", "8.7".
        options: builder options as (name, value).
    """

    network: str
    onnx_sha256: str
    precision: str
    backend: str
    version: str
    gpu: str
    compute_capability: str
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def key(self) -> str:
        """File name without suffix."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return f"{self.network}-{self.precision}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {**asdict(self), "options": dict(self.options)}

    def differences(self, other: EngineIdentity) -> str:
        """Say in words what of ``other`` is not as here; "" when nothing differs."""
        parts = []
        for name, called in _CALLED.items():
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                mine, theirs = (dict(value) if isinstance(value, tuple) else str(value)[:40]
                                for value in (mine, theirs))
                parts.append(f"{called} {theirs} instead of {mine}")
        return ", ".join(parts)


@dataclass(frozen=True)
class Engine:
    """A sidecar that was read and checked.

    Attributes:
        path: of the sidecar. plan: path of the plan.
        sha256, size: of the plan.
        profiles: dimension letter -> (min, opt, max).
        parity: figures; ``None`` before they were measured.
        build: seconds, date and command of the build.
    """

    path: Path
    identity: EngineIdentity
    plan: Path
    sha256: str
    size: int
    profiles: Mapping[str, tuple[int, int, int]]
    parity: ParityReport | None = None
    build: Mapping[str, Any] = field(default_factory=dict)

    def read_plan(self) -> bytes:
        """Return the plan after checking its size and sha256.

        Raises:
            EngineError: missing, cut or changed.
        """
        try:
            content = self.plan.read_bytes()
        except OSError as error:
            raise EngineError(f"engine {self.plan}: expected a readable file, got: {error.strerror}; run '{BUILD}'"
                              ) from error
        if len(content) != self.size:
            raise EngineError(f"engine {self.plan}: expected {self.size} bytes, got {len(content)} (cut or replaced); "
                              f"run '{BUILD}'")
        got = hashlib.sha256(content).hexdigest()
        if got != self.sha256:
            raise EngineError(f"engine {self.plan}: expected sha256 {self.sha256}, got {got} (changed); run '{BUILD}'")
        return content

    def require_parity(self) -> ParityReport:
        """Return the figures.

        Raises:
            EngineError: never measured, or below the gate.
        """
        if self.parity is None:
            raise EngineError(f"engine {self.plan}: expected figures that compare it with the fp32 reference, got "
                              f"none; run '{BUILD}'")
        if not self.parity.passed:
            gate = self.parity.gate
            safer = (f"export a safer precision: uois-sam engines export --precision {self.parity.safer}"
                     if self.parity.safer else "report it with the log beside the engine")
            raise EngineError(
                f"engine {self.plan}: expected mask IoU >= {gate.mask_iou:g}, score error <= {gate.score_error:g}, "
                f"instance F >= {gate.instance_f:g}, got {self.parity}; {safer}", rebuild=False)
        return self.parity


def default_cache() -> Path:
    """Return ``$XDG_CACHE_HOME/uois_sam_ros`` (``~/.cache/uois_sam_ros``)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "uois_sam_ros"


class EngineStore:
    """Reads and writes engines in one folder.

    Args:
        folder: "" for ``default_cache()``.
    """

    def __init__(self, folder: str | Path = "") -> None:
        self.folder = Path(folder).expanduser() if folder else default_cache()

    def lock_path(self, identity: EngineIdentity) -> Path:
        return self.folder / f"{identity.key}.lock"

    def log_path(self, identity: EngineIdentity) -> Path:
        return self.folder / f"{identity.key}.log"

    def timing_path(self, identity: EngineIdentity) -> Path:
        """One timing cache a library version and GPU."""
        name = f"{identity.backend}-{identity.version}-{identity.gpu}".replace(" ", "_").replace("/", "_")
        return self.folder / f"{name}.timing"

    def prepare(self, need_bytes: int = 0) -> None:
        """Make the folder; refuse at once when it cannot be written or has too little room.

        Raises:
            BackendError: not writable, or the disk is full.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise BackendError(f"engine cache {self.folder}: expected a folder that can be written, got: "
                               f"{error.strerror}; choose another with runtime.cache or --cache") from error
        if free < need_bytes + SPARE_BYTES:
            raise BackendError(
                f"engine cache {self.folder}: expected {(need_bytes + SPARE_BYTES) >> 20} MB of free space, got "
                f"{free >> 20} MB; run 'uois-sam engines clean', or choose another with runtime.cache or --cache")

    def find(self, identity: EngineIdentity) -> Engine:
        """Return the engine with this identity; its plan is not read yet.

        Raises:
            EngineError: there is none (the message says how others of this network differ), or its sidecar is not
                the one that was written.
        """
        path = self.folder / f"{identity.key}.json"
        if path.exists():
            engine = self.read(path)
            different = identity.differences(engine.identity)
            if different or engine.identity.network != identity.network:
                raise EngineError(f"engine {path}: expected one of {identity.network} for this machine, got one with "
                                  f"{different or engine.identity.network}; run '{BUILD}'")
            return engine
        others = [engine for engine in self.engines()[0] if engine.identity.network == identity.network
                  and engine.identity.backend == identity.backend]
        nearest = min((identity.differences(engine.identity) for engine in others), default="", key=len)
        got = f"one with {nearest}" if nearest else "none"
        raise EngineError(
            f"engine {identity.network}: expected one in {self.folder} for {identity.gpu} "
            f"({identity.compute_capability}), {identity.backend} {identity.version}, got {got}; run '{BUILD}', or "
            "set runtime.build: missing")

    def engines(self) -> tuple[list[Engine], list[str]]:
        """Return every engine that can be read, and why the others cannot."""
        good, bad = [], []
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []:
            try:
                good.append(self.read(path))
            except EngineError as error:
                bad.append(str(error))
        return good, bad

    def read(self, path: Path) -> Engine:
        """Read one sidecar.

        Raises:
            EngineError: unreadable, edited, of another format or incomplete.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            digest = content.pop("digest", None)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise EngineError(f"engine {path}: expected a readable sidecar, got: {error}; run '{BUILD}'") from error
        if content.get("format") != FORMAT:
            raise EngineError(f"engine {path}: expected sidecar format {FORMAT}, got {content.get('format')!r}; run "
                              f"'{BUILD}'")
        if digest != _digest(content):
            raise EngineError(f"engine {path}: expected the sidecar as it was written, got a changed one; run "
                              f"'{BUILD}'")
        entry = dict(content["identity"])
        identity = EngineIdentity(**{**entry, "options": tuple(sorted(entry["options"].items()))})
        parity = None if content["parity"] is None else ParityReport.from_json(content["parity"])
        profiles = {letter: tuple(sizes) for letter, sizes in content["profiles"].items()}
        return Engine(path, identity, path.with_suffix(".plan"), content["sha256"], content["bytes"], profiles, parity,
                      content["build"])

    def write(self, identity: EngineIdentity, plan: bytes, profiles: Mapping[str, tuple[int, int, int]],
              build: Mapping[str, Any]) -> Engine:
        """Write a plan and its sidecar, the sidecar last; the engine has no parity figures yet.

        Raises:
            BackendError: the disk is full or not writable; nothing is left behind.
        """
        path = self.folder / f"{identity.key}.json"
        engine = Engine(path, identity, path.with_suffix(".plan"), hashlib.sha256(plan).hexdigest(), len(plan),
                        dict(profiles), None, dict(build))
        path.unlink(missing_ok=True)  # an old sidecar must not vouch for the new plan
        write_atomically(engine.plan, plan)
        return self._write_sidecar(engine)

    def set_parity(self, engine: Engine, parity: ParityReport) -> Engine:
        """Write the figures into the sidecar and return the engine with them."""
        return self._write_sidecar(replace(engine, parity=parity))

    def clean(self, *, keep: frozenset[str] = frozenset()) -> list[Path]:
        """Delete everything but the keys to keep and what is being built now; return what was deleted."""
        deleted = []
        for path in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            ours = path.suffix in (".json", ".plan", ".log", ".timing", ".lock", ".part")
            key = path.name.split(".part")[0] if path.suffix == ".part" else path.stem
            if ours and key not in keep and not locked(self.folder / f"{key}.lock"):
                path.unlink(missing_ok=True)
                deleted.append(path)
        return deleted

    def _write_sidecar(self, engine: Engine) -> Engine:
        content = {
            "format": FORMAT, "identity": engine.identity.to_json(),
            "profiles": {letter: list(sizes) for letter, sizes in engine.profiles.items()},
            "sha256": engine.sha256, "bytes": engine.size, "build": dict(engine.build),
            "parity": None if engine.parity is None else engine.parity.to_json(),
        }
        text = json.dumps({**content, "digest": _digest(content)}, indent=2)
        write_atomically(engine.path, text.encode() + b"\n")
        return engine


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file in one step; a failure leaves the old one, or none.

    Raises:
        BackendError: the disk is full or not writable.
    """
    draft = path.with_name(f"{path.stem}.part{os.getpid()}.part")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BackendError(f"file {path}: expected {len(content) / 1e6:.1f} MB to be written, got: {error.strerror}; "
                           "free some space, or choose another folder with runtime.cache or --cache") from error


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
