"""The verbs ``replay`` and ``play``. Heavy imports happen inside the handlers."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ConfigError, InputError
from .. import options
from ..output import check_file, write_json, write_text

if TYPE_CHECKING:
    from ..bag import BagInput
    from .report import Setup

REPLAY_EPILOG = """\
examples:
  uois-sam replay run.mcap --json a.json --html a.html
  uois-sam replay run.mcap --preset compact-grid --against a.json --html b.html
  uois-sam replay run.mcap --live --rate 1 --html live.html
  uois-sam replay run.mcap --answers robot.mcap --html robot.html    what a robot published while it saw this
A recording with a label topic (--truth-topic) is scored against it; without, the report has latency, frame
accounting, skew and how constant the answers are. Exit code 1: a frame was refused, or the counts do not add up."""
PLAY_EPILOG = """\
examples:
  uois-sam play run.mcap                                        everything, at its recorded pace
  uois-sam play run.mcap --loop --restamp                       forever, with current stamps
  uois-sam play run.mcap --remap /camera/color/image_raw:=/cam0/image
ROS_DOMAIN_ID and CYCLONEDDS_URI are honoured. Publishers are reliable; CameraInfo is latched (transient local)."""
MAX_DOMAIN = 232


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verbs."""
    _register_replay(subparsers)
    _register_play(subparsers)


