"""The verb ``reproduce``. Heavy imports happen inside the handler."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import SegmenterConfig, update
from ...errors import ConfigError, InputError
from .. import options
from ..output import write_json
from .tables import COMPARISON, DOWNLOADS, FRACTIONS, LADDER, TABLES, Table

if TYPE_CHECKING:
    from ...datasets.base import Dataset
    from .render import Coverage
    from .runner import Run, RunResult

DESCRIPTION = """\
Run a table of UOIS-SAM (arXiv 2409.15481) and print our row beside the paper's and other methods'.
  table2  OCID and OSD: comparison
  table3  PhoCAL and HouseCat6D: comparison
  table4  OCID: the ladder grid prompts, + foreground, + heatmap, + HDNet
  table5  OCID: overlap F for 1, 5, 10, 50 and 100 % of the training data
The subjects are the paper's; the numbers of its tables are as far as we know them."""
EPILOG = """\
examples:
  uois-sam reproduce table2 --root ocid=/data/OCID-dataset --root osd=/data/OSD-0.2-depth --model-dir engines
  uois-sam reproduce table2 --only osd --root osd=/data/OSD-0.2-depth --preset compact
  uois-sam reproduce table4 --root ocid=/data/OCID-dataset --frames 100 --model-dir engines
  uois-sam reproduce table5 --root ocid=/data/OCID-dataset --fraction 1=engines/p1 --fraction 100=engines/p100
Every prediction and score is kept below --out and found again when the same settings, networks and pictures come:
kill it at any moment and start it again. Per-image scores are .jsonl files for 'uois-sam compare'.
Exit code 1: a frame was refused, or none was scored."""
DEFAULT_PRESET = "paper"


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "reproduce", help="the tables of the paper: our row beside the published ones; resumes",
        description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        conflict_handler="resolve")
    parser.add_argument("table", choices=tuple(TABLES), metavar="TABLE", help="table2, table3, table4 or table5")
    parser.add_argument("--root", action="append", default=[], type=_pair, metavar="NAME=DIR",
                        help="folder of a data set; once for each that the table needs")
    parser.add_argument("--only", default="", metavar="NAME", help="this data set of the table alone")
    parser.add_argument("--frames", type=int, default=0, metavar="N",
                        help="N frames spread over each data set, for a trial; 0 = all (default)")
    parser.add_argument("--fraction", action="append", default=[], type=_pair, metavar="PERCENT=DIR",
                        help="table5: folder of the networks trained on that share of the data; repeat")
    parser.add_argument("--out", type=Path, default=Path("reproduction"), metavar="DIR",
                        help="folder for results and everything kept (default reproduction)")
    options.add_segmenter_options(parser)
    parser.add_argument("--preset", default=None, metavar="NAME", help=f"default {DEFAULT_PRESET}")
    parser.set_defaults(handler=run_reproduce)


def run_reproduce(args: argparse.Namespace) -> int:
    """Run a table; 1 when a frame was refused or none was scored, else 0."""
    from ...datasets.registry import open_dataset
    from ..sources import InputOptions
    from .runner import run_dataset

    table = TABLES[args.table]
    roots = _roots(args, table)
    if args.frames < 0:
        raise ConfigError(f"--frames: expected 0 (all) or more, got {args.frames}")
    if args.preset is None and args.config is None:
        args.preset = DEFAULT_PRESET
    runs = _runs(args, table)
    reading = InputOptions(read_depth=args.depth != "off")
    datasets = {name: open_dataset(name, root, reading) for name, root in roots.items()}
    tables, failed = {}, False
    for name, dataset in datasets.items():
        indices, coverage = _choose(dataset, args.frames)
        results = run_dataset(dataset, indices, runs, args.out)
        for note in dataset.notes:
            print(note, file=sys.stderr)
        for reason in dict.fromkeys(f"refused {where}: {why}" for r in results for where, why in r.report.refused):
            print(reason, file=sys.stderr)
        text, tables[name] = _present(table, name, coverage, runs, results)
        print(f"{text}\n")
        failed |= any(result.report.refused or not result.report.frames for result in results)
    from .render import CAPTION

    print(CAPTION)
    target = args.out / f"{args.table}.json"
    write_json(target, {"table": table.title, "preset": options.preset_name(args), "datasets": tables})
    print(f"numbers: {target}")
    return 1 if failed else 0


