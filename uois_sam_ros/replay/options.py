"""Command-line options that the verbs share, and what they turn into."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..config import DEPTH_MODES, SegmenterConfig, load_config, preset, update
from ..errors import ConfigError, InputError
from ..types import Intrinsics
from .sources import Input, InputOptions, Sample, open_input


def add_input_options(parser: argparse.ArgumentParser) -> None:
    """Add INPUT and everything that helps to read it."""
    parser.add_argument("input", nargs="?", metavar="INPUT",
                        help="recording (rosbag2 folder, .mcap or .db3), folder of <name>_color.png files, "
                             "folder of such folders, folder of synthetic shards, or NAME:ROOT of a data set "
                             "(ocid:/data/OCID; see: uois-sam dataset list)")
    parser.add_argument("--max-frames", type=int, default=0, metavar="N", help="stop after N frames; 0 = all")
    group = parser.add_argument_group("reading the input")
    group.add_argument("--color", default="", metavar="FILE", help="a single colour picture instead of INPUT")
    group.add_argument("--depth-image", default="", metavar="FILE", help="its depth picture, uint16")
    add_reading_options(group)


def add_reading_options(group: argparse._ActionsContainer) -> None:
    """Add what a recording does not say by itself: intrinsics, depth scale, topics, slop."""
    group.add_argument("--intrinsics", type=parse_intrinsics, metavar="FX,FY,CX,CY",
                       help="of the colour camera, pixels; overrides what the input says")
    group.add_argument("--depth-scale", type=float, metavar="S",
                       help="metres per unit of integer depth (0.001 = millimetres); overrides what the input says")
    for name in ("color", "depth", "info", "truth"):
        group.add_argument(f"--{name}-topic", default="", metavar="TOPIC", help="of a recording; default: detected")
    group.add_argument("--slop", type=float, default=0.02, metavar="SECONDS",
                       help="colour and depth further apart than this are no pair (default 0.02)")


def add_segmenter_options(parser: argparse.ArgumentParser) -> None:
    """Add the choice of preset, models and backend."""
    parser.add_argument("--preset", default=None, metavar="NAME", help="configuration to start from (default compact)")
    parser.add_argument("--config", default=None, metavar="FILE", help="YAML with settings that differ from a preset")
    parser.add_argument("--backend", default=None, metavar="NAME",
                        help="onnxruntime (default), torch, openvino, tensorrt or tensorrt_rtx")
    parser.add_argument("--depth", default=None, choices=DEPTH_MODES,
                        help="auto: use depth where there is some; off: colour only; require: refuse frames without")
    parser.add_argument("--model-dir", default=None, metavar="DIR", help="folder with manifest.json (default: shipped)")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="CPU threads; 0 = all")


def parse_intrinsics(text: str) -> Intrinsics:
    """Parse ``fx,fy,cx,cy`` (argparse type)."""
    try:
        fx, fy, cx, cy = (float(part) for part in text.split(","))
        return Intrinsics(fx, fy, cx, cy)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected four numbers fx,fy,cx,cy in pixels, got '{text}'") from error


def input_from(args: argparse.Namespace) -> Input:
    """Open the input that the options describe.

    Raises:
        InputError: see ``open_input``.
    """
    reading = reading_options(args)
    samples = open_input(args.input, replace(reading, color=args.color, depth=args.depth_image))
    return FirstFrames(samples, args.max_frames) if args.max_frames > 0 else samples


def reading_options(args: argparse.Namespace) -> InputOptions:
    """Return what the options say about reading a recording.

    Raises:
        InputError: a number outside its range.
    """
    if args.depth_scale is not None and not 0 < args.depth_scale < float("inf"):
        raise InputError(f"--depth-scale: expected metres per unit, above 0, got {args.depth_scale:g}")
    if args.max_frames < 0:
        raise InputError(f"--max-frames: expected 0 (all) or more, got {args.max_frames}")
    return InputOptions(args.color_topic, args.depth_topic, args.info_topic, args.truth_topic, args.slop,
                        args.intrinsics, args.depth_scale, read_depth=args.depth != "off")


def config_from(args: argparse.Namespace) -> SegmenterConfig:
    """Return the configuration that the options describe.

    Raises:
        ConfigError: unknown preset or key, value outside its range.
    """
    if args.config and args.preset:
        raise ConfigError(f"--preset {args.preset}: expected either --preset or --config, got both; "
                          f"write 'preset: {args.preset}' into {args.config}")
    base = load_config(args.config) if args.config else preset(args.preset or "compact")
    changes: dict[str, Any] = {"encoding": {}, "runtime": {}}
    for section, key, value in (("encoding", "depth", args.depth), ("runtime", "backend", args.backend),
                                ("runtime", "model_dir", args.model_dir), ("runtime", "threads", args.threads)):
        if value is not None:
            changes[section][key] = value
    return update(base, changes)


class FirstFrames:
    """The first ``limit`` samples of an input."""

    def __init__(self, samples: Input, limit: int) -> None:
        self._samples, self._limit = samples, limit
        self.count: int | None = limit if samples.count is None else min(limit, samples.count)

    @property
    def notes(self) -> list[str]:
        """What the reader has to say."""
        return list(getattr(self._samples, "notes", []))

    def __iter__(self) -> Iterator[Sample]:
        """Yield at most ``limit`` samples."""
        yield from islice(iter(self._samples), self._limit)


def preset_name(args: argparse.Namespace) -> str:
    """Return what to call the configuration in results."""
    return args.preset or (Path(args.config).stem if args.config else "compact")

