"""Replay a recording over the wire: a player, the node and this listener, each in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ...config import SegmenterConfig
from ...errors import InputError
from ..bag import BagInput
from ..topics import COMPRESSED
from .answers import score_answers
from .collect import Collector
from .domain import environment
from .report import ReplayReport
from .sent import read_log

NAMESPACE, NODE = "/replay", "uois_sam"
#: Roles of a recording's topics, the names they are played under, and the node's parameters for them.
ROLES = {"color": "color_topic", "depth": "depth_topic", "info": "camera_info_topic"}
_SUFFIX = {"color": "/compressed", "depth": "/compressedDepth", "info": ""}
#: The node loads its networks and subscribes in this time, seconds.
START_S = 180.0
#: What the player sent, in the scratch folder.
SENT = "sent.jsonl"
#: Diagnostics of a node that cannot become active.
FAILURES = ("notice_configure", "notice_activate")
#: A node is idle when two diagnostics in a row, a second apart, count the same.
_IDLE_REPORTS = 2
_STOP_S = 15.0


@dataclass(frozen=True)
class LiveOptions:
    """How to run the processes.

    Attributes:
        rate: recorded seconds per second.
        max_frames: play so many colour images; 0 = all.
        slop_s: of the node.
        depth_scale: of the node; ``None`` = its default.
        track: of the node.
        variables: environment of all processes: domain and DDS settings.
    """

    rate: float
    max_frames: int
    slop_s: float
    depth_scale: float | None
    track: bool
    variables: Mapping[str, str]


def replay_live(path: Path, bag: BagInput, config: SegmenterConfig, options: LiveOptions,
                collector: Collector) -> ReplayReport:
    """Play a recording to the node and score what it publishes.

    Raises:
        InputError: the node did not become active or ended, or the player failed; with what it said last.
    """
    from ...ros import api
    from .listener import Listener

    names = {role: f"{NAMESPACE}/{role}{_suffix(bag, role)}" for role in ROLES if getattr(bag.topics, role)}
    with tempfile.TemporaryDirectory() as folder, environment(options.variables):
        scratch = Path(folder)
        (scratch / "params.yaml").write_text(_parameters(config, names, options))
        api.init(args=[])
        listener = Listener(f"{NAMESPACE}/{NODE}")
        try:
            with _process("node", _node_command(scratch), scratch) as node, \
                    _process("player", _player_command(path, bag, names, options, scratch), scratch) as player:
                _watch(node, player, listener, scratch)
                sent = [entry for entry in read_log(scratch / SENT) if entry.topic == bag.topics.color]
                _drain(node, listener, len(sent))
                if node.poll() is not None:
                    raise _ended("node", node, scratch)
        finally:
            listener.close()
            api.try_shutdown()
    return score_answers(bag, listener.answers(), collector, {entry.recorded_ns: entry for entry in sent})


def _node_command(scratch: Path) -> list[str]:
    return [sys.executable, "-m", "uois_sam_ros.cli", "node", "--ros-args", "-r", f"__ns:={NAMESPACE}", "-r",
            f"__node:={NODE}", "--params-file", str(scratch / "params.yaml")]


def _player_command(path: Path, bag: BagInput, names: Mapping[str, str], options: LiveOptions,
                    scratch: Path) -> list[str]:
    """The player starts with the node and waits for its subscriptions."""
    topics = {role: getattr(bag.topics, role) for role in names}
    command = [sys.executable, "-m", "uois_sam_ros.cli", "play", str(path), "--restamp", "--rate", f"{options.rate:g}",
               "--wait", f"{START_S:g}", "--log", str(scratch / SENT), "--topics", *topics.values(), "--remap",
               *(f"{topics[role]}:={name}" for role, name in names.items())]
    return command + (["--duration", f"{_duration_s(bag, options):.6f}"] if options.max_frames else [])


def _watch(node: subprocess.Popen, player: subprocess.Popen, listener: Any, scratch: Path) -> None:
    """Wait until the player is done; raise when it fails, or the node ends or does not become active."""
    def failure() -> str:
        return next((text for key, text in listener.health.items() if key in FAILURES), "")

    listener.wait_for(lambda: bool(player.poll() is not None or node.poll() is not None or failure()), float("inf"))
    if node.poll() is not None:
        raise _ended("node", node, scratch)
    if failure():
        raise InputError(f"--live: expected the node to become active, got: {failure()}")
    if player.returncode:
        raise _ended("player", player, scratch)
    if not listener.reports:
        raise InputError(f"--live: expected diagnostics of the node within {START_S:g} s, got none; is another "
                         "middleware in use (RMW_IMPLEMENTATION)?")


def _drain(node: subprocess.Popen, listener: Any, sent: int) -> None:
    """Wait until the node is idle, then deactivate it, so that its counts are final."""
    def counts() -> dict[str, str]:
        return {key: text for key, text in listener.health.items() if key.startswith("frames_")}

    def is_done() -> bool:
        return counts().get("frames_received") == str(sent) and counts().get("frames_waiting") == "0"

    until = time.monotonic() + _STOP_S
    while time.monotonic() < until and node.poll() is None and not is_done():
        before, reports = counts(), listener.reports
        listener.wait_for(lambda: is_done() or node.poll() is not None
                          or listener.reports >= reports + _IDLE_REPORTS, 5.0)
        if counts() == before:
            break
        until = time.monotonic() + _STOP_S  # it still works
    if listener.deactivate(_STOP_S):
        listener.wait_for(lambda: listener.health.get("state") != "active", _STOP_S)


def _parameters(config: SegmenterConfig, names: Mapping[str, str], options: LiveOptions) -> str:
    """Return the node's parameter file: every setting of the pipeline, topics, and reliable transport.

    Reliable, so that what is lost is the node's doing and not that of a full socket buffer.
    """
    import yaml

    from ...ros.params import parameter_specs

    values: dict[str, Any] = {}
    for spec in parameter_specs():
        try:
            value: Any = config
            for part in spec.name.split("."):
                value = getattr(value, part)
        except AttributeError:
            continue  # a setting of the node itself
        values[spec.name] = list(value) if isinstance(value, tuple) else value
    values.update({parameter: names.get(role, "") for role, parameter in ROLES.items()})
    values.update({"slop_s": options.slop_s, "track": options.track})
    if options.depth_scale is not None:
        values["depth_scale"] = options.depth_scale
    values.update({f"qos.{name}": "reliable" for name in ("color", "depth", "label", "detections")})
    return yaml.safe_dump({"/**": {"ros__parameters": values}})


def _suffix(bag: BagInput, role: str) -> str:
    return _SUFFIX[role] if bag.file.types[getattr(bag.topics, role)] == COMPRESSED else ""


def _duration_s(bag: BagInput, options: LiveOptions) -> float:
    """Return the recorded time from the first message played to the pair of the last frame."""
    topics = [topic for role, topic in asdict(bag.topics).items() if topic and role in ROLES]
    first = next(log_ns for _, log_ns, _ in bag.file.messages(topics))
    colors = (log_ns for _, log_ns, _ in bag.file.messages([bag.topics.color]))
    return (list(islice(colors, options.max_frames))[-1] - first) / 1e9 + options.slop_s


@contextmanager
def _process(name: str, command: list[str], scratch: Path) -> Iterator[subprocess.Popen]:
    """Run a process whose output goes to a file; end it with the block."""
    with open(scratch / f"{name}.log", "w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ended(name: str, process: subprocess.Popen, scratch: Path) -> InputError:
    lines = (scratch / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = f"; it said: {lines[-1][:400]}" if lines else ""
    return InputError(f"--live: expected the {name} to run until the end of the recording, got exit code "
                      f"{process.returncode}{said}")
