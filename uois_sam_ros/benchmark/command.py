"""The verb ``bench``: how long every stage takes on this machine, and how much memory.

Frames are those of the bundled recording, or boxes on a table where it is not installed. Times are milliseconds from a
frame in numpy arrays to a label image in a numpy array. Peak memory is read before an opponent is loaded. An opponent
takes turns frame by frame, so that a busy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import SegmenterConfig, load_config, preset, update
from ..errors import ConfigError
from ..weights.commands import SOURCES

if TYPE_CHECKING:
    from .opponents import Opponent

#: Points a frame when both sides are to decode the same: the paper's limit.
SAME_POINTS = 30
#: What a preset without SAM is compared with.
OTHER_REFERENCE = "paper-b"
SWEEP_NAMES = ("prompts", "objects", "resolution", "cameras")
EPILOG = """\
examples:
  uois-sam bench
  uois-sam bench --objects 15 --against torch --threads 2 --json benchmarks/two_cores.json
  uois-sam bench --preset paper-b --against reference --frames 3           fresh weights
  uois-sam bench --against reference --reference paper-b --frames 3        compact against what one would otherwise run
  uois-sam bench --preset paper --sam sam_vit_l_0b3195.pth --dinov2 dinov2_vits14_pretrain.pth --against reference
  uois-sam bench --sweep all --json sweeps.json --plot sweeps.png
"networks" is the part of "total" inside the models, "rest" what a stage does around them."""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "bench", help="time every stage on this machine", description=__doc__.split("\n\n", 1)[1],
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default=None, metavar="NAME", help="configuration (default compact)")
    parser.add_argument("--config", default=None, metavar="FILE", help="YAML with settings that differ from a preset")
    parser.add_argument("--frames", type=int, default=None, metavar="N",
                        help="timed frames (default 50), for sweeps those of each value (default 10)")
    parser.add_argument("--threads", type=int, default=None, metavar="N",
                        help="CPU threads; 0 = all cores this process may use (default)")
    parser.add_argument("--boxes", action="store_true", help="use boxes on a table, not the recording")
    parser.add_argument("--objects", type=int, default=0, metavar="N",
                        help="frames of the recording in which about so many objects are found, or so many boxes")
    parser.add_argument("--prompts", type=int, default=None, metavar="N", help="decode that many evenly spread points "
                        f"instead of those found; 0 = those found (default; {SAME_POINTS} against the reference)")
    parser.add_argument("--starts", type=int, default=3, metavar="N",
                        help="fresh processes in which load and first frame are timed; 0 = none (default %(default)s)")
    parser.add_argument("--against", choices=("torch", "reference"), help="compare in the same run: the same networks "
                        "on torch; the paper's steps from official parts, fp32 torch eager")
    parser.add_argument("--reference", default=None, metavar="PRESET",
                        help="preset of the reference assembly (default: the one that is measured, or "
                             f"{OTHER_REFERENCE} when that has no SAM)")
    parser.add_argument("--reference-models", default="", metavar="DIR",
                        help="its model folder, when it is another preset (default: fresh weights)")
    parser.add_argument("--reference-device", default="", choices=("cpu", "cuda"),
                        help="where it runs (default: the GPU when torch has one)")
    parser.add_argument("--sweep", nargs="+", choices=(*SWEEP_NAMES, "all"), metavar="NAME",
                        help=f"time over a range instead: {', '.join(SWEEP_NAMES)} or all")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the sweeps as PNG; needs matplotlib")
    parser.add_argument("--model-dir", default=None, metavar="DIR",
                        help="folder with manifest.json (default: shipped; fresh weights for a preset with SAM)")
    for option, text in SOURCES:
        parser.add_argument(f"--{option}", metavar="FILE", help=f"{text}; for a preset with SAM")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything as JSON")
    parser.set_defaults(handler=run_bench)


def run_bench(args: argparse.Namespace) -> int:
    """Measure, print and write; 0 when done."""
    _check(args)
    name = "" if args.config else args.preset or "compact"
    given = {"threads": args.threads, "model_dir": args.model_dir}
    config = update(preset(name) if name else load_config(args.config),
                    {"runtime": {key: value for key, value in given.items() if value is not None}})
    from .weights import describe_weights, with_models

    files = {source: getattr(args, source) for source, _ in SOURCES if getattr(args, source)}
    with with_models(name, config, files) as config:
        facts = {"command": " ".join(["uois-sam", *sys.argv[1:]]), "preset": name or args.config,
                 "weights": describe_weights(config)}
        report, text = _sweep(args, config, facts) if args.sweep else _time(args, name, config, facts)
    print(text)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for path in (args.json, args.plot):
        if path:
            print(f"wrote {path}")
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raise ConfigError for requests that cannot be met, before anything is loaded."""
    if args.frames is not None and args.frames < 1:
        raise ConfigError(f"--frames: expected 1 or more, got {args.frames}")
    for option, low, high in (("objects", 0, 60), ("prompts", 0, 1024), ("starts", 0, 100)):
        value = getattr(args, option)
        if value is not None and not low <= value <= high:
            raise ConfigError(f"--{option}: expected {low} to {high}, got {value}")
    for option in ("json", "plot"):
        path = getattr(args, option)
        if path and not path.parent.is_dir():
            raise ConfigError(f"--{option}: expected a file in a folder that exists, got {path}")
    if args.config and args.preset:
        raise ConfigError(f"--config, --preset: expected one of them, got both ({args.config}, {args.preset})")
    if args.sweep and args.against:
        raise ConfigError("--sweep, --against: expected one of them, got both; run the command twice")
    if args.plot and not args.sweep:
        raise ConfigError("--plot: expected --sweep with it, got none; only sweeps are drawn")
    for option in ("reference", "reference_models", "reference_device"):
        if getattr(args, option) and args.against != "reference":
            raise ConfigError(f"--{option.replace('_', '-')}: expected --against reference with it, got none")


