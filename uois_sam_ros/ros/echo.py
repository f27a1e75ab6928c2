"""The verb ``echo``: print the messages of a topic, or their rate; with ROS or without."""

from __future__ import annotations

import argparse
import os
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from ..errors import RosError

#: Elements of an array that are shown at each end.
SHOWN = 6


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "echo", help="print the messages of a ROS topic",
        description="Print the messages of a ROS topic as they come, or their rate. Without a topic: list the topics. "
                    "Works with a ROS 2 install and without one.")
    parser.add_argument("topic", nargs="?", help="name of the topic, such as /uois_sam/label")
    parser.add_argument("--once", action="store_true", help="end after the first message")
    parser.add_argument("--hz", action="store_true", help="print rate, size and age once a second instead")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S",
                        help="seconds to wait for the topic, and for the message with --once; default 5")
    parser.set_defaults(handler=run_echo)


def run_echo(args: argparse.Namespace) -> int:
    """Print until interrupted; 1 when no message came with ``--once``.

    Raises:
        RosError: nobody has the topic.
    """
    from . import api

    api.init(args=[])
    node, executor = api.Node(f"uois_sam_echo_{os.getpid()}"), api.MultiThreadedExecutor(2)
    executor.add_node(node)
    spinning = threading.Thread(target=_spin, args=(api, executor), daemon=True)
    spinning.start()
    try:
        if args.topic is None:
            time.sleep(min(args.timeout, 1.0))  # until discovery has settled
            print(list_topics(node))
            return 0
        messages = _subscribe(api, node, args.topic, args.timeout)
        return _print_rate(api, messages) if args.hz else _print_messages(api, messages, args)
    finally:
        api.try_shutdown()
        spinning.join(2.0)


def list_topics(node: Any) -> str:
    """Return one line a topic: name and types."""
    found = node.get_topic_names_and_types()
    width = max((len(name) for name, _ in found), default=0)
    return "\n".join(f"{name:{width}}  {', '.join(kinds)}" for name, kinds in found)


def to_text(message: Any, indent: str = "") -> str:
    """Return a message in YAML's look; long arrays are shortened and told in numbers."""
    return "\n".join(_lines(message, indent))


def _lines(message: Any, indent: str) -> Iterator[str]:
    for name in message.get_fields_and_field_types():
        value = getattr(message, name)
        if _is_message(value):
            yield f"{indent}{name}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, (list, tuple)) and value and _is_message(value[0]):
            yield f"{indent}{name}:"
            for item in value:
                first, *rest = _lines(item, indent + "  ")
                yield f"{indent}- {first.strip()}"
                yield from rest
        else:
            yield f"{indent}{name}: {_scalar(value)}"


def _is_message(value: Any) -> bool:
    return hasattr(value, "get_fields_and_field_types")


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, bytes):
        return str(value[0])
    if not hasattr(value, "__len__"):
        return f"{value:.9g}" if isinstance(value, float) else str(value).lower()
    items = [_scalar(item) for item in (value if len(value) <= 2 * SHOWN else [*value[:SHOWN], *value[-SHOWN:]])]
    if len(value) <= 2 * SHOWN:
        return f"[{', '.join(items)}]"
    return f"[{', '.join(items[:SHOWN])}, ..., {', '.join(items[SHOWN:])}]  # {len(value)} values"


def _size(value: Any) -> int:
    """Return about how many bytes a message or field is long."""
    if _is_message(value):
        return sum(_size(getattr(value, name)) for name in value.get_fields_and_field_types())
    if hasattr(value, "itemsize"):
        return len(value) * value.itemsize if hasattr(value, "__len__") else value.itemsize
    if isinstance(value, (str, bytes)):
        return len(value)
    return sum(map(_size, value)) if hasattr(value, "__len__") else 8


def _subscribe(api: Any, node: Any, topic: str, timeout_s: float) -> queue.Queue:
    """Return the queue that gets what is published on ``topic``."""
    name, until = node.resolve_topic_name(topic), time.monotonic() + timeout_s
    while not (kinds := (known := dict(node.get_topic_names_and_types())).get(name)):
        if time.monotonic() > until or not api.ok():
            raise RosError(f"echo: expected the topic {name}, got no one who has it within {timeout_s:g} s; check "
                           f"ROS_DOMAIN_ID and RMW_IMPLEMENTATION; there are {', '.join(known)}")
        time.sleep(0.05)
    offers = [info.qos_profile for info in node.get_publishers_info_by_topic(name)]
    reliable = all(offer.reliability == api.ReliabilityPolicy.RELIABLE for offer in offers)
    latched = offers and all(offer.durability == api.DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
    profile = api.QoSProfile(
        depth=10, history=api.HistoryPolicy.KEEP_LAST,
        reliability=api.ReliabilityPolicy.RELIABLE if reliable else api.ReliabilityPolicy.BEST_EFFORT,
        durability=api.DurabilityPolicy.TRANSIENT_LOCAL if latched else api.DurabilityPolicy.VOLATILE)
    messages: queue.Queue = queue.Queue(maxsize=20)
    node.create_subscription(api.message(kinds[0]), name, messages.put, profile)
    return messages


def _print_messages(api: Any, messages: queue.Queue, args: argparse.Namespace) -> int:
    until = time.monotonic() + args.timeout
    while api.ok():
        try:
            print(to_text(messages.get(timeout=0.1)), "---", sep="\n", flush=True)
        except queue.Empty:
            if args.once and time.monotonic() > until:
                raise RosError(f"echo: expected a message on {args.topic}, got none within {args.timeout:g} s; is its "
                               "publisher running?") from None
            continue
        if args.once:
            return 0
    return 0


def _print_rate(api: Any, messages: queue.Queue) -> int:
    while api.ok():
        stamps_s, size, ages_ms = [], 0, []
        until = time.monotonic() + 1.0
        while (left_s := until - time.monotonic()) > 0:
            try:
                message = messages.get(timeout=left_s)
            except queue.Empty:
                break
            stamps_s.append(time.monotonic())
            size += _size(message)
            if hasattr(message, "header"):
                stamp = message.header.stamp
                ages_ms.append((time.time_ns() - stamp.sec * 10**9 - stamp.nanosec) / 1e6)
        print(_rate_line(stamps_s, size, ages_ms), flush=True)
    return 0


def _rate_line(stamps_s: list[float], size: int, ages_ms: list[float]) -> str:
    count = len(stamps_s)
    if count < 2:
        return f"{count} messages in the last second"
    rate = (count - 1) / max(stamps_s[-1] - stamps_s[0], 1e-9)
    age = f", age {sorted(ages_ms)[len(ages_ms) // 2]:.1f} ms" if ages_ms else ""
    return f"{rate:.2f} Hz, {size / count:,.0f} bytes each, {size * rate / count / 1e6:.2f} MB/s{age}"


def _spin(api: Any, executor: Any) -> None:
    try:
        executor.spin()
    except api.ExternalShutdownException:
        pass
