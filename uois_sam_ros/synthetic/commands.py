"""The verb ``synth``. Heavy imports happen inside the handler."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ConfigError

DESCRIPTION = """\
Generate labelled RGB-D frames of piles, stacks, bins and tables, with physics and simulated depth
sensors. The same seed gives the same frames for any number of workers; an interrupted run goes on
where it stopped when started again with the same arguments."""
EPILOG = """\
examples:
  uois-sam synth --out data/train --scenes 2000 --seed 1 --workers 0 --preview train.png
  uois-sam synth --out data/scores --scenes 450 --seed 31 --split scores --views 2
  uois-sam synth --out data/test --scenes 60 --seed 2 --split test --width 640 --height 480"""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "synth", help="generate labelled synthetic scenes for training and tests",
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the shards")
    parser.add_argument("--scenes", required=True, type=int, metavar="N", help="number of scenes, from 1")
    parser.add_argument("--seed", required=True, type=int, metavar="S",
                        help="from 0; with the scene's number it determines everything in the scene")
    parser.add_argument("--workers", type=int, default=1, metavar="W",
                        help="processes; 0 = one a core (default 1)")
    parser.add_argument("--views", type=int, default=4, metavar="N",
                        help="frames a scene, at most (default 4)")
    parser.add_argument("--width", type=int, default=320, metavar="PX", help="pixels (default 320)")
    parser.add_argument("--height", type=int, default=240, metavar="PX", help="pixels (default 240)")
    parser.add_argument("--split", default="train", choices=("train", "scores", "test"),
                        help="scores: seven in ten objects from families that train never shows, for the stages "
                             "iou and hdnet; test: other families again, and a sensor of its own (default train)")
    parser.add_argument("--renderer", default="raycast", choices=("raycast", "pathtrace"),
                        help="pathtrace needs the pathtrace extra (default raycast)")
    parser.add_argument("--layout", default="any", metavar="NAME",
                        help="pile, tower, container, ...: the same layout for every scene (default any)")
    parser.add_argument("--preview", type=Path, metavar="PNG",
                        help="also draw a montage: colour, depth and labels of some frames")
    parser.add_argument("--preview-frames", type=int, default=12, metavar="N",
                        help="frames in the montage (default 12)")
    parser.set_defaults(handler=run_synth)


def run_synth(args: argparse.Namespace) -> int:
    """Generate the shards; 0 when all of them are there."""
    if args.workers < 0:
        raise ConfigError(f"--workers: expected 0 (one a core) or more, got {args.workers}")
    if args.preview and (args.preview.suffix.lower() != ".png" or not args.preview.parent.is_dir()):
        raise ConfigError(f"--preview: expected a .png file in a folder that exists, got {args.preview}")

    from ..runtime.base import thread_count
    from .generate import generate
    from .preview import montage
    from ..datasets.shards import ShardReader

    manifest = generate(args.out, args.scenes, args.seed, thread_count(args.workers),
                        views_per_scene=args.views, width=args.width, height=args.height,
                        split=args.split, renderer=args.renderer, layout=args.layout)
    print(f"{args.out}: {manifest['frames']} frames, {manifest['objects']} objects of "
          f"{len(manifest['families'])} families")
    if args.preview:
        montage(ShardReader(args.out), args.preview_frames, args.preview)
        print(f"preview: {args.preview}")
    return 0
