"""Access to the messages of a recording; the only file that knows the ``rosbags`` library."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import FrameError, InputError
from .sources import BAG_SUFFIXES
from .topics import IMAGE


class BagFile:
    """A rosbag2 recording: folder with metadata.yaml, folder of its files, or a single file.

    Attributes:
        types: topic -> message type.
        counts: topic -> number of messages.
        latched: topics whose publishers were transient local.

    Raises:
        InputError: ``rosbags`` is missing, or the recording cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import Stores, get_typestore
        except ImportError as error:
            raise InputError(f"{path}: expected the 'rosbags' package to read recordings, got: {error}; "
                             "pip install rosbags") from error
        self._path = path
        self._paths = [path]
        if path.is_dir() and not (path / "metadata.yaml").exists():
            self._paths = sorted(file for file in path.iterdir() if file.suffix in BAG_SUFFIXES)
        self._reader_type = AnyReader
        self._fallback = get_typestore(Stores.ROS2_HUMBLE)
        with self._open() as reader:
            self._typestore = reader.typestore
            self.types = {c.topic: c.msgtype for c in reader.connections}
            self.counts = dict.fromkeys(self.types, 0)
            for connection in reader.connections:
                self.counts[connection.topic] += connection.msgcount
            self.latched = frozenset(c.topic for c in reader.connections if _is_latched(c))

    def messages(self, topics: list[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, log time in nanoseconds, serialised message) in the order of recording.

        Raises:
            InputError: the recording is damaged from here on.
        """
        count = 0
        with self._open() as reader:
            connections = [c for c in reader.connections if c.topic in topics]
            if not connections:
                return
            try:
                for connection, log_ns, raw in reader.messages(connections):
                    count += 1
                    yield connection.topic, log_ns, bytes(raw)
            except Exception as error:  # the storage libraries raise what they like
                raise InputError(f"{self._path}: expected a whole recording, got damage after {count} messages "
                                 f"({_short(error)}); try 'mcap recover' or 'sqlite3 .recover'") from error

    def decode(self, topic: str, raw: bytes) -> Any:
        """Return the message with its fields as attributes.

        Raises:
            FrameError: the bytes are not such a message.
        """
        try:
            return self._typestore.deserialize_cdr(raw, self.types[topic])
        except Exception as error:  # short or wild bytes end in any of numpy's and struct's errors
            raise FrameError(f"{topic}: expected a {self.types[topic]}, got {len(raw)} bytes that do not decode "
                             f"({_short(error)}); the recording is damaged") from error

    def encode(self, topic: str, message: Any) -> bytes:
        """Serialise a message that ``decode`` returned for this topic."""
        return bytes(self._typestore.serialize_cdr(message, self.types[topic]))

    def has_header(self, topic: str) -> bool:
        """True when the messages begin with a std_msgs/Header."""
        _, fields = self._typestore.fielddefs[self.types[topic]]
        return bool(fields) and fields[0][1][1] == "std_msgs/msg/Header"

    def first(self, topic: str) -> Any | None:
        """Return the first message on ``topic``, ``None`` when there is none."""
        for _, _, raw in self._first_messages(topic):
            return self.decode(topic, raw)
        return None

    def first_encodings(self) -> dict[str, str]:
        """Return topic -> encoding of its first message, raw images only."""
        found = {}
        for topic, kind in self.types.items():
            if kind == IMAGE and self.counts[topic]:
                try:
                    found[topic] = self.first(topic).encoding
                except (FrameError, InputError):
                    continue  # reading reports the damage where it matters
        return found

    def _first_messages(self, topic: str) -> Iterator[tuple[str, int, bytes]]:
        if self.counts[topic]:
            yield from self.messages([topic])

    def _open(self) -> Any:
        try:
            reader = self._reader_type(self._paths, default_typestore=self._fallback)
            reader.open()
            return _Closing(reader)
        except Exception as error:
            raise InputError(f"{self._path}: expected a whole rosbag2 recording (mcap or sqlite3), got one that "
                             f"cannot be opened: {_short(error)}; if it was cut off, try 'mcap recover' or "
                             "'ros2 bag reindex'") from error


class _Closing:
    """An open reader that closes at the end of its block, also when it is damaged."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def __enter__(self) -> Any:
        return self._reader

    def __exit__(self, *_: object) -> None:
        self._reader.close()


def _is_latched(connection: Any) -> bool:
    return any(qos.durability.name == "TRANSIENT_LOCAL" for qos in connection.ext.offered_qos_profiles)


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