def _register_replay(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser(
        "replay", help="what the node makes of a recording: accuracy, latency, drops, stability",
        description="Replay a recording through the node's pairing and conversion and report what comes out.",
        epilog=REPLAY_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", metavar="BAG", help="rosbag2 recording: folder, .mcap or .db3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page with plots and pictures")
    parser.add_argument("--against", type=Path, metavar="JSON", help="compare with an earlier report frame by frame")
    parser.add_argument("--max-frames", type=int, default=0, metavar="N", help="stop after N frames; 0 = all")
    parser.add_argument("--track", action="store_true", help="keep the ids of objects from frame to frame")
    live = parser.add_argument_group("over the wire")
    live.add_argument("--live", action="store_true",
                      help="play the recording to the node over DDS, in processes of their own (default: offline)")
    live.add_argument("--rate", type=float, metavar="R", help="recorded seconds per second (default 1)")
    live.add_argument("--domain", type=int, metavar="ID", help="ROS domain (default: a random unused one)")
    live.add_argument("--network", action="store_true",
                      help="use the DDS settings of the environment; default: this machine's loopback alone")
    recorded = parser.add_argument_group("answers of a node that has run already")
    recorded.add_argument("--answers", type=Path, metavar="BAG",
                          help="score the label images of this recording, by their stamps, instead of segmenting; it "
                          "may be the same one")
    recorded.add_argument("--answers-topic", default="", metavar="TOPIC",
                          help="of the label images (default: the only one that ends in /label)")
    options.add_reading_options(parser.add_argument_group("reading the recording"))
    options.add_segmenter_options(parser)
    parser.set_defaults(handler=run_replay)


def _register_play(subparsers: argparse._SubParsersAction) -> None:
    parser = subparsers.add_parser("play", help="publish the topics of a recording (with or without a ROS install)",
                                   description="Publish the messages of a recording at their recorded pace.",
                                   epilog=PLAY_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", metavar="BAG", type=Path, help="rosbag2 recording: folder, .mcap or .db3")
    parser.add_argument("--rate", type=float, default=1.0, metavar="R", help="recorded seconds per second (default 1)")
    parser.add_argument("--loop", action="store_true", help="begin again at the end, until stopped")
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="leave out the first S recorded seconds")
    parser.add_argument("--duration", type=float, default=0.0, metavar="S",
                        help="play S recorded seconds; 0 = the rest")
    parser.add_argument("--topics", nargs="+", default=[], metavar="TOPIC", help="play these alone (default: all)")
    parser.add_argument("--remap", nargs="+", default=[], metavar="FROM:=TO", help="publish under another name")
    parser.add_argument("--restamp", action="store_true",
                        help="move all header stamps by the constant that makes the first one the current time")
    parser.add_argument("--wait", type=float, default=0.0, metavar="S",
                        help="wait up to S seconds until every topic has a subscriber (default 0)")
    parser.add_argument("--log", type=Path, metavar="FILE", help="write a JSON line a message: topic, stamps, time")
    parser.set_defaults(handler=run_play)


def run_replay(args: argparse.Namespace) -> int:
    """Replay, print, write; 1 when a frame was refused, nothing was answered or the counts do not add up."""
    from .collect import Collector
    from .compare import compare, require_same_start
    from .page import build_page
    from .recorded import read_answers, replay_recorded
    from .report import read_report
    from .text import format_comparison, format_replay

    if args.rate is not None and not args.live:
        raise ConfigError(f"--rate {args.rate:g}: expected it together with --live, got it alone; "
                          "an offline replay is as fast as the machine")
    if args.answers is not None and (args.live or args.track):
        other = "--live" if args.live else "--track"
        raise ConfigError(f"--answers {args.answers}: expected either --answers or {other}, got both; leave one out")
    check_file("--json", args.json)
    check_file("--html", args.html)
    before = read_report(args.against) if args.against else None
    bag = open_bag(args)
    config = options.config_from(args)
    setup = _setup(args, bag, config)
    if before is not None:
        require_same_start(before, next(iter(bag)), setup.recording, str(args.against))
    answers = None
    if args.answers is not None:
        answers = read_answers(args.answers, args.answers_topic)
        told = {key: answers.health.get(key, "unknown") for key in ("preset", "depth")}
        setup = replace(setup, mode="recorded", **told)
    collector = Collector(setup)
    if answers is not None:
        report = replay_recorded(bag, answers, collector, max_frames=args.max_frames)
    else:
        report = (_replay_live if args.live else _replay_offline)(args, bag, config, collector)
    for note in (bag.notes[0], *report.notes):
        print(note, file=sys.stderr)
    print(format_replay(report))
    comparison = compare(before, report, str(args.against)) if before is not None else None
    if comparison is not None:
        print(f"\n{format_comparison(comparison)}")
    if args.json:
        write_json(args.json, report.to_json())
    if args.html:
        write_text(args.html, build_page(report, collector.worst, comparison))
        print(f"page: {args.html}")
    count = report.accounting
    return 1 if count.refused or not count.processed or not count.adds_up or bag.broken else 0


def run_play(args: argparse.Namespace) -> int:
    """Play until the end or until stopped."""
    from tqdm import tqdm

    from ...ros import api
    from ..bag_messages import BagFile
    from .player import Player, PlayOptions

    remaps = dict(_parse_remap(text) for text in args.remap)
    check_file("--log", args.log)
    play = PlayOptions(args.rate, args.loop, args.start, args.duration, tuple(args.topics), remaps, args.restamp,
                       args.wait, args.log)
    bag = BagFile(_existing(args.input))
    api.init(args=[])
    try:
        player = Player(bag, play)
        with tqdm(total=None if args.loop else player.total, unit="message", disable=None, mininterval=0.5) as bar:
            played = player.play(bar.update)
        player.close()
    finally:
        api.try_shutdown()
    for topic, reason in played.skipped.items():
        print(f"left out {topic}: {reason}")
    if args.wait:
        for topic in played.unheard:
            print(f"{topic}: nobody subscribed within {args.wait:g} s")
    print(f"played {sum(played.counts.values())} messages of {len(played.counts)} topics in {played.seconds:.1f} s, "
          f"at most {1000 * played.late_s:.0f} ms late")
    return 0


def open_bag(args: argparse.Namespace) -> BagInput:
    """Open the recording that the options describe.

    Raises:
        InputError: no recording there, or one that cannot be read.
    """
    from ..bag import BagInput
    from ..sources import open_input

    _existing(Path(args.input))
    source = open_input(args.input, options.reading_options(args))
    if not isinstance(source, BagInput):
        raise InputError(f"{args.input}: expected a rosbag2 recording (folder, .mcap or .db3), got pictures; "
                         "score them with 'uois-sam eval'")
    return source


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InputError(f"{path}: expected a recording, got no such file or folder")
    return path


def _setup(args: argparse.Namespace, bag: BagInput, config: Any) -> Setup:
    from ... import __version__, machine
    from .report import Setup

    rate = 0.0 if not args.live else 1.0 if args.rate is None else args.rate
    return Setup(bag.source, "live" if args.live else "offline", options.preset_name(args), config.encoding.depth,
                 args.slop, rate, args.track, asdict(bag.topics), machine.describe(), __version__)


def _replay_offline(args: argparse.Namespace, bag: BagInput, config: Any, collector: Any) -> Any:
    from ...pipeline import Segmenter
    from .offline import replay_offline

    return replay_offline(bag, Segmenter(config), collector, max_frames=args.max_frames, tracked=args.track)


def _replay_live(args: argparse.Namespace, bag: BagInput, config: Any, collector: Any) -> Any:
    from .domain import loopback_environment
    from .live import LiveOptions, replay_live

    rate = 1.0 if args.rate is None else args.rate
    if not 1e-3 <= rate < float("inf"):
        raise ConfigError(f"--rate: expected 0.001 or more, got {rate:g}")
    if args.intrinsics is not None:
        raise ConfigError("--intrinsics: expected an offline replay, got --live; the node reads CameraInfo alone")
    if args.domain is not None and not 0 <= args.domain <= MAX_DOMAIN:
        raise ConfigError(f"--domain: expected 0 to {MAX_DOMAIN}, got {args.domain}")
    variables = loopback_environment(args.domain)
    if args.network:
        variables = {} if args.domain is None else {"ROS_DOMAIN_ID": str(args.domain)}
    return replay_live(Path(args.input), bag, config, LiveOptions(
        rate, args.max_frames, args.slop, args.depth_scale, args.track, variables), collector)


def _parse_remap(text: str) -> tuple[str, str]:
    source, arrow, target = text.partition(":=")
    if not (arrow and source and target):
        raise ConfigError(f"--remap: expected FROM:=TO, got '{text}'")
    return source, target
