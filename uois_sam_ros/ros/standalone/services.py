"""Services, clients and futures: two topics, and an id that tells which reply answers which request."""

from __future__ import annotations

import ctypes
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ...errors import RosError
from . import dds, idl
from .names import dds_service_topics
from .participant import Participant, matching_kind, user_data_of_service
from .qos import SERVICES

#: How long a reply waits for the client's reader to be discovered, as in rmw_cyclonedds_cpp.
_DISCOVERY_S = 0.1
_PUBLICATION_MATCHED, _SUBSCRIPTION_MATCHED = 1 << 11, 1 << 12


class Future:
    """The outcome of a call that is under way."""

    def __init__(self) -> None:
        self._lock, self._done = threading.Lock(), False
        self._result: Any = None
        self._callbacks: list[Callable[[Future], None]] = []

    def done(self) -> bool:
        """Tell whether the result is there."""
        return self._done

    def result(self) -> Any:
        """Return the result, ``None`` while it is not there."""
        return self._result

    def set_result(self, result: Any) -> None:
        """Store the result and call back."""
        with self._lock:
            self._result, self._done = result, True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(self)

    def add_done_callback(self, callback: Callable[[Future], None]) -> None:
        """Call ``callback(future)`` when the result is there, at once if it is."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)


class _Pair:
    """The two endpoints of a service or client; ``handle`` triggers on what it receives."""

    def __init__(self, participant: Participant, cls: type, name: str, group: Any, logger: Any, role: str) -> None:
        kind, identity = matching_kind(cls), secrets.token_bytes(16)
        self._participant, self._logger, self.cls = participant, logger, cls
        self.srv_name, self.callback_group = name, group
        request, reply = dds_service_topics(name)
        sent, received = (f"{kind}_Response", f"{kind}_Request") if role == "service" else (
            f"{kind}_Request", f"{kind}_Response")
        self._received = received
        mark = user_data_of_service(role, identity)
        out, into = (reply, request) if role == "service" else (request, reply)
        self.writer = participant.create_writer(out, sent, SERVICES, is_service=True, user_data=mark)
        self.reader = participant.create_reader(into, received, SERVICES, is_service=True, user_data=mark)
        self.handle = dds.check(dds.library().dds_create_readcondition(self.reader, dds.ANY_STATE), name)
        self.guids: tuple[bytes, ...] = ()

    def _take(self) -> tuple[tuple[int, int], Any, int] | None:
        """Return (request id, message, handle of its writer) of the next one that is whole."""
        while (taken := dds.take(self.reader)) is not None:
            data, info = taken
            if data is None:
                continue
            try:
                return (*idl.decode_service(data, self._received), info.publication_handle)
            except RosError as error:
                self._logger.error(f"{self.srv_name}: {error}")
        return None

    def _send(self, identity: tuple[int, int], message: Any) -> None:
        dds.check(dds.write(self.writer, idl.encode(message, identity)), self.srv_name)

    def close(self) -> None:
        """Release both endpoints."""
        self._participant.delete(self.reader, self.writer)


class Service(_Pair):
    """Answers each request with what ``callback(request, response)`` returns."""

    def __init__(self, participant: Participant, cls: type, name: str, callback: Callable[[Any, Any], Any],
                 group: Any, logger: Any) -> None:
        super().__init__(participant, cls, name, group, logger, "service")
        self._callback = callback

    def take(self) -> Callable[[], None] | None:
        """Return the call for the oldest waiting request."""
        taken = self._take()
        return None if taken is None else partial(self._answer, *taken)

    def _answer(self, identity: tuple[int, int], request: Any, writer: int) -> None:
        response = self._callback(request, self.cls.Response())
        if not isinstance(response, self.cls.Response):
            raise RosError(f"{self.srv_name}: expected the callback to return a {self.cls.__name__}.Response, "
                           f"got {type(response).__name__}")
        until = time.monotonic() + _DISCOVERY_S
        while not self._hears(writer) and time.monotonic() < until:
            time.sleep(0.002)
        try:
            self._send(identity, response)
        except RosError as error:  # the client is gone or stalls: its loss, not the node's
            self._logger.warning(str(error))

    def _hears(self, request_writer: int) -> bool:
        """Tell whether the participant that sent a request has a reader for our replies."""
        lib = dds.library()
        owner = _participant_of(lib.dds_get_matched_publication_data(self.reader, request_writer))
        if owner is None:
            return True  # it went away
        handles = (ctypes.c_uint64 * 64)()
        count = lib.dds_get_matched_subscriptions(self.writer, handles, len(handles))
        found = (lib.dds_get_matched_subscription_data(self.writer, handle) for handle in handles[:min(count, 64)])
        return count > len(handles) or owner in [_participant_of(endpoint) for endpoint in found]


class Client(_Pair):
    """Calls a service."""

    def __init__(self, participant: Participant, cls: type, name: str, group: Any, logger: Any) -> None:
        super().__init__(participant, cls, name, group, logger, "client")
        self._id, self._lock, self._number = secrets.randbits(64), threading.Lock(), 0
        self._calls: dict[int, Future] = {}

    def call_async(self, request: Any) -> Future:
        """Send a request and return the future of its response; an executor must serve the node.

        Raises:
            RosError: the request is of another type.
        """
        if not isinstance(request, self.cls.Request):
            raise RosError(f"{self.srv_name}: expected a {self.cls.__name__}.Request, got {type(request).__name__}")
        future = Future()
        with self._lock:
            self._number += 1
            number = self._number
            self._calls[number] = future
        self._send((self._id, number), request)
        return future

    def service_is_ready(self) -> bool:
        """Tell whether a server is matched both ways."""
        return dds.matched(self.writer, writer=True) > 0 and dds.matched(self.reader, writer=False) > 0

    def wait_for_service(self, timeout_sec: float | None = None) -> bool:
        """Wait until a server is matched; false when the time is over."""
        lib, triggered = dds.library(), (ctypes.c_int64 * 2)()
        until = None if timeout_sec is None else time.monotonic() + timeout_sec
        waitset = dds.check(lib.dds_create_waitset(self._participant.handle), "waitset")
        try:
            for entity, status in ((self.writer, _PUBLICATION_MATCHED), (self.reader, _SUBSCRIPTION_MATCHED)):
                dds.check(lib.dds_set_status_mask(entity, status), self.srv_name)
                dds.check(lib.dds_waitset_attach(waitset, entity, entity), "waitset")
            while not self.service_is_ready():
                left_s = 0.5 if until is None else min(until - time.monotonic(), 0.5)
                if left_s <= 0:
                    return False
                dds.check(lib.dds_waitset_wait(waitset, triggered, 2, int(left_s * 1e9)), self.srv_name)
            return True
        finally:
            lib.dds_delete(waitset)

    def take(self) -> Callable[[], None] | None:
        """Return the call that completes the future of the oldest waiting response."""
        while (taken := self._take()) is not None:
            (client, number), response, _ = taken
            if client == self._id:
                with self._lock:
                    future = self._calls.pop(number, None)
                if future is not None:
                    return partial(future.set_result, response)
        return None


def _participant_of(endpoint: Any) -> bytes | None:
    if not endpoint:
        return None
    owner = bytes(endpoint.contents.participant_key)
    dds.library().dds_builtintopic_free_endpoint(endpoint)
    return owner
