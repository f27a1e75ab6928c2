"""Publishers and subscriptions."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import RosError
from . import dds, idl
from .names import dds_topic
from .participant import Participant, matching_kind
from .qos import QoSProfile

#: Pause between two warnings about the same subscriber that holds a publisher up.
_WARN_EVERY_S = 10.0


class Publisher:
    """Publishes messages of one type; ``publish`` may be called from any thread.

    A subscriber that stalls holds nobody up: with KEEP_LAST it misses messages, with KEEP_ALL they are
    dropped after 0.1 s.
    """

    def __init__(self, participant: Participant, cls: type, topic: str, profile: QoSProfile, logger: Any) -> None:
        self._participant, self._class, self._logger = participant, cls, logger
        self.topic_name, self.qos_profile = topic, profile
        self.handle = participant.create_writer(dds_topic(topic), matching_kind(cls), profile)
        self.guids: tuple[bytes, ...] = ()
        self._warn_at_s = 0.0

    def publish(self, message: Any) -> None:
        """Send a message.

        Raises:
            RosError: it is of another type, a field does not serialise, or the publisher was destroyed.
        """
        if not isinstance(message, self._class):
            raise RosError(f"{self.topic_name}: expected a {matching_kind(self._class)}, got a "
                           f"{type(message).__name__}")
        code = dds.write(self.handle, idl.encode(message))
        if code == dds.TIMEOUT:
            if time.monotonic() >= self._warn_at_s:
                self._warn_at_s = time.monotonic() + _WARN_EVERY_S
                self._logger.warning(f"{self.topic_name}: expected its reliable subscribers to keep up, got one that "
                                     "stalls; messages are dropped, subscribe best effort or read faster")
            return
        dds.check(code, f"{self.topic_name}: publish")

    def get_subscription_count(self) -> int:
        """Return how many subscriptions are matched."""
        return dds.matched(self.handle, writer=True)

    def close(self) -> None:
        """Release the writer."""
        self._participant.delete(self.handle)


class Subscription:
    """Calls back with each message; array fields are read-only views that need no copy."""

    def __init__(self, participant: Participant, cls: type, topic: str, callback: Callable[[Any], None],
                 profile: QoSProfile, group: Any, logger: Any) -> None:
        self._participant, self._callback, self._logger = participant, callback, logger
        self._kind = matching_kind(cls)
        self.topic_name, self.qos_profile, self.callback_group = topic, profile, group
        self.reader = participant.create_reader(dds_topic(topic), self._kind, profile)
        self.handle = dds.check(dds.library().dds_create_readcondition(self.reader, dds.ANY_STATE), topic)
        self.guids: tuple[bytes, ...] = ()

    def take(self) -> Callable[[], None] | None:
        """Take the oldest waiting message and return the call for it."""
        while (taken := dds.take(self.reader)) is not None:
            if taken[0] is None:
                continue
            try:
                return partial(self._callback, idl.decode(taken[0], self._kind))
            except RosError as error:
                self._logger.error(f"{self.topic_name}: {error}")
        return None

    def close(self) -> None:
        """Release the reader."""
        self._participant.delete(self.reader)
