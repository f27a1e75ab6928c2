"""A ROS domain of one's own on the loopback, for the processes of a live replay."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

#: Unicast to this machine alone; the receive buffer is what the kernel grants.
LOOPBACK = (
    "<CycloneDDS><Domain Id='any'><General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    "<MaxAutoParticipantIndex>30</MaxAutoParticipantIndex><Peers><Peer Address='127.0.0.1'/></Peers></Discovery>"
    "<Internal><SocketReceiveBufferSize max='16MB'/></Internal></Domain></CycloneDDS>")
CYCLONE = "rmw_cyclonedds_cpp"
#: Above this the ports of a domain may be taken by outgoing connections.
LAST_DOMAIN = 100


def loopback_environment(domain_id: int | None = None) -> dict[str, str]:
    """Return the environment variables that pin ROS 2 to loopback, in a random unused domain unless one is given."""
    domain = free_domain() if domain_id is None else domain_id
    pinned = {"ROS_DOMAIN_ID": str(domain), "CYCLONEDDS_URI": LOOPBACK}
    if os.environ.get("RMW_IMPLEMENTATION") == CYCLONE:  # both at once would name the interface twice
        return pinned
    return {**pinned, "ROS_LOCALHOST_ONLY": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def free_domain() -> int:
    """Return a domain that nobody on this machine uses; the last one tried when all are in use."""
    domains = random.SystemRandom().sample(range(1, LAST_DOMAIN + 1), LAST_DOMAIN)
    return next((domain for domain in domains if _is_free(7400 + 250 * domain + 10)), domains[-1])


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables of this process for the duration of a block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
