"""Find the colour, depth, camera-info and truth topics of a recording by type and name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..errors import InputError
from .sources import InputOptions

IMAGE, COMPRESSED, INFO = (
    "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo")
_TRUTH = re.compile(r"ground_?truth|label|segmentation|instance", re.IGNORECASE)
_OTHER = re.compile(r"infra|/ir(/|_|$)|confidence|disparity|mask|overlay|debug", re.IGNORECASE)


@dataclass(frozen=True)
class Topics:
    """The topics to read; an empty name means that there is none."""

    color: str
    depth: str = ""
    info: str = ""
    truth: str = ""

    def describe(self) -> str:
        """Return one line for the user."""
        return ", ".join(f"{role} {name or 'none'}" for role, name in (
            ("colour", self.color), ("depth", self.depth), ("camera info", self.info), ("truth", self.truth)))


def choose_topics(types: Mapping[str, str], encodings: Mapping[str, str], options: InputOptions) -> Topics:
    """Pick the topics.

    Names given in ``options`` win. Otherwise: images with "depth" in their name (or a depth
    encoding) are depth, aligned ones first; images that look like labels are truth; of the others
    the one that says colour or rgb is colour, raw before compressed; the camera info is the one
    that shares most of its name with the colour topic.

    Args:
        types: topic -> message type, every topic of the recording.
        encodings: topic -> encoding of its first image, as far as known.

    Raises:
        InputError: a topic is not there, or no colour topic is found; lists the topics that are.
    """
    given = {"color": options.color_topic, "depth": options.depth_topic,
             "info": options.info_topic, "truth": options.truth_topic}
    for role, name in given.items():
        wanted = (INFO,) if role == "info" else (IMAGE, COMPRESSED)
        if name and types.get(name) not in wanted:
            state = f"a {types[name]}" if name in types else "no such topic"
            raise InputError(f"--{role}-topic {name}: expected a topic of type {' or '.join(wanted)}, got "
                             f"{state}; {list_topics(types)}")
    images = sorted(topic for topic, kind in types.items()
                    if kind in (IMAGE, COMPRESSED) and topic not in given.values())
    truths = [t for t in images if _TRUTH.search(t)]
    images = [t for t in images if t not in truths and not _OTHER.search(t)]
    depths = [t for t in images if "depth" in t.lower() and not _is_colour(encodings.get(t))
              or encodings.get(t) in ("16UC1", "32FC1", "mono16")]
    colors = [t for t in images if t not in depths]
    chosen = Topics(
        given["color"] or _best(colors, _rate_color, types),
        given["depth"] or _best(depths, _rate_depth, types),
        truth=given["truth"] or _best(truths, _rate_truth, types))
    if not chosen.color:
        raise InputError("recording: expected a colour image topic, found none; name it with --color-topic; "
                         + list_topics(types))
    infos = [topic for topic, kind in types.items() if kind == INFO]
    info = given["info"] or max(sorted(infos), key=lambda t: _shared_prefix(t, chosen.color), default="")
    return replace(chosen, info=info)


def list_topics(types: Mapping[str, str]) -> str:
    """Return "the recording has ..." with every topic and its type."""
    if not types:
        return "the recording has no topics"
    return "the recording has " + ", ".join(f"{name} ({types[name]})" for name in sorted(types))


def _is_colour(encoding: str | None) -> bool:
    return encoding in ("rgb8", "bgr8", "rgba8", "bgra8")


def _best(topics: list[str], rate, types: Mapping[str, str]) -> str:
    """Return the best-rated topic; of equals the raw, then the shorter one."""
    return min(topics, key=lambda t: (-rate(t.lower()), types[t] != IMAGE, len(t), t), default="")


def _rate_color(topic: str) -> int:
    return 2 * ("color" in topic or "rgb" in topic or "colour" in topic) + ("rect" in topic)


def _rate_depth(topic: str) -> int:
    return 2 * any(word in topic for word in ("aligned", "registered", "to_color", "to_rgb")) + ("rect" in topic)


def _rate_truth(topic: str) -> int:
    return 2 * ("truth" in topic) + ("label" in topic)


def _shared_prefix(first: str, second: str) -> int:
    same = 0
    for a, b in zip(first.split("/"), second.split("/")):
        if a != b:
            break
        same += 1
    return same
