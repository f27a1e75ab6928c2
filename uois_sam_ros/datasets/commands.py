"""The verb ``dataset``: list, check, preview and to-coco. Heavy imports happen inside the handlers."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import FrameError, InputError, UoisError
from ..replay import options

if TYPE_CHECKING:
    import numpy as np

    from ..replay.sources import Sample

EPILOG = """\
examples:
  uois-sam dataset list
  uois-sam dataset check ocid /data/OCID-dataset
  uois-sam dataset check graspnet@kinect,test_seen /data/graspnet --samples 20
  uois-sam dataset preview osd /data/OSD-0.2-depth --out osd.png
  uois-sam eval ocid:/data/OCID-dataset                   the same names are inputs of every verb
  uois-sam dataset to-coco my_folder --out edit           edit/annotations.json opens in annotation tools
  uois-sam eval coco:edit                                 and is read back after mending"""
_NAME_HELP = "of 'uois-sam dataset list', with @word,word for a part of it"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb; each parser's ``handler`` takes the namespace and returns an exit code."""
    dataset = subparsers.add_parser("dataset", help="public data sets: what is known, is it complete; COCO export",
                                    epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = dataset.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="every data set: layout, loader, background, camera, parts").set_defaults(
        handler=run_list)
    check = actions.add_parser("check", help="compare with the published count, name what is missing, read samples")
    _add_dataset(check)
    check.add_argument("--samples", type=int, default=10, metavar="N",
                       help="frames to read whole; 0 = all (default 10)")
    check.set_defaults(handler=run_check)
    preview = actions.add_parser("preview", help="a picture of some frames: colour, depth, labels")
    _add_dataset(preview)
    preview.add_argument("--out", type=Path, required=True, metavar="PNG")
    preview.add_argument("--frames", type=int, default=8, metavar="N", help="how many (default 8)")
    preview.set_defaults(handler=run_preview)
    to_coco = actions.add_parser("to-coco", help="write labels as COCO annotations, to mend them in any tool")
    options.add_input_options(to_coco)
    to_coco.add_argument("--out", type=Path, required=True, metavar="DIR",
                         help="new folder for annotations and pictures")
    to_coco.add_argument("--labels", type=Path, metavar="DIR",
                         help="output folder of 'uois-sam segment': take its labels instead of those of INPUT")
    to_coco.add_argument("--polygons", action="store_true", help="outlines in place of run-length codes")
    to_coco.set_defaults(handler=run_to_coco, depth="auto")


def run_list(args: argparse.Namespace) -> int:
    """Print what is known of every data set."""
    from .registry import NAMES, reader

    for name in NAMES:
        info = reader(name).info
        counts = ", ".join(f"{count:,}{f' ({words})' if words else ''}" for words, count in info.published.items()
                           if words.count(",") == 0)
        facts = [("layout", info.layout), ("follows", info.follows), ("truth", info.truth), ("camera", info.camera),
                 ("published", counts or "-"), *((f"@{word}", text) for word, text in info.words.items()),
                 ("status", info.verified)]
        print(f"{name}: {info.title}")
        print("\n".join(f"  {key:<14}{text}" for key, text in facts))
    print("\nEach is an input of segment, eval, ladder, ...: NAME:ROOT, or NAME@word,word:ROOT for a part of it.")
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Check a data set; 1 when something is missing or was refused, else 0."""
    from .check import check_dataset, format_check
    from .registry import open_dataset

    if args.samples < 0:
        raise InputError(f"--samples: expected 0 (all) or more, got {args.samples}")
    found = check_dataset(open_dataset(args.name, args.root), args.samples, progress=True)
    print(format_check(found))
    return 0 if found.passed else 1


def run_preview(args: argparse.Namespace) -> int:
    """Draw some frames; 1 when one of them was refused, else 0."""
    from .preview import write_preview
    from .registry import open_dataset

    if args.frames < 1:
        raise InputError(f"--frames: expected 1 or more, got {args.frames}")
    refused = write_preview(open_dataset(args.name, args.root), args.out, args.frames)
    for sample in refused:
        print(f"refused {sample.source}/{sample.name}: {sample.error}", file=sys.stderr)
    print(f"wrote {args.out}")
    return 1 if refused else 0


def run_to_coco(args: argparse.Namespace) -> int:
    """Export frames; 1 when one was refused or there was none, else 0."""
    from ..replay.evaluate import track
    from .coco_export import ANNOTATIONS, CocoWriter

    samples = options.input_from(args)
    labelled, objects, refused = 0, 0, 0
    with CocoWriter(args.out, polygons=args.polygons) as writer:
        for sample in track(samples, "to-coco"):
            try:
                if sample.frame is None:
                    raise FrameError(sample.error or "unreadable")
                label, scores = _labels_of(sample, args.labels)
                objects += writer.add(sample.source, sample.name, sample.frame, label, ignore=sample.ignore,
                                      scores=scores)
                labelled += label is not None
            except UoisError as error:
                refused += 1
                print(f"refused {sample.source}/{sample.name}: {error}", file=sys.stderr)
        frames = len(writer.images)
    for note in getattr(samples, "notes", []):
        print(note, file=sys.stderr)
    print(f"{frames} frames, {labelled} of them labelled with {objects} objects, {refused} refused: "
          f"{args.out / ANNOTATIONS}\nread them back with coco:{args.out}")
    return 1 if refused or not frames else 0


def _labels_of(sample: Sample, folder: Path | None) -> tuple[np.ndarray | None, dict[int, float] | None]:
    """Return the label image of a sample, and the scores of its objects where it was predicted."""
    from ..images import read_label

    if folder is None:
        return sample.truth, None
    stem = folder / sample.source / sample.name
    label = read_label(Path(f"{stem}_label.png"))
    return label, dict(_scores(Path(f"{stem}.json")))


def _scores(file: Path) -> Iterator[tuple[int, float]]:
    if not file.exists():
        return
    try:
        for item in json.loads(file.read_text())["instances"]:
            yield int(item["id"]), float(item["score"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: expected the instances that 'uois-sam segment' wrote, got: {error!r}; segment "
                         "again") from error


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help=_NAME_HELP)
    parser.add_argument("root", metavar="ROOT", type=Path, help="its folder")
