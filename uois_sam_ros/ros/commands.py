"""The verb ``node``. Heavy imports happen inside the handler."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..config import PRESETS
from ..errors import InputError

DESCRIPTION = """\
Run the ROS 2 node: RGB-D topics in, instance masks out. With ROS 2 sourced it is an ordinary rclpy
node; without, it speaks to a ROS 2 graph through Cyclone DDS (pip install 'uois_sam_ros[dds]').
Everything after --ros-args is what 'ros2 run uois_sam_ros uois_sam_node --ros-args' takes."""
EPILOG = """\
examples:
  uois-sam node --ros-args -p color_topic:=/camera/color/image_raw \\
      -p depth_topic:=/camera/aligned_depth_to_color/image_raw -p camera_info_topic:=/camera/color/camera_info
  uois-sam node --ros-args -r __ns:=/left --params-file params.yaml
  uois-sam node --write-params params.yaml         every parameter, its default and what it does"""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb."""
    parser = subparsers.add_parser("node", help="run the ROS 2 node (with or without a ROS install)",
                                   description=DESCRIPTION, epilog=EPILOG,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write-params", type=Path, metavar="FILE",
                        help="write a parameter file with all defaults, and do nothing else")
    parser.add_argument("--preset", default="compact", choices=sorted(PRESETS),
                        help="preset of the file that --write-params writes (default compact)")
    parser.add_argument("--ros-args", nargs=argparse.REMAINDER, default=[], metavar="ARG",
                        help="remaps (-r from:=to), parameters (-p name:=value), --params-file, --log-level")
    parser.set_defaults(handler=run_node)


def run_node(args: argparse.Namespace) -> int:
    """Run the node until it is stopped, or write its parameters."""
    if args.write_params:
        from .params import params_yaml

        try:
            args.write_params.write_text(params_yaml(args.preset))
        except OSError as error:
            raise InputError(f"--write-params {args.write_params}: expected a writable file, got: {error.strerror}; "
                             "choose another path") from error
        print(f"wrote {args.write_params}")
        return 0
    from .main import main

    return main(["uois_sam_node", *(["--ros-args", *args.ros_args] if args.ros_args else [])])
