"""One DDS participant per process, its settings from the ROS environment, and the writers and readers on it."""

from __future__ import annotations

import os
import threading
from typing import Any

from ...errors import RosError
from . import dds, idl, qos as quality
from .messages import distribution, message
from .qos import QoSProfile

#: Images of a camera arrive in bursts: ask for a large receive buffer, take what the kernel grants.
RECEIVE_BUFFER = "16MB"
_DEFAULTS = ("<CycloneDDS><Domain Id='any'><Internal><SocketReceiveBufferSize max='{buffer}'/></Internal>"
             "</Domain></CycloneDDS>")
_LOCALHOST = (
    "<CycloneDDS><Domain Id='any'><General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<MaxMessageSize>65500B</MaxMessageSize><AllowMulticast>false</AllowMulticast></General><Discovery>"
    "<ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex><Peers>"
    "<Peer Address='127.0.0.1'/></Peers></Discovery></Domain></CycloneDDS>")
#: Highest domain whose ports exist.
MAX_DOMAIN = 232


def domain_id() -> int:
    """Return ``ROS_DOMAIN_ID``, 0 when unset.

    Raises:
        RosError: it is not a number from 0 to 232.
    """
    text = os.environ.get("ROS_DOMAIN_ID") or "0"
    if not (text.isdecimal() and int(text) <= MAX_DOMAIN):
        raise RosError(f"ROS_DOMAIN_ID: expected a number from 0 to {MAX_DOMAIN}, got '{text}'")
    return int(text)


def settings() -> str:
    """Return the configuration of Cyclone DDS: ``CYCLONEDDS_URI`` where set, else defaults for cameras.

    ``ROS_LOCALHOST_ONLY`` and ``ROS_AUTOMATIC_DISCOVERY_RANGE`` (LOCALHOST, OFF) keep to this machine.
    """
    own = os.environ.get("CYCLONEDDS_URI")
    local = os.environ.get("ROS_LOCALHOST_ONLY") == "1"
    local |= os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").upper() in ("LOCALHOST", "OFF")
    parts = [_LOCALHOST] if local and not own else []
    return ",".join([*parts, own or _DEFAULTS.format(buffer=RECEIVE_BUFFER)])


class Participant:
    """The process on the network. Creates writers, readers and topics; ``close`` releases everything.

    Raises:
        BackendError: Cyclone DDS is missing, or another version.
        RosError: the settings are refused, or a sample does not loop through.
    """

    def __init__(self, domain: int) -> None:
        lib = dds.library()
        self._lock = threading.Lock()
        self._topics: dict[tuple[str, str], int] = {}
        self._uses: dict[int, int] = {}
        self.closed = False
        self._domain = dds.check(lib.dds_create_domain(domain, settings().encode()), f"DDS domain {domain}")
        try:
            qos = lib.dds_create_qos()
            lib.dds_qset_userdata(qos, b"enclave=/;", len(b"enclave=/;"))
            self.handle = dds.check(lib.dds_create_participant(domain, qos, None), "DDS participant")
            lib.dds_delete_qos(qos)
            self.guid = dds.guid(self.handle)
            self._loop_through()
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Release every entity of this process and the threads behind them."""
        self.closed = True
        dds.library().dds_delete(self._domain)

    def create_writer(self, topic: str, kind: str, profile: QoSProfile, *, is_service: bool = False,
                      user_data: str = "") -> int:
        """Return a new writer for messages of a ROS type on a DDS topic."""
        return self._create("dds_create_writer", topic, kind, profile, is_service, user_data)

    def create_reader(self, topic: str, kind: str, profile: QoSProfile, *, is_service: bool = False,
                      user_data: str = "") -> int:
        """Return a new reader of messages of a ROS type from a DDS topic."""
        return self._create("dds_create_reader", topic, kind, profile, is_service, user_data)

    def delete(self, *entities: int) -> None:
        """Delete entities, and a topic with its last writer or reader."""
        for entity in entities:
            with self._lock:
                topic = self._uses.pop(entity, None)
                last = topic is not None and topic not in self._uses.values()
                if last:
                    self._topics = {key: value for key, value in self._topics.items() if value != topic}
            dds.library().dds_delete(entity)
            if last:
                dds.library().dds_delete(topic)

    def _create(self, function: str, topic: str, kind: str, profile: QoSProfile, is_service: bool,
                user_data: str) -> int:
        lib = dds.library()
        if distribution() != "humble":
            user_data += f"typehash={idl.type_hash(kind)};"
        with self._lock:
            handle = self._topic(topic, kind, is_service)
            settings_of = quality.to_dds(profile, user_data)
            try:
                entity = getattr(lib, function)(self.handle, handle, settings_of, None)
                self._uses[dds.check(entity, f"{topic} ({kind})")] = handle
            finally:
                lib.dds_delete_qos(settings_of)
        return entity

    def _topic(self, topic: str, kind: str, is_service: bool) -> int:
        from cyclonedds._clayer import ddspy_topic_create

        if (topic, kind) not in self._topics:
            type_of = idl.idl_type(kind, is_service=is_service)
            type_of.__idl__.populate()
            type_of.__idl__.fill_type_data()
            handle = ddspy_topic_create(self.handle, topic, type_of, None, None)
            self._topics[topic, kind] = dds.check(handle, f"{topic} ({kind})")
        return self._topics[topic, kind]

    def _loop_through(self) -> None:
        """Send one sample to this process itself: does the binding's inner interface still hold?"""
        image = message("sensor_msgs/msg/Image")(height=1, width=3, step=3, data=b"abc")
        profile = QoSProfile(1)
        reader = self.create_reader("uois_sam_self_check", image.__msgtype__, profile)
        writer = self.create_writer("uois_sam_self_check", image.__msgtype__, profile)
        try:
            code = dds.write(writer, idl.encode(image))
            taken = dds.take(reader)
            if code < 0 or taken is None or taken[0] is None or idl.decode(taken[0], image.__msgtype__) != image:
                raise RosError(f"cyclonedds {dds.VERSION}: expected a sample to loop through, got {code} and "
                               "another one; reinstall it with pip install 'uois_sam_ros[dds]'")
        finally:
            self.delete(reader, writer)


def user_data_of_service(role: str, identity: bytes) -> str:
    """Return what marks the two endpoints of one ``client`` or ``service`` as belonging together."""
    return f"{role}id={'.'.join(f'{value:x}' for value in identity)};"


def matching_kind(cls: Any) -> str:
    """Return the ROS type name of a message or service class.

    Raises:
        RosError: it is not one.
    """
    kind = getattr(cls, "__msgtype__", None)
    if kind is None:
        raise RosError(f"{cls!r}: expected a class from api.message() or api.service()")
    return kind
