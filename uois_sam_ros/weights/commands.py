"""The verbs ``weights`` (list, check, fetch) and ``export``. Heavy imports happen inside the handlers."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ModelError

SOURCES = (("sam", "official SAM checkpoint, or one in its format"),
           ("dinov2", "official DINOv2 checkpoint"),
           ("hpg", "prompt generator that 'uois-sam train hpg' wrote"),
           ("hdnet", "rescorer that 'uois-sam train hdnet' wrote"))
EXPORT_EPILOG = """\
examples:
  uois-sam export --preset paper --sam sam_vit_l_0b3195.pth --dinov2 dinov2_vits14_pretrain.pth \\
      --hpg hpg.pth --hdnet hdnet.pth --out models/paper
  uois-sam export --preset paper --hdnet newer.pth --out models/paper      replace one network
  uois-sam export --preset paper-tiny --random --out models/trial          fresh weights, to try and time
  uois-sam segment INPUT --preset paper --model-dir models/paper --out out"""
WEIGHTS_EPILOG = """\
examples:
  uois-sam weights list
  uois-sam weights fetch sam_vit_l --out weights        1.2 GB; run it again to continue
  uois-sam weights check weights/*.pth"""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verbs."""
    weights = subparsers.add_parser(
        "weights", help="official weight files: where they are, whether yours are right, download",
        description="Official weight files. Nothing is downloaded unless 'fetch' is asked for it.",
        epilog=WEIGHTS_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = weights.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="where each file officially lives, its licence, size and sha256")
    listing.set_defaults(handler=run_list)
    check = actions.add_parser("check", help="tell what files hold and whether they are the official ones; 1 when one "
                                             "cannot be used")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")
    check.set_defaults(handler=run_check)
    fetch = actions.add_parser("fetch", help="download, continue and verify")
    fetch.add_argument("name", metavar="NAME", help="as 'uois-sam weights list' names it")
    fetch.add_argument("--out", default="weights", metavar="DIR", help="where the file goes (default %(default)s)")
    fetch.add_argument("--url", default="", help="a mirror instead of the official address; the sha256 must agree")
    fetch.set_defaults(handler=run_fetch)

    export = subparsers.add_parser(
        "export", help="turn checkpoints into the ONNX models of a paper preset", epilog=EXPORT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Write the networks of a preset as ONNX with their manifest. Needs the train extra.")
    export.add_argument("--preset", required=True, metavar="NAME", help="paper, paper-b, paper-h, shared, ...")
    for option, text in SOURCES:
        export.add_argument(f"--{option}", metavar="FILE", help=text)
    export.add_argument("--out", required=True, metavar="DIR", help="model folder; what it already has may be left out")
    export.add_argument("--random", action="store_true",
                        help="fresh weights for what is neither given nor there: for timing, the masks mean nothing")
    export.add_argument("--seed", type=int, default=0, metavar="N", help="of the fresh weights (default %(default)s)")
    export.set_defaults(handler=run_export)


def run_list(args: argparse.Namespace) -> int:
    """Print the official files."""
    from ..models.official import OFFICIAL

    for entry in OFFICIAL.values():
        print(f"{entry.name:14} {entry.title}, {entry.bytes / 1e6:.0f} MB, licence {entry.licence} ({entry.home})\n"
              f"{'':14} {entry.url}\n{'':14} {entry.bytes} bytes, sha256 {entry.sha256}")
    print("\nThe authors publish no sha256; these are what several public projects record for the same addresses.")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Say what every file is; 1 when one of them cannot be used."""
    bad = 0
    for path in args.files:
        try:
            print(f"ok    {path}: {_describe(path)}")
        except ModelError as error:
            bad += 1
            print(f"FAIL  {error}")
    return 1 if bad else 0


def run_fetch(args: argparse.Namespace) -> int:
    """Download one file."""
    from ..models.official import official_file
    from .fetch import fetch

    entry = official_file(args.name)
    print(f"wrote {fetch(entry, args.out, url=args.url)}: {entry.title}, sha256 agrees, licence {entry.licence}")
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Write the networks of a preset."""
    from ..training.export_preset import export_preset

    files = {name: getattr(args, name) for name, _ in SOURCES if getattr(args, name)}
    for path in export_preset(args.preset, files, args.out, random=args.random, seed=args.seed):
        print(f"wrote {path}")
    return 0


def _describe(path: Path) -> str:
    """What a file holds.

    Raises:
        ModelError: missing, damaged, unknown, or an impostor.
    """
    from .verify import refuse_impostor

    if not path.is_file():
        raise ModelError(f"checkpoint {path}: expected a file, got {'a folder' if path.is_dir() else 'none'}")
    official = refuse_impostor(path)
    if official is not None:
        return f"{official.title}, the official file"
    try:
        from ..models.networks import identify_checkpoint
    except ImportError:
        raise ModelError(f"checkpoint {path}: expected an official file, got another one, and torch, which could tell "
                         "what it is, is not installed; pip install torch==2.13.0") from None
    return f"{identify_checkpoint(path)}, readable and complete, but not an official file"
