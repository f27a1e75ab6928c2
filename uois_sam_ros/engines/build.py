"""Make the engines of a configuration: find, else build under a lock, then prove."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import SegmenterConfig
from ..errors import ModelError
from ..models.spec import model_spec
from ..runtime.base import Model
from ..runtime.engine_backends import BuildJob, EngineBackend, build_options, engine_backend, identity_of
from ..runtime.engine_lock import hold
from ..runtime.engine_store import Engine, EngineError, EngineIdentity, EngineStore
from ..runtime.manifest import Manifest, find_models
from ..runtime.parity_report import ParityReport
from .parity import Parity, with_worst, worst_block
from .profiles import USUAL_HW, Profiles, covers, networks, profiles
from .progress import Progress, Say, say_stderr


@dataclass(frozen=True)
class Outcome:
    """One engine: the file, its figures, and whether it was built now."""

    engine: Engine
    built: bool

    @property
    def parity(self) -> ParityReport:
        """The figures, which every outcome has."""
        return self.engine.require_parity()


class Workshop:
    """Builds and proves the engines of one configuration on this machine.

    Args:
        config: its runtime says backend, device, model folder and cache.
        picture_hw: size of the camera's pictures, which engines are tuned for.
        reference_dir: folder of the fp32 models; "" = found from the manifest.
        say: takes lines of progress.

    Raises:
        BackendError: the library, the GPU or room on disk is missing.
        ModelError: no models.
    """

    def __init__(self, config: SegmenterConfig, *, picture_hw: tuple[int, int] = USUAL_HW, reference_dir: str = "",
                 say: Say = say_stderr) -> None:
        self.config = config
        self.names = networks(config)
        self.backend: EngineBackend = engine_backend(config.runtime.backend)
        self.target = self.backend.target(config.runtime)
        self.manifest = Manifest.load(find_models(config.runtime.model_dir))
        self.store = EngineStore(config.runtime.cache)
        self.wanted: Profiles = profiles(config, picture_hw)
        self._reference_dir = reference_dir
        self._say = say
        self._parity: Parity | None = None

    def identity(self, name: str) -> EngineIdentity:
        """Return what the engine of a network must be tied to."""
        return identity_of(name, self.manifest.entry(name), self.config.runtime, self.target,
                           build_options(self.config.runtime))

    def ensure_all(self, *, rebuild: bool = False) -> list[Outcome]:
        """Make every engine of the configuration and prove all of them together.

        Raises:
            EngineError: an engine, or all together, stay below the gate.
            BackendError: a build failed, or another builder took too long.
        """
        outcomes = [self.ensure(name, rebuild=rebuild) for name in self.names]
        if any(outcome.built for outcome in outcomes) and len(outcomes) > 1:
            self._prove_together(outcomes)
        return outcomes

    def ensure(self, name: str, *, rebuild: bool = False) -> Outcome:
        """Return the engine of one network, building and proving it if need be; raises as ``ensure_all``."""
        identity = self.identity(name)
        if not rebuild:
            found = self._usable(identity)
            if found is not None:
                return Outcome(found, built=False)
        if self.manifest.entry(name).get("int8_for", "tensorrt") != "tensorrt":
            raise ModelError(f"{name}: expected int8 models for TensorRT, got those for processors; export them again "
                             "with --int8-for tensorrt")
        onnx = self.manifest.verify(name)
        self.store.prepare(need_bytes=3 * onnx.stat().st_size)
        with hold(self.store.lock_path(identity), on_wait=lambda text: self._say(f"{name}: {text}")) as waited:
            if waited or not rebuild:  # another process may have made it in the meantime
                found = self._usable(identity)
                if found is not None:
                    return Outcome(found, built=False)
            engine = self.store.write(identity, *self._build(name, onnx, identity))
            engine = self.store.set_parity(engine, self._prove(name, engine))
        engine.require_parity()
        return Outcome(engine, built=True)

    def open(self, engine: Engine) -> Model:
        """Return a model that runs an engine, proven or not."""
        name = engine.identity.network
        return self.backend.open(model_spec(name), engine, self.config.runtime, self.manifest.entry(name))

    def _usable(self, identity: EngineIdentity) -> Engine | None:
        """Return an engine that may be used as it is, or ``None`` when one is to be built.

        Raises:
            EngineError: there is one that must not be used, and building it again would not help.
        """
        try:
            engine = self.store.find(identity)
            engine.read_plan()
            engine.require_parity()
        except EngineError as error:
            if not error.rebuild:
                raise
            return None
        return engine if covers(engine.profiles, self.wanted) else None

    def _build(self, name: str, onnx: Path, identity: EngineIdentity) -> tuple[bytes, Profiles, Mapping[str, Any]]:
        place = f"{name} ({self.names.index(name) + 1} of {len(self.names)})"
        earlier = [float(engine.build.get("seconds", 0)) for engine in self.store.engines()[0]
                   if engine.identity.network == name and engine.identity.gpu == identity.gpu]
        progress = Progress(place, self._say, max(earlier, default=0.0))
        log = self.store.log_path(identity)
        plan = self.backend.build(BuildJob(
            model_spec(name), onnx, self.wanted, build_options(self.config.runtime), log,
            self.store.timing_path(identity), progress))
        seconds = progress.done(f"{len(plan) / 1e6:.1f} MB, log {log}")
        return plan, self.wanted, {"seconds": round(seconds, 3), "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                                   "system": platform.platform()}

    def _prove(self, name: str, engine: Engine) -> ParityReport:
        self._say(f"{name}: comparing with the fp32 reference")
        report = self._proof.compare({name: self.open(engine)}, engine.identity.precision)
        if not report.passed:
            report = with_worst(report, self._worst(name))
        self._say(f"{name}: {report}")
        return report

    def _prove_together(self, outcomes: list[Outcome]) -> None:
        models = {outcome.engine.identity.network: self.open(outcome.engine) for outcome in outcomes}
        loosest = min((outcome.engine.identity.precision for outcome in outcomes), key=("int8", "fp16", "fp32").index)
        report = self._proof.compare(models, loosest)
        self._say(f"all together: {report}")
        if report.passed:
            return
        worst = min(outcomes, key=lambda outcome: outcome.parity.mask_iou).engine
        report = with_worst(report, f"{worst.identity.network} (all engines together)")
        self.store.set_parity(worst, report).require_parity()

    @property
    def _proof(self) -> Parity:
        """The reference's answers, made when they are needed first."""
        if self._parity is None:
            self._parity = Parity(self.config, str(self.reference_folder()))
        return self._parity

    def reference_folder(self) -> Path:
        """Return the folder of the fp32 models that the models of this configuration were made from.

        Raises:
            ModelError: not found.
        """
        entries = {name: self.manifest.entry(name) for name in self.names}
        wanted = {name: entry.get("source", {}).get("sha256", entry["sha256"]) for name, entry in entries.items()}
        if not self._reference_dir and all("source" not in entry for entry in entries.values()):
            return self.manifest.folder
        relative = {entry["source"]["folder"] for entry in entries.values() if "source" in entry}
        places = [Path(self._reference_dir)] if self._reference_dir else [
            *(self.manifest.folder / folder for folder in sorted(relative)), find_models()]
        for place in places:
            try:
                models = Manifest.load(place).models
            except ModelError:
                continue
            if all(name in models and models[name]["sha256"] == sha256 for name, sha256 in wanted.items()):
                return place
        raise ModelError(f"parity: expected the fp32 models that {self.manifest.folder} was made from in one of "
                         f"{', '.join(map(str, places))}, got none; name their folder with --reference")

    def _worst(self, name: str) -> str:
        """Name the operator that strays, or say that the engine strays from its own file."""
        if self.manifest.entry(name).get("precision", "fp32") == "fp32":
            return f"{name} (the engine itself, its ONNX file is fp32)"
        variant, reference = self.manifest.folder, self.reference_folder()
        inputs = self._proof.reference[name].inputs
        if not inputs:
            return name
        block = worst_block(str(variant / self.manifest.entry(name)["file"]),
                            str(reference / Manifest.load(reference).entry(name)["file"]), inputs[0])
        return f"{name}, {block}" if block else name