def _roots(args: argparse.Namespace, table: Table) -> dict[str, str]:
    """Return name -> folder of the data sets to run.

    Raises:
        ConfigError: a name that the table does not need, or twice.
        InputError: a data set without folder; says what to download.
    """
    wanted = table.datasets
    if args.only:
        if args.only not in wanted:
            raise ConfigError(f"--only: expected one of {', '.join(wanted)} for {args.table}, got '{args.only}'")
        wanted = (args.only,)
    roots: dict[str, str] = {}
    for name, root in args.root:
        if name not in table.datasets or name in roots:
            state = "it twice" if name in roots else f"'{name}'"
            raise ConfigError(f"--root: expected {' and '.join(table.datasets)} once each for {args.table}, got "
                              f"{state}")
        roots[name] = root
    missing = [name for name in wanted if name not in roots or not Path(roots[name]).is_dir()]
    if missing:
        said = "; ".join(f"{name}: " + (f"no folder {roots[name]}" if name in roots else f"no --root {name}=DIR")
                         + f", download {DOWNLOADS[name]}" for name in missing)
        alone = "; --only NAME runs one of them alone" if len(wanted) > 1 else ""
        raise InputError(f"{args.table}: expected a folder for {' and '.join(wanted)}, got {said}{alone}; then check "
                         f"it: uois-sam dataset check {missing[0]} DIR")
    return {name: roots[name] for name in wanted}


def _runs(args: argparse.Namespace, table: Table) -> list[Run]:
    """Describe what to run; refuses missing networks before any picture is read."""
    from ..ladder import GEOMETRY, rungs_of
    from .runner import Run

    config, preset = options.config_from(args), options.preset_name(args)
    if table.kind != FRACTIONS and args.fraction:
        raise ConfigError(f"--fraction: expected it with table5 alone, got it with {args.table}")
    if table.kind == COMPARISON:
        return [Run.of(preset, preset, config)]
    if table.kind == LADDER:
        runs: list[Run] = []
        for rung, settings in rungs_of(config).items():
            run = Run.of(rung, preset, settings)
            if rung != GEOMETRY and run.key not in {other.key for other in runs}:
                runs.append(run)
        return runs
    return [Run.of(str(percent), preset, update(config, {"runtime": {"model_dir": folder}}))
            for percent, folder in _fractions(args, config).items()]


def _fractions(args: argparse.Namespace, config: SegmenterConfig) -> dict[int, str]:
    if not args.fraction or config.runtime.model_dir:
        raise ConfigError("table5: expected --fraction PERCENT=DIR for each share of the training data, without "
                          f"--model-dir, got {'--model-dir' if config.runtime.model_dir else 'none'}; train once for "
                          "each share and export each into its own folder")
    folders: dict[int, str] = {}
    for percent, folder in args.fraction:
        if not percent.isdigit() or not 1 <= int(percent) <= 100 or int(percent) in folders:
            raise ConfigError(f"--fraction: expected a whole percentage from 1 to 100, each once, got '{percent}'")
        folders[int(percent)] = folder
    return folders


def _choose(dataset: Dataset, count: int) -> tuple[list[int], Coverage]:
    from ...datasets.check import spread
    from .render import Coverage

    indices = spread(len(dataset), count)
    return indices, Coverage(dataset.info.title, len(indices), len(dataset), dataset.info.published.get(""))


def _present(table: Table, name: str, coverage: Coverage, runs: list[Run],
             results: list[RunResult]) -> tuple[str, dict[str, Any]]:
    """Return the table of one data set as text and as plain data."""
    from . import published, render

    if table.kind == COMPARISON:
        (run,), (result,) = runs, results
        return (render.format_comparison(name, coverage, result, run.label, what_it_reads(run.config)),
                {run.label: render.to_json(coverage, result, published=published.COMPARISONS[name])})
    if table.kind == LADDER:
        rungs = {run.label: result for run, result in zip(runs, results)}
        data = {run.label: render.to_json(coverage, result, against=above)
                for run, result, above in zip(runs, results, [None, *results])}
        return render.format_ladder(coverage, rungs), {"rungs": data, "published": published.LADDER}
    shares = {int(run.label): result for run, result in zip(runs, results)}
    largest = shares[max(shares)]
    data = {str(percent): render.to_json(coverage, result, against=None if result is largest else largest)
            for percent, result in shares.items()}
    return render.format_fractions(coverage, shares), {"percent": data, "published": published.FRACTIONS}


def what_it_reads(config: SegmenterConfig) -> str:
    """Return RGB or RGB-D: whether any stage of a configuration uses depth."""
    from ...models.spec import model_spec

    if config.encoding.depth == "off":
        return "RGB"
    if config.method == "geometry" or any(model_spec(name).input_kind == "rgbd" for name in config.encoding.encoders):
        return "RGB-D"
    limits = config.selection
    uses = (config.prompting.depth_prior > 0 or config.rescoring.depth_weight > 0 or limits.plane_veto
            or limits.min_size_m > 0 or limits.max_size_m < 10)
    return "RGB-D" if uses else "RGB"


def _pair(text: str) -> tuple[str, str]:
    """Split NAME=DIR (argparse type)."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"expected NAME=DIR, got '{text}'")
    return name, folder
