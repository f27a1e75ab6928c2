"""The verbs ``segment``, ``eval`` and ``ladder``. Heavy imports happen inside the handlers."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError, FrameError
from ..types import Frame
from . import options
from .output import check_file, write_json
from .sources import Input


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verbs; each parser's ``handler`` takes the namespace and returns an exit code."""
    segment = subparsers.add_parser("segment", help="write label images and instances for every frame of an input")
    options.add_input_options(segment)
    options.add_segmenter_options(segment)
    segment.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    segment.add_argument("--overlay", action="store_true", help="write pictures to look at, too")
    segment.set_defaults(handler=run_segment)

    evaluate = subparsers.add_parser("eval", help="score an input that has labels, one row a source")
    options.add_input_options(evaluate)
    options.add_segmenter_options(evaluate)
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write rows and frames as JSON")
    evaluate.add_argument("--per-frame", action="store_true", help="print a row for every frame, too")
    evaluate.add_argument("--perturb", default="", metavar="shift:N", help="move depth N pixels against colour first")
    evaluate.add_argument("--split", default="", metavar="REGEX",
                          help="group frames of a source by the first match in their name, e.g. opaque|transparent")
    evaluate.set_defaults(handler=run_eval)

    ladder = subparsers.add_parser("ladder", help="what each stage earns: grid, foreground, heatmap, HDNet, depth")
    options.add_input_options(ladder)
    options.add_segmenter_options(ladder)
    ladder.add_argument("--json", type=Path, metavar="FILE", help="write all rungs and frames as JSON")
    ladder.set_defaults(handler=run_ladder)


def run_segment(args: argparse.Namespace) -> int:
    """Segment every frame; 1 when a frame was refused, else 0."""
    from ..pipeline import Segmenter
    from .evaluate import Report, score_sample, track
    from .report import format_report, format_run
    from .results import write_result

    samples = options.input_from(args)
    segmenter = Segmenter(options.config_from(args))
    scored, refused, runs = [], [], []
    for sample in track(samples, "segment"):
        where = f"{sample.source}/{sample.name}"
        try:
            if sample.frame is None:
                raise FrameError(sample.error or "unreadable")
            result = segmenter.segment(sample.frame)
        except FrameError as error:
            refused.append((where, str(error)))
            _say(f"refused {where}: {error}")
            continue
        write_result(args.out, sample.source, sample.name, sample.frame, result,
                     preset=options.preset_name(args), overlay=args.overlay)
        total_ms = float(result.timings_ms.get("total", 0.0))
        runs.append((sample.source, len(result), total_ms, result.depth_used))
        if sample.truth is not None:
            scored.append(score_sample(sample, result))
    _print_notes(samples)
    print(format_run(runs, len(refused), str(args.out)))
    if scored:
        print(format_report(Report(tuple(scored), len(runs) - len(scored), tuple(refused))))
    return 1 if refused else 0


def run_eval(args: argparse.Namespace) -> int:
    """Score every labelled frame; 1 when a frame was refused or none was scored, else 0."""
    from ..pipeline import Segmenter
    from .evaluate import evaluate
    from .report import format_report

    transform = _perturbation(args.perturb)
    split = _pattern(args.split)
    check_file("--json", args.json)
    samples = options.input_from(args)
    report = evaluate(Segmenter(options.config_from(args)), samples, transform_frame=transform)
    _print_notes(samples)
    for name, reason in report.refused:
        _say(f"refused {name}: {reason}")
    if split is not None:
        report = report.split_by(split)
    print(format_report(report, per_frame=args.per_frame))
    if args.json:
        write_json(args.json, {"input": str(args.input or args.color), "preset": options.preset_name(args),
                                "perturb": args.perturb, "depth": args.depth or "", **report.to_json()})
    return 1 if report.refused or not report.frames else 0


def run_ladder(args: argparse.Namespace) -> int:
    """Compare the rungs of the ladder; 1 when a frame was refused or none was scored, else 0."""
    from .ladder import run_rungs
    from .ladder_report import format_ladder

    check_file("--json", args.json)
    samples = options.input_from(args)
    result = run_rungs(options.config_from(args), samples)
    _print_notes(samples)
    for name, reason in result.refused:
        _say(f"refused {name}: {reason}")
    print(format_ladder(result))
    if args.json:
        write_json(args.json, {"input": str(args.input), "preset": options.preset_name(args), **result.to_json()})
    return 1 if result.refused or not result.frames else 0


def _perturbation(text: str) -> Callable[[Frame], Frame] | None:
    from .evaluate import shift_depth

    if not text:
        return None
    kind, _, amount = text.partition(":")
    if kind != "shift" or not re.fullmatch(r"[+-]?\d+", amount):
        raise ConfigError(f"--perturb: expected shift:N with whole pixels N, got '{text}'")
    return shift_depth(int(amount))


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ConfigError(f"--split: expected a regular expression, got '{text}' ({error})") from error


def _say(line: str) -> None:
    """Write to stderr without tearing the progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def _print_notes(samples: Input) -> None:
    """Print what the reader has to say: topics chosen, images left out."""
    for note in getattr(samples, "notes", []):
        _say(note)
