"""The ROS graph: tells others which endpoints belong to which of our nodes, and learns the same of them."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ...errors import RosError
from . import dds, idl, qos as quality
from .messages import message
from .names import ros_type
from .participant import Participant
from .qos import QoSProfile

TOPIC, KIND = "ros_discovery_info", "rmw_dds_common/msg/ParticipantEntitiesInfo"
#: Built-in topics of Cyclone DDS.
_PARTICIPANTS, _WRITERS, _READERS = 0x7FFF0001, 0x7FFF0003, 0x7FFF0004
_UNKNOWN = ("_NODE_NAME_UNKNOWN_", "_NODE_NAMESPACE_UNKNOWN_")


@dataclass(frozen=True)
class TopicEndpointInfo:
    """A publisher or subscription somewhere in the graph."""

    node_name: str
    node_namespace: str
    topic_type: str
    qos_profile: QoSProfile


@dataclass(frozen=True)
class Discovered:
    """A DDS endpoint as announced: its GUID, DDS topic and type, and quality of service."""

    guid: bytes
    topic: str
    kind: str
    qos: QoSProfile


@dataclass
class _NodeEntry:
    name: str
    namespace: str
    readers: set[bytes] = field(default_factory=set)
    writers: set[bytes] = field(default_factory=set)


class Graph:
    """Our part of ``ros_discovery_info`` and a cache of everyone else's."""

    def __init__(self, participant: Participant) -> None:
        self._participant, self._lock = participant, threading.RLock()
        self._nodes: list[_NodeEntry] = []
        #: participant GUID -> endpoint GUID -> (node name, namespace)
        self._owners: dict[bytes, dict[bytes, tuple[str, str]]] = {}
        self._gid_length = len(message("rmw_dds_common/msg/Gid")().data)
        self._writer = participant.create_writer(TOPIC, KIND, quality.DISCOVERY_WRITER)
        self.reader = participant.create_reader(TOPIC, KIND, quality.DISCOVERY_READER)

    def add_node(self, name: str, namespace: str) -> _NodeEntry:
        """Announce a node; its endpoints follow through ``update``."""
        entry = _NodeEntry(name, namespace)
        with self._lock:
            self._nodes.append(entry)
            self._publish()
        return entry

    def remove_node(self, entry: _NodeEntry) -> None:
        """Announce that a node is gone."""
        with self._lock:
            if entry in self._nodes:
                self._nodes.remove(entry)
                self._publish()

    def update(self, entry: _NodeEntry, *, add: tuple[int, ...] = (), readers: tuple[int, ...] = (),
               forget: tuple[bytes, ...] = ()) -> tuple[bytes, ...]:
        """Announce new writers (``add``) and ``readers`` or endpoints that are gone; return the new GUIDs."""
        with self._lock:
            written, read = [dds.guid(handle) for handle in add], [dds.guid(handle) for handle in readers]
            entry.writers = entry.writers.union(written).difference(forget)
            entry.readers = entry.readers.union(read).difference(forget)
            self._publish()
        return (*written, *read)

    def refresh(self) -> None:
        """Take in what others announced since the last call."""
        with self._lock:
            while (taken := dds.take(self.reader)) is not None:
                if taken[0] is None:
                    continue
                try:
                    self._learn(idl.decode(taken[0], KIND))
                except RosError:
                    continue  # a participant that says nonsense has no nodes for us
            if len(self._owners) > 64:
                alive = {bytes(item.key) for item in self._read(_PARTICIPANTS)}
                self._owners = {guid: owned for guid, owned in self._owners.items() if guid in alive}

    def publishers(self, topic: str | None = None) -> list[Discovered]:
        """Return the writers in the graph, ours included; of one DDS topic if given."""
        return self._endpoints(_WRITERS, topic)

    def subscriptions(self, topic: str | None = None) -> list[Discovered]:
        """Return the readers in the graph, ours included; of one DDS topic if given."""
        return self._endpoints(_READERS, topic)

    def describe(self, endpoints: list[Discovered]) -> list[TopicEndpointInfo]:
        """Return endpoints with the nodes that own them."""
        self.refresh()
        with self._lock:
            owners = {guid: owner for owned in self._owners.values() for guid, owner in owned.items()}
            for node in self._nodes:
                owners.update(dict.fromkeys(node.writers | node.readers, (node.name, node.namespace)))
        return [TopicEndpointInfo(*owners.get(found.guid, _UNKNOWN), ros_type(found.kind), found.qos)
                for found in endpoints]

    def close(self) -> None:
        """Release the endpoints."""
        with self._lock:
            self._participant.delete(self._writer, self.reader)

    def _publish(self) -> None:
        if self._participant.closed:
            return
        info, entry = message(KIND), message("rmw_dds_common/msg/NodeEntitiesInfo")
        nodes = [entry(node_namespace=node.namespace, node_name=node.name,
                       reader_gid_seq=[self._gid(guid) for guid in sorted(node.readers)],
                       writer_gid_seq=[self._gid(guid) for guid in sorted(node.writers)]) for node in self._nodes]
        sample = info(gid=self._gid(self._participant.guid), node_entities_info_seq=nodes)
        dds.check(dds.write(self._writer, idl.encode(sample)), TOPIC)

    def _gid(self, guid: bytes) -> Any:
        return message("rmw_dds_common/msg/Gid")(data=guid.ljust(self._gid_length, b"\0"))

    def _learn(self, sample: Any) -> None:
        guid = bytes(sample.gid.data)[:16]
        if guid == self._participant.guid:
            return
        self._owners[guid] = {
            bytes(gid.data)[:16]: (node.node_name, node.node_namespace)
            for node in sample.node_entities_info_seq for gid in (*node.reader_gid_seq, *node.writer_gid_seq)}

    def _endpoints(self, builtin: int, topic: str | None) -> list[Discovered]:
        wanted = None if topic is None else topic.encode()
        return [Discovered(bytes(item.key), item.topic_name.decode(), item.type_name.decode(),
                           quality.from_dds(item.qos))
                for item in self._read(builtin) if wanted is None or item.topic_name == wanted]

    def _read(self, builtin: int, batch: int = 128) -> Iterator[dds.Endpoint]:
        """Yield what is alive now, from a built-in topic; each entry is valid until the next is asked for."""
        lib = dds.library()
        samples, infos = (ctypes.c_void_p * batch)(), (dds.SampleInfo * batch)()
        reader = dds.check(lib.dds_create_reader(self._participant.handle, builtin, None, None), "discovery")
        try:
            while (count := dds.check(lib.dds_take(reader, samples, infos, batch, batch), "discovery")) > 0:
                for index in range(count):
                    if infos[index].valid_data:
                        yield ctypes.cast(samples[index], ctypes.POINTER(dds.Endpoint)).contents
                lib.dds_return_loan(reader, samples, count)
        finally:
            lib.dds_delete(reader)
