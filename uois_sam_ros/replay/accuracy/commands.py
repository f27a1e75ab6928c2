"""The verbs ``gallery`` and ``compare``. Heavy imports happen inside the handlers."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ...errors import ConfigError, InputError
from .. import options
from ..output import check_file, write_json, write_text

GALLERY_EPILOG = """\
examples:
  uois-sam gallery folder/ --out failures.html
  uois-sam gallery osd:/data/OSD-0.2-depth --preset paper --model-dir engines --out osd.html --json osd.json
  uois-sam gallery folder/ --labels out --out failures.html     what 'uois-sam segment folder/ --out out' found
F against occlusion needs data that knows whole objects: generated shards, UOAIS-Sim."""
COMPARE_EPILOG = """\
examples:
  uois-sam eval folder/ --json a.json
  uois-sam eval folder/ --preset compact-grid --json b.json
  uois-sam compare a.json b.json
Both runs must have scored the same frames. Intervals resample frames; frames of one sequence resemble each other, so
true intervals are somewhat wider. Of many sources one in twenty shows a difference by chance."""
MOST_EXAMPLES = 20


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verbs."""
    gallery = subparsers.add_parser(
        "gallery", help="where it fails: pictures, calibration of the scores, F against size and occlusion, as a page",
        epilog=GALLERY_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_input_options(gallery)
    options.add_segmenter_options(gallery)
    gallery.add_argument("--out", required=True, type=Path, metavar="HTML", help="the page to write, self-contained")
    gallery.add_argument("--json", type=Path, metavar="FILE", help="write all numbers as JSON")
    gallery.add_argument("--labels", type=Path, metavar="DIR",
                         help="take the answers from an output folder of 'uois-sam segment' instead of segmenting")
    gallery.add_argument("--examples", type=int, default=6, metavar="N",
                         help=f"pictures of each kind of failure, 0 to {MOST_EXAMPLES} (default 6)")
    gallery.set_defaults(handler=run_gallery)

    compare = subparsers.add_parser(
        "compare", help="two runs over the same frames: differences with bootstrap intervals, a row a source",
        epilog=COMPARE_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("before", "after"):
        compare.add_argument(name, type=Path, metavar=f"{'A' if name == 'before' else 'B'}.json",
                             help="what eval --json or gallery --json wrote, or a .jsonl of reproduce")
    compare.add_argument("--json", type=Path, metavar="FILE", help="write all differences as JSON")
    compare.add_argument("--html", type=Path, metavar="FILE", help="write a page with a plot")
    compare.set_defaults(handler=run_compare)


def run_gallery(args: argparse.Namespace) -> int:
    """Write the page; 1 when a frame was refused or none was scored, else 0."""
    from .collect import collect, segmented, stored
    from .hidden import hidden_shares
    from .page import build_page
    from .text import format_findings, to_json

    if not 0 <= args.examples <= MOST_EXAMPLES:
        raise ConfigError(f"--examples: expected 0 to {MOST_EXAMPLES}, got {args.examples}")
    if args.labels and (args.preset or args.config):
        raise ConfigError("--labels: expected it without --preset and --config, got both; it has the answers already")
    if args.labels and not args.labels.is_dir():
        raise InputError(f"--labels {args.labels}: expected an output folder of 'uois-sam segment', got none")
    check_file("--out", args.out)
    check_file("--json", args.json)
    options.reading_options(args)  # refuses what is out of range
    whole = options.input_from(argparse.Namespace(**{**vars(args), "max_frames": 0}))
    samples = options.FirstFrames(whole, args.max_frames) if args.max_frames else whole
    if args.labels:
        answers, how = stored(args.labels), f"answers of {args.labels.name}"
    else:
        from ...pipeline import Segmenter

        answers = segmented(Segmenter(options.config_from(args)))
        how = f"preset {options.preset_name(args)}, depth {args.depth or 'auto'}"
    found = collect(samples, answers, hidden_shares(whole), examples=args.examples)
    for note in getattr(samples, "notes", []):
        print(note, file=sys.stderr)
    for name, reason in found.refused:
        print(f"refused {name}: {reason}", file=sys.stderr)
    print(format_findings(found))
    name = Path(args.input or args.color).name
    write_text(args.out, build_page(found, f"Failures on {name}", how))
    print(f"page: {args.out}")
    if args.json:
        write_json(args.json, {"input": name, "answers": how, **to_json(found)})
    return 1 if found.refused or not found.frames else 0


def run_compare(args: argparse.Namespace) -> int:
    """Print the differences of two runs."""
    from .compare_page import build_page
    from .compare_runs import compare_runs, format_comparison
    from .run_file import read_run

    check_file("--json", args.json)
    check_file("--html", args.html)
    found = compare_runs(read_run(args.before), read_run(args.after))
    print(format_comparison(found))
    if args.json:
        write_json(args.json, found.to_json())
    if args.html:
        write_text(args.html, build_page(found))
        print(f"page: {args.html}")
    return 0
