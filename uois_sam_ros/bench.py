"""The verb ``bench``: how long every stage takes on this machine, and how much memory.

Frames are those of the bundled recording, or boxes on a table where it is not installed. Peak
memory is read before torch is imported. ``--against torch`` alternates both backends frame by
frame, with the same weights and threads, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .config import SegmenterConfig, load_config, preset, update
from .errors import ConfigError
from .types import Frame

if TYPE_CHECKING:
    from .pipeline import Segmenter
    from .runtime.base import Model

#: Different frames that the timed ones cycle through.
DISTINCT_FRAMES = 12
WARM_UP = 3
PERCENTILES = (50, 90, 99)
EPILOG = """\
examples:
  uois-sam bench
  uois-sam bench --against torch --threads 2 --json benchmarks/two_cores.json
Times are milliseconds a frame; "networks" is the part of "total" spent inside the models."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "bench", help="time every stage on this machine", description=__doc__.split("\n\n", 1)[1],
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default=None, metavar="NAME", help="configuration (default compact)")
    parser.add_argument("--config", default=None, metavar="FILE", help="YAML with settings that differ from a preset")
    parser.add_argument("--frames", type=int, default=50, metavar="N", help="timed frames (default 50)")
    parser.add_argument("--threads", type=int, default=None, metavar="N",
                        help="CPU threads; 0 = all cores this process may use (default)")
    parser.add_argument("--against", choices=("torch",), help="compare with this backend in the same run")
    parser.add_argument("--model-dir", default=None, metavar="DIR",
                        help="folder with manifest.json (default: shipped)")
    parser.add_argument("--boxes", action="store_true", help="use boxes on a table, not the recording")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    parser.set_defaults(handler=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Measure, print and write; 0 when done."""
    if args.frames < 1:
        raise ConfigError(f"--frames: expected 1 or more, got {args.frames}")
    if args.json and not args.json.parent.is_dir():
        raise ConfigError(f"--json: expected a file in a folder that exists, got {args.json}")
    if args.config and args.preset:
        raise ConfigError(f"--config, --preset: expected one of them, got both ({args.config}, {args.preset})")
    name = args.preset or "compact"
    given = {"threads": args.threads, "model_dir": args.model_dir}
    config = update(load_config(args.config) if args.config else preset(name),
                    {"runtime": {key: value for key, value in given.items() if value is not None}})
    frames, source = example_frames(recording=not args.boxes)
    report = measure(config, frames, args.frames, args.against)
    report = {"command": " ".join(["uois-sam", *sys.argv[1:]]), "preset": args.config or name,
              "input": source, **report}
    print(format_report(report))
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


def example_frames(*, recording: bool = True) -> tuple[list[Frame], str]:
    """Return up to ``DISTINCT_FRAMES`` 640x480 frames and where they come from."""
    from .example import box_scene, bundled_recording

    path = bundled_recording() if recording else None
    if path is None:
        return [box_scene(seed=seed)[0] for seed in range(4)], "15 boxes on a table, 4 scenes"
    from .replay.sources import InputOptions, open_input

    samples = (sample.frame for sample in open_input(str(path), InputOptions()))
    frames = [frame for frame in samples if frame is not None]
    step = max(1, len(frames) // DISTINCT_FRAMES)
    return frames[::step][:DISTINCT_FRAMES], f"{path.name}, every {step}. frame"


def measure(config: SegmenterConfig, frames: Sequence[Frame], count: int,
            against: str | None = None) -> dict[str, Any]:
    """Time ``count`` frames, then again in turns with the backend ``against``.

    Returns:
        JSON values: "stages_ms" (name -> p50, p90, p99, mean), "frames_per_second" (of the median),
        "objects_mean", "peak_memory_mb", "machine", "threads", and "against" when asked for.

    Raises:
        ConfigError: ``against`` with a preset that has no networks to compare.
    """
    from . import machine
    from .runtime.base import thread_count

    segmenter, models = timed_segmenter(config)
    if against and not models:
        raise ConfigError(f"--against {against}: expected a preset with networks, got one without")
    rows, objects = _run(segmenter, models, frames, count)
    peak = machine.peak_memory_mb()
    stages = {name: summary([row[name] for row in rows]) for name in rows[0]}
    report: dict[str, Any] = {
        "picture": f"{frames[0].width}x{frames[0].height}",
        "frames": count,
        "threads": thread_count(config.runtime.threads),
        "backend": config.runtime.backend,
        "stages_ms": stages,
        "frames_per_second": round(1000 / stages["total"]["p50"], 2),
        "objects_mean": round(float(np.mean(objects)), 1),
        "peak_memory_mb": round(peak, 1),
        "machine": machine.describe(),
    }
    if against:
        report["against"] = _compare(config, segmenter, models, frames, count, against)
    return report


class TimedModel:
    """A model that adds up the milliseconds spent inside ``run``."""

    def __init__(self, model: Model) -> None:
        self.spec, self.metadata, self._model = model.spec, model.metadata, model
        self.elapsed_ms = 0.0

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the model; see ``runtime.base.Model.run``."""
        begin = perf_counter()
        outputs = self._model.run(inputs)
        self.elapsed_ms += 1000 * (perf_counter() - begin)
        return outputs


def timed_segmenter(config: SegmenterConfig) -> tuple[Segmenter, list[TimedModel]]:
    """Return a segmenter and its networks, wrapped in clocks."""
    from .pipeline import Segmenter
    from .runtime.factory import load_model

    names: list[str] = []
    if config.method == "network":
        names = [*config.encoding.encoders, config.decoding.decoder]
        names += [config.rescoring.rescorer] if config.rescoring.strategy == "hdnet" else []
    models = {name: TimedModel(load_model(name, config.runtime)) for name in names}
    return Segmenter(config, models), list(models.values())


def summary(values: Sequence[float]) -> dict[str, float]:
    """Return percentiles and mean, rounded to a hundredth."""
    result = {f"p{q}": round(float(np.percentile(values, q)), 2) for q in PERCENTILES}
    return {**result, "mean": round(float(np.mean(values)), 2)}


def _run(segmenter: Segmenter, models: Sequence[TimedModel], frames: Sequence[Frame],
         count: int) -> tuple[list[dict[str, float]], list[int]]:
    for frame in islice(cycle(frames), WARM_UP):
        segmenter.segment(frame)
    rows, objects = [], []
    for frame in islice(cycle(frames), count):
        row, found = _time_frame(segmenter, models, frame)
        rows.append(row)
        objects.append(found)
    return rows, objects


def _time_frame(segmenter: Segmenter, models: Sequence[TimedModel],
                frame: Frame) -> tuple[dict[str, float], int]:
    for model in models:
        model.elapsed_ms = 0.0
    result = segmenter.segment(frame)
    row = dict(result.timings_ms)
    row["networks"] = sum(model.elapsed_ms for model in models)
    return row, len(result)


def _compare(config: SegmenterConfig, segmenter: Segmenter, models: Sequence[TimedModel],
             frames: Sequence[Frame], count: int, against: str) -> dict[str, Any]:
    """Alternate both segmenters; a ratio above 1 says that the configured backend is faster."""
    other, other_models = timed_segmenter(
        replace(config, runtime=replace(config.runtime, backend=against)))
    pairs = []
    for turn, frame in enumerate(islice(cycle(frames), WARM_UP + count)):
        sides = [(segmenter, models), (other, other_models)]
        order = sides if turn % 2 else sides[::-1]
        timed = [_time_frame(*side, frame)[0] for side in order]
        pairs.append(tuple(timed if turn % 2 else timed[::-1]))
    pairs = pairs[WARM_UP:]
    report: dict[str, Any] = {"backend": against}
    for name in ("networks", "total"):
        report[name] = {
            "configured_ms": summary([ours[name] for ours, _ in pairs]),
            "against_ms": summary([theirs[name] for _, theirs in pairs]),
            "ratio_median": round(float(np.median([theirs[name] / ours[name]
                                                   for ours, theirs in pairs])), 2),
        }
    return report


def format_report(report: Mapping[str, Any]) -> str:
    """Return the report as text."""
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    lines = [
        f"{report['preset']}, {report['backend']}, {report['threads']} threads, {report['picture']}, "
        f"{report['frames']} frames of {report['input']}, {report['objects_mean']} objects a frame",
        f"{machine['cpu']}, {machine['cores_usable']} cores, Python {machine['python']}, {versions}",
        "",
        f"{'ms':12}" + "".join(f"{name:>9}" for name in next(iter(report["stages_ms"].values()))),
    ]
    lines += [f"{stage:12}" + "".join(f"{value:9.2f}" for value in values.values())
              for stage, values in report["stages_ms"].items()]
    lines += ["", f"{report['frames_per_second']} frames/s (median), "
                  f"peak memory {report['peak_memory_mb']:.0f} MB"]
    if "against" in report:
        other = report["against"]
        lines += [f"{name}: {other[name]['configured_ms']['p50']:.1f} ms, {other['backend']} "
                  f"{other[name]['against_ms']['p50']:.1f} ms, in turns: "
                  f"{other[name]['ratio_median']:.2f} times as fast" for name in ("networks", "total")]
    return "\n".join(lines)
