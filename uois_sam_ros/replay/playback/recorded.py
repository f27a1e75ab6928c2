"""Score what a node has published from a recording of its topics."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from ...ros.convert import decode_label
from ..bag import BagInput
from ..bag_messages import BagFile
from ..topics import IMAGE, INFO, list_topics
from .answers import Answers, Heard, is_of, read_health, score_answers, stamp_ns
from .collect import Collector
from .report import ReplayReport

DETECTIONS, DIAGNOSTICS = "vision_msgs/msg/Detection2DArray", "diagnostic_msgs/msg/DiagnosticArray"


def replay_recorded(bag: BagInput, answers: Answers, collector: Collector, *, max_frames: int = 0) -> ReplayReport:
    """Score answers that were recorded while a node saw ``bag``, or the same bag.

    Raises:
        InputError: no label has the stamp of a colour image.
        FrameError: a label image of another size than its colour image.
    """
    report = score_answers(bag, answers, collector, max_frames=max_frames)
    if not report.processed():
        raise InputError(f"--answers: expected labels with the stamps of {bag.topics.color}, got none of "
                         f"{len(answers.labels)}; were the stamps changed when it was played?")
    return report


def read_answers(path: Path, label_topic: str = "") -> Answers:
    """Read labels, the number of detections, and diagnostics of the node that published the labels.

    Camera infos in the recording tell when an image was there: the time from the first one with the stamp of a
    label to the label is its latency.

    Args:
        label_topic: "" takes the only image topic whose name ends in /label.

    Raises:
        InputError: unreadable, or no such topic; lists the topics that are there.
        FrameError: a label image is broken.
    """
    if not path.exists():
        raise InputError(f"--answers {path}: expected a recording, got no such file or folder")
    bag = BagFile(path)
    topic = label_topic or _find_label(path, bag)
    if bag.types.get(topic) != IMAGE or not bag.counts[topic]:
        raise InputError(f"--answers-topic {topic}: expected images of labels in {path}, got none; "
                         f"{list_topics(bag.types)}")
    node = topic.rpartition("/")[0]
    labels: dict[int, Heard] = {}
    detections: dict[int, int] = {}
    asked: dict[int, int] = {}
    health: dict[str, str] = {}
    notices: dict[str, str] = {}
    read = [name for name, kind in bag.types.items()
            if name == topic or kind in (INFO, DIAGNOSTICS) or (kind == DETECTIONS and name == f"{node}/detections")]
    for name, log_ns, raw in bag.messages(read):
        message = bag.decode(name, raw)
        if name == topic:
            labels.setdefault(stamp_ns(message), Heard.of(log_ns, decode_label(message, name)))
        elif bag.types[name] == DETECTIONS:
            detections[stamp_ns(message)] = len(message.detections)
        elif bag.types[name] == INFO:
            asked.setdefault(stamp_ns(message), log_ns)
        else:
            for status in message.status:
                if is_of(status, node):
                    health = read_health(status)
                    notices.update({key: text for key, text in health.items() if key.startswith("notice_")})
    return Answers(labels, detections, health, tuple(notices.values()), asked, topic)


def _find_label(path: Path, bag: BagFile) -> str:
    found = [name for name, kind in bag.types.items() if kind == IMAGE and name.endswith("/label") and bag.counts[name]]
    if len(found) != 1:
        raise InputError(f"--answers {path}: expected label images on one topic that ends in /label, got {len(found)} "
                         f"such topics; name it with --answers-topic; {list_topics(bag.types)}")
    return found[0]
