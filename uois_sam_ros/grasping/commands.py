"""The verbs ``grasp`` and ``grasp-node``. Heavy imports happen inside the handlers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError, FrameError
from ..replay import options

if TYPE_CHECKING:
    from .points import View

#: Source, name, view -> the ids that were written.
Exporter = Callable[[str, str, "View"], tuple[int, ...]]
DESCRIPTION = """\
Segment every frame of an input and write what a grasp planner reads. Depth is needed. Ids are those of the label
image; an object with fewer than --min-points points with depth is left out, a frame without any object is refused."""
NODE_DESCRIPTION = """\
Join the label image of a running node with depth and camera info, and hand one GSNet input for the scene and one
for every object to a planner: to the Python function that the parameter 'plan' names, or into files."""
NODE_EPILOG = """\
example:
  uois-sam grasp-node --ros-args -p depth_topic:=/camera/aligned_depth_to_color/image_raw \\
      -p camera_info_topic:=/camera/color/camera_info -p plan:=my_planner:plan"""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verbs; each parser's ``handler`` takes the namespace and returns an exit code."""
    grasp = subparsers.add_parser("grasp", help="segment an input and write it as a grasp planner reads it",
                                  description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    formats = grasp.add_subparsers(dest="format", metavar="FORMAT", required=True)
    graspness = _add_format(formats, "graspness", _graspness, "GSNet: arrays of the scene and of every object (.npz)")
    graspness.add_argument("--points", type=int, default=15000, metavar="N", help="in every input (default 15000)")
    graspness.add_argument("--context", type=float, default=0.0, metavar="M",
                           help="add what lies within M metres of an object to its input; 0 (default) = nothing")
    graspness.add_argument("--seed", type=int, default=0, metavar="S", help="of the sampling (default 0)")
    tree = _add_format(formats, "graspnet", _graspnet, "GraspNet-1Billion folders; 1280x720 only, needs SciPy")
    tree.add_argument("--camera", default="realsense", choices=("realsense", "kinect"),
                      help="folder inside a scene (default realsense)")
    tree.add_argument("--first-scene", type=int, default=0, metavar="N",
                      help="number of the first scene (default 0; the test split begins at 100)")
    tree.add_argument("--method", default="uois_sam", metavar="NAME", help="of NAME_mask/ (default uois_sam)")
    _add_format(formats, "graspnet-demo", _graspnet_demo,
                "what the demo of graspnet-baseline reads, with a 1-bit workspace mask; 1280x720 only, needs SciPy")
    anygrasp = _add_format(formats, "anygrasp", _anygrasp, "AnyGrasp: points, colours, ids for region_steering")
    anygrasp.add_argument("--max-depth", type=float, default=1.0, metavar="M",
                          help="drop what is farther away, metres (default 1)")
    contact = _add_format(formats, "contact-graspnet", _contact_graspnet, "Contact-GraspNet: one .npz a frame")
    contact.add_argument("--z-range", type=float, nargs=2, default=(0.2, 1.8), metavar=("NEAR", "FAR"),
                         help="what the planner is run with, metres (default 0.2 1.8)")

    node = subparsers.add_parser("grasp-node", help="feed a grasp planner from the topics of a running node",
                                 description=NODE_DESCRIPTION, epilog=NODE_EPILOG,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    node.add_argument("--ros-args", nargs=argparse.REMAINDER, default=[], metavar="ARG",
                      help="remaps (-r from:=to), parameters (-p name:=value), --params-file, --log-level")
    node.set_defaults(handler=run_node)


def run_grasp(args: argparse.Namespace) -> int:
    """Segment and export every frame; 1 when a frame was refused or there was none, else 0."""
    from ..pipeline import Segmenter
    from ..replay.evaluate import track
    from .points import View

    if args.depth == "off":
        raise ConfigError("--depth off: expected depth to be used, got colour only; grasp planners work on points")
    if args.min_points < 1:
        raise ConfigError(f"--min-points: expected 1 or more, got {args.min_points}")
    export = args.exporter(args)
    samples = options.input_from(args)
    segmenter = Segmenter(options.config_from(args))
    written, objects, refused = 0, 0, 0
    for sample in track(samples, f"grasp {args.format}"):
        try:
            if sample.frame is None:
                raise FrameError(sample.error or "unreadable")
            if sample.frame.depth_m is None:
                raise FrameError("expected a frame with depth, got colour only; grasp planners work on points")
            ids = export(sample.source, sample.name, View.of(sample.frame, segmenter.segment(sample.frame)))
        except FrameError as error:
            refused += 1
            _say(f"refused {sample.source}/{sample.name}: {error}")
            continue
        written, objects = written + 1, objects + len(ids)
    for note in getattr(samples, "notes", []):
        _say(note)
    print(f"{written} frames with {objects} objects written to {args.out}, {refused} refused")
    return 1 if refused or not written else 0


def run_node(args: argparse.Namespace) -> int:
    """Run the consumer node until it is interrupted."""
    from .consumer import main

    return main(["uois_sam_grasp_node", *(["--ros-args", *args.ros_args] if args.ros_args else [])])


def _add_format(formats: argparse._SubParsersAction, name: str, exporter: Callable[[argparse.Namespace], Exporter],
                text: str) -> argparse.ArgumentParser:
    parser = formats.add_parser(name, help=text, description=f"{text}.")
    options.add_input_options(parser)
    options.add_segmenter_options(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the files")
    parser.add_argument("--min-points", type=int, default=50, metavar="N",
                        help="leave out objects with fewer points with depth (default 50)")
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS,
                        help="show the traceback of an error")
    parser.set_defaults(handler=run_grasp, exporter=exporter)
    return parser


def _graspness(args: argparse.Namespace) -> Exporter:
    from .graspness import GraspnessSettings, write_graspness

    settings = GraspnessSettings(points=args.points, context_m=args.context, min_points=args.min_points,
                                 seed=args.seed)
    return lambda source, name, view: write_graspness(args.out, source, name, view, settings)


def _graspnet(args: argparse.Namespace) -> Exporter:
    from .graspnet_tree import GraspNetTree

    return GraspNetTree(args.out, camera=args.camera, first_scene=args.first_scene, method=args.method,
                        min_points=args.min_points).add


def _graspnet_demo(args: argparse.Namespace) -> Exporter:
    from .graspnet_tree import require_scipy, write_graspnet_demo

    require_scipy()
    return lambda source, name, view: write_graspnet_demo(args.out, source, name, view, min_points=args.min_points)


def _anygrasp(args: argparse.Namespace) -> Exporter:
    from .anygrasp import write_anygrasp

    if not args.max_depth > 0:
        raise ConfigError(f"--max-depth: expected metres above 0, got {args.max_depth:g}")
    return lambda source, name, view: write_anygrasp(args.out, source, name, view, max_depth_m=args.max_depth,
                                                     min_points=args.min_points)


def _contact_graspnet(args: argparse.Namespace) -> Exporter:
    from .contact_graspnet import check_z_range, write_contact_graspnet

    z_range = check_z_range(args.z_range)
    return lambda source, name, view: write_contact_graspnet(args.out, source, name, view, z_range_m=z_range,
                                                             min_points=args.min_points)


def _say(line: str) -> None:
    """Write to stderr without tearing the progress bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