def _time(args: argparse.Namespace, name: str, config: SegmenterConfig,
          facts: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Time frames, and an opponent when asked for; return the report and its text."""
    from .conditions import gpu_memory_mb
    from .frames import example_frames
    from .measure import measure
    from .opponents import torch_opponent
    from .report import format_report
    from .startup import measure_startup
    from .timing import TimedSegmenter, timed_models

    points = args.prompts or 0
    against = None
    if args.against == "torch":
        against = torch_opponent(config, points)
    elif args.against == "reference":
        points = SAME_POINTS if args.prompts is None else args.prompts
        against = _reference(args, name or args.config, config, points)
    before, models = gpu_memory_mb(), timed_models(config)
    finder = TimedSegmenter(config, models)
    frames, source = example_frames(recording=not args.boxes, objects=args.objects,
                                    count=lambda frame: finder(frame).objects)
    measured = measure(config, frames, args.frames or 50, against, points=points, models=models, gpu_before_mb=before)
    report = {**facts, "input": source, **measured}
    if args.starts:
        report["startup_ms"] = {**measure_startup(config, frames[0], args.starts), "processes": args.starts}
    return report, format_report(report)


def _reference(args: argparse.Namespace, name: str, config: SegmenterConfig, points: int) -> Opponent:
    """Return the opponent that --against reference means: of the same models, or of another preset."""
    from .opponents import reference_opponent
    from .weights import needs_checkpoints

    if args.reference in (None, name) and needs_checkpoints(config):
        if args.reference_models:
            raise ConfigError("--reference-models: expected --reference with another preset than the measured one, got "
                              f"{name}; the reference takes the very models of --model-dir")
        return reference_opponent(name, config, points=points, device=args.reference_device)
    other = args.reference or OTHER_REFERENCE
    runtime = {"threads": config.runtime.threads, "model_dir": args.reference_models}
    return reference_opponent(other, update(preset(other), {"runtime": runtime}), points=points,
                              device=args.reference_device)


def _sweep(args: argparse.Namespace, config: SegmenterConfig, facts: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Run the sweeps and draw them when asked for; return the report and its text."""
    from .. import machine
    from ..runtime.base import thread_count
    from .conditions import conditions
    from .measure import COPIES
    from .plots import check_matplotlib, plot_sweeps
    from .report import format_sweeps
    from .sweeps import run_sweep
    from .timing import timed_models

    if args.plot:
        check_matplotlib()
    names = SWEEP_NAMES if "all" in args.sweep else tuple(dict.fromkeys(args.sweep))
    if config.method == "geometry" and "all" in args.sweep:
        names = tuple(name for name in names if name != "prompts")
    rounds, models = args.frames or 10, timed_models(config)
    sweeps = {name: run_sweep(name, config, rounds, models) for name in names}
    report = {**facts, "backend": config.runtime.backend, "frame_path": config.runtime.frame_path,
              "threads": thread_count(config.runtime.threads), "copies": COPIES, "rounds": rounds, "sweeps": sweeps,
              "peak_memory_mb": round(machine.peak_memory_mb(), 1),
              "conditions": conditions(), "machine": machine.describe()}
    if args.plot:
        cpu = report["machine"]["cpu"]
        plot_sweeps(sweeps, args.plot, f"{facts['preset']}, {report['backend']}, {report['threads']} threads, {cpu}")
    return report, format_sweeps(report)
