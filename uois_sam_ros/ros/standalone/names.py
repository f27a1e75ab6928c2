"""ROS names: expansion of ``~/x`` and relative names, remapping, and the DDS topic and type names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import RosError

_TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def check_node_name(name: str) -> str:
    """Return the name of a node.

    Raises:
        RosError: it has other characters than letters, digits and underscores, or starts with a digit.
    """
    if not _TOKEN.match(name):
        raise RosError(f"node name: expected letters, digits and underscores, not a digit first, got '{name}'")
    return name


def normalize_namespace(namespace: str | None) -> str:
    """Return a namespace with a leading and without a trailing slash; ``/`` is the root."""
    return _checked("/" + (namespace or "").strip("/"), "namespace", root=True)


def expand(name: str, namespace: str, node_name: str) -> str:
    """Return the absolute form of a topic, service or parameter name.

    Raises:
        RosError: a part of it is empty or has characters that ROS names may not have.
    """
    base = namespace.rstrip("/")
    if name == "~" or name.startswith("~/"):
        full = f"{base}/{node_name}{name[1:]}"
    elif name.startswith("/"):
        full = name
    else:
        full = f"{base}/{name}"
    return _checked(full, "name")


def remap(name: str, rules: Sequence[tuple[str, str]], namespace: str, node_name: str) -> str:
    """Expand ``name`` and apply the first rule (from, to) whose source is the same name."""
    full = expand(name, namespace, node_name)
    for source, target in rules:
        if expand(source, namespace, node_name) == full:
            return expand(target, namespace, node_name)
    return full


def join(namespace: str, node_name: str) -> str:
    """Return the fully qualified name of a node."""
    return f"{namespace.rstrip('/')}/{node_name}"


def dds_topic(name: str) -> str:
    """Return the DDS topic of a ROS topic: ``rt/chatter`` for ``/chatter``."""
    return f"rt{name}"


def dds_service_topics(name: str) -> tuple[str, str]:
    """Return the DDS topics (request, reply) of a ROS service."""
    return f"rq{name}Request", f"rr{name}Reply"


def ros_topic(topic: str) -> str | None:
    """Return the ROS topic of a DDS topic, ``None`` for services and foreign topics."""
    return topic[2:] if topic.startswith("rt/") else None


def dds_type(kind: str) -> str:
    """Return the DDS type name: ``std_msgs::msg::dds_::String_`` for ``std_msgs/msg/String``."""
    package, folder, name = kind.split("/")
    return f"{package}::{folder}::dds_::{name}_"


def ros_type(kind: str) -> str:
    """Return the ROS type of a DDS type name; names of another form stay as they are."""
    parts = kind.split("::")
    if len(parts) == 4 and parts[2] == "dds_" and parts[3].endswith("_"):
        return f"{parts[0]}/{parts[1]}/{parts[3][:-1]}"
    return kind


def _checked(full: str, what: str, *, root: bool = False) -> str:
    parts = full[1:].split("/")
    if not (root and full == "/") and not all(_TOKEN.match(part) for part in parts):
        raise RosError(f"{what}: expected parts of letters, digits and underscores between slashes, got '{full}'")
    return full
