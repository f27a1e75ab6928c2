"""Run configurations over a data set; whatever an earlier start computed is taken from disk."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ... import __version__, machine
from ...config import SegmenterConfig
from ...datasets.base import Dataset
from ...errors import FrameError, InputError
from ..evaluate import FrameSegmenter, Report, ScoredFrame, track
from ..metrics import score_frame
from ..output import write_json
from ..sources import Sample
from .keys import frame_key, metric_key, run_facts, run_key, truth_key
from .prediction_cache import PredictionCache
from .score_log import ScoreLog
from .shared_models import SharedModels


@dataclass(frozen=True)
class Run:
    """One configuration to run.

    Attributes:
        label: of its row.
        preset: what to call the configuration in files.
        config: all settings.
        facts, key: what decides its answers, and the hash of that.
    """

    label: str
    preset: str
    config: SegmenterConfig
    facts: dict[str, Any] = field(repr=False)
    key: str

    @classmethod
    def of(cls, label: str, preset: str, config: SegmenterConfig) -> Run:
        """Describe a configuration; loads no network.

        Raises:
            ModelError: a network is not there.
        """
        facts = run_facts(config)
        return cls(label, preset, config, facts, run_key(facts))

    def folder(self, out: Path) -> Path:
        """Return where its results lie: a folder for each configuration, network and code."""
        return out / "runs" / f"{self.preset}-{self.key}"


@dataclass(frozen=True)
class RunResult:
    """One run on one data set.

    Attributes:
        report: scored and refused frames, in the order of the data set.
        computed: frames that were segmented now; the others came from disk.
        scores_file: per-image results, for ``uois-sam compare``.
    """

    report: Report
    computed: int
    scores_file: Path


def run_dataset(dataset: Dataset, indices: Sequence[int], runs: Sequence[Run], out: Path, *, progress: bool = True,
                make_segmenter: Callable[[SegmenterConfig], FrameSegmenter] | None = None) -> list[RunResult]:
    """Run every configuration over chosen frames of a data set.

    Predictions and scores are written frame by frame below ``out``; killed at any moment and started again, this goes
    on where it was. Networks are loaded when the first frame needs them.

    Args:
        indices: frames of the data set, ascending.
        make_segmenter: default: ``Segmenter`` with encoders that the runs share.

    Raises:
        InputError: another process is writing there, or nobody may.
        ModelError, BackendError: see ``Segmenter``.
    """
    make = make_segmenter or _sharing([run.config for run in runs])
    with _locked(out / "runs", dataset.info.name):
        workers = {run.key: _Worker(run, dataset, out, make) for run in reversed(runs)}  # equal ones run once
        try:
            for index in track(_Chosen(dataset, indices), dataset.info.name, progress):
                sample = dataset.sample(index)
                keys = ("", "") if sample.frame is None or sample.truth is None else (
                    frame_key(sample.frame), truth_key(sample.truth, sample.ignore))
                for worker in workers.values():
                    worker.take(sample, *keys)
        finally:
            for worker in workers.values():
                worker.log.close()
        results = {key: worker.finish() for key, worker in workers.items()}
        return [results[run.key] for run in runs]


class _Worker:
    """One run on one data set, frame by frame."""

    def __init__(self, run: Run, dataset: Dataset, out: Path,
                 make: Callable[[SegmenterConfig], FrameSegmenter]) -> None:
        folder, name = run.folder(out), dataset.info.name
        self._run, self._make = run, make
        self._segmenter: FrameSegmenter | None = None
        self._cache = PredictionCache(folder / name)
        self.log = ScoreLog(folder / f"{name}.jsonl", {
            "preset": run.preset, "rung": run.label, "dataset": name, "run_key": run.key, "metric_key": metric_key()})
        write_json(folder / "run.json", {"preset": run.preset, "run_key": run.key, "version": __version__,
                                         "machine": machine.describe(), **run.facts})
        self._places: list[tuple[str, str]] = []
        self._scored: list[ScoredFrame] = []
        self._refused: list[tuple[str, str]] = []
        self._unlabelled = self._computed = 0

    def take(self, sample: Sample, picture: str, truth: str) -> None:
        """Score a sample; segment it unless that was done."""
        source, name = place = sample.source, sample.name
        if sample.frame is None:
            self._places.append(place)
            self._refuse(place, sample.error or "unreadable")
            return
        if sample.truth is None:
            self._unlabelled += 1
            return
        self._places.append(place)
        known = self.log.find(source, name, picture, truth)
        if known is None:
            try:
                label, total_ms = self._answer(sample, picture)
            except FrameError as error:
                self._refuse(place, str(error))
                return
            known = score_frame(label, sample.truth, sample.ignore), total_ms
            self.log.add(source, name, picture, truth, *known)
        self._scored.append(ScoredFrame(source, name, *known, dict(sample.tags)))

    def finish(self) -> RunResult:
        """Put the score file in order and return the result."""
        self.log.finish(self._places)
        return RunResult(Report(tuple(self._scored), self._unlabelled, tuple(self._refused)), self._computed,
                         self.log.path)

    def _answer(self, sample: Sample, picture: str) -> tuple[Any, float]:
        found = self._cache.load(sample.source, sample.name, picture)
        if found is not None:
            return found.label, found.total_ms
        if self._segmenter is None:
            self._segmenter = self._make(self._run.config)
        self._computed += 1
        instances = self._segmenter.segment(sample.frame)
        self._cache.save(sample.source, sample.name, picture, sample.frame, instances, self._run.preset)
        return instances.label, round(float(instances.timings_ms.get("total", 0.0)), 3)  # as files keep it

    def _refuse(self, place: tuple[str, str], reason: str) -> None:
        self._refused.append(("/".join(place), reason))
        self.log.refuse(*place, reason)


@dataclass(frozen=True)
class _Chosen:
    """Indices for a progress bar."""

    dataset: Dataset
    indices: Sequence[int]

    @property
    def count(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)


def _sharing(configs: Sequence[SegmenterConfig]) -> Callable[[SegmenterConfig], FrameSegmenter]:
    from ...pipeline import Segmenter

    shared = SharedModels(configs)
    return lambda config: Segmenter(config, shared.of(config))


@contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """Hold the right to write results of a data set; it ends with the process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / f"{name}.lock").open("w")
    except OSError as error:
        raise InputError(f"--out {folder.parent}: expected a writable folder, got: {error}") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"--out {folder.parent}: expected no other process that works on {name} there, got one; "
                             "wait for it or choose another folder") from None
        yield
