"""ROS graphs for tests: every participant is pinned to loopback, in a domain of its own."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

#: Unicast to this machine alone: nothing of a test ever reaches a network.
LOOPBACK_XML = (
    "<CycloneDDS><Domain Id='any'><General><Interfaces><NetworkInterface name='lo' multicast='false'/></Interfaces>"
    "<AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>"
    "<MaxAutoParticipantIndex>30</MaxAutoParticipantIndex><Peers><Peer Address='127.0.0.1'/></Peers></Discovery>"
    "<Internal><SocketReceiveBufferSize max='16MB'/></Internal></Domain></CycloneDDS>")
TESTS = Path(__file__).parent


def loopback_env(domain_id: int | None = None) -> dict[str, str]:
    """Return environment variables that pin a process to loopback, in a domain of its own unless given."""
    domain = own_domain() if domain_id is None else domain_id
    return {"CYCLONEDDS_URI": LOOPBACK_XML, "ROS_DOMAIN_ID": str(domain), "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}


def own_domain() -> int:
    """Return a domain nobody on this machine uses; those up to 100 keep clear of the ephemeral ports.

    Workers of pytest-xdist draw from different ones: two that look at the ports at the same time might take the same.
    """
    worker, workers = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
    domains = list(range(1, 101))[int(worker.removeprefix("gw"))::int(workers)]
    random.SystemRandom().shuffle(domains)
    return next(domain for domain in domains if _is_free(7400 + 250 * domain + 10))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def start_peer(script: str, *args: str, env: dict[str, str]) -> subprocess.Popen:
    """Start Python code in a process of its own, in the graph that ``env`` names; text pipes on all streams.

    ``ROS_PEER_PYTHON`` may name another Python, such as that of a ROS 2 install: then the two sides of a test
    are different implementations.
    """
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    python = os.environ.get("ROS_PEER_PYTHON") or sys.executable
    return subprocess.Popen([python, "-u", "-c", script, *args], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "PYTHONPATH": path, **env})


@pytest.fixture(scope="module")
def joined():
    """Join this process to a loopback graph of its own; yields the environment for its peers."""
    from uois_sam_ros.ros import api

    if api.STANDALONE:
        pytest.importorskip("cyclonedds", reason="needs ROS 2 or the dds extra")
    env = loopback_env()
    old = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        api.init(args=[])
        yield env
    finally:
        api.try_shutdown()
        for name, value in old.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def wait_for(condition: Callable[[], object], timeout_s: float = 60.0) -> bool:
    """Return whether ``condition()`` came true in time."""
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
