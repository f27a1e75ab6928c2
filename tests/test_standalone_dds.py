"""The DDS library of the standalone subset, its settings, and the choice between it and rclpy."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import subprocess
import sys

import pytest
from rosgraph import LOOPBACK_XML, joined  # noqa: F401 (a fixture)

from uois_sam_ros.errors import BackendError, RosError
from uois_sam_ros.ros import api

if not api.STANDALONE:
    pytest.skip("tests the standalone subset", allow_module_level=True)
from uois_sam_ros.ros.standalone import dds, participant  # noqa: E402


def run(code, **env):
    return subprocess.run([sys.executable, "-c", code], env={**os.environ, **env}, capture_output=True, text=True)


@pytest.mark.parametrize("found, match", [
    (None, r"cyclonedds: expected ROS 2 \(rclpy\) or the package cyclonedds.*pip install 'uois_sam_ros\[dds\]'"),
    ("0.10.5", r"expected version 11.0.1.*got 0.10.5; pip install 'uois_sam_ros\[dds\]'"),
])
def test_missing_or_other_library_is_refused(monkeypatch, found, match):
    def version(name):
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found
    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(BackendError, match=match):
        dds.library.__wrapped__()


def test_library_that_does_not_load_is_refused(monkeypatch):
    pytest.importorskip("cyclonedds")
    monkeypatch.setitem(sys.modules, "cyclonedds.internal", None)
    with pytest.raises(BackendError, match="expected a library that loads on this machine"):
        dds.library.__wrapped__()


def test_messages_need_no_dds():
    found = run("import sys; sys.modules['cyclonedds'] = None\nfrom uois_sam_ros.ros import api\n"
                "print(api.message('sensor_msgs/msg/Image')(height=3).height)")
    assert found.stdout == "3\n", found.stderr


def test_init_without_dds_is_refused():
    found = run("import sys; sys.modules['cyclonedds'] = None\nfrom uois_sam_ros.ros import api\n"
                "try:\n    api.init(args=[])\nexcept ValueError as error:\n    print(type(error).__name__, api.ok())")
    assert found.stdout == "BackendError False\n", found.stderr


@pytest.mark.parametrize("content, match", [
    ("raise ImportError('no C extension for this Python')", "use the Python of that install"),
    ("import a_ros_package_that_is_missing", "complete the install"),
])
def test_broken_rclpy_is_not_passed_over(tmp_path, content, match):
    (tmp_path / "rclpy.py").write_text(content)
    found = run("from uois_sam_ros.ros import api", PYTHONPATH=str(tmp_path))
    assert found.returncode == 1 and match in found.stderr and "BackendError" in found.stderr


@pytest.mark.parametrize("text, domain", [(None, 0), ("", 0), ("7", 7), ("232", 232)])
def test_domain(monkeypatch, text, domain):
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)
    if text is not None:
        monkeypatch.setenv("ROS_DOMAIN_ID", text)
    assert participant.domain_id() == domain


@pytest.mark.parametrize("text", ["-1", "233", "a", "1.5"])
def test_wrong_domain_is_refused(monkeypatch, text):
    monkeypatch.setenv("ROS_DOMAIN_ID", text)
    with pytest.raises(RosError, match=f"ROS_DOMAIN_ID: expected a number from 0 to 232, got '{text}'"):
        participant.domain_id()


@pytest.mark.parametrize("env, local", [
    ({}, False), ({"ROS_LOCALHOST_ONLY": "0"}, False), ({"ROS_LOCALHOST_ONLY": "1"}, True),
    ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, False), ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, True),
    ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, True),
])
def test_settings_follow_the_environment(monkeypatch, env, local):
    for name in ("CYCLONEDDS_URI", "ROS_LOCALHOST_ONLY", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    found = participant.settings()
    assert ("name='lo'" in found and "127.0.0.1" in found) == local
    assert "SocketReceiveBufferSize max=" in found and "min=" not in found, "a small rmem_max must not stop it"
    monkeypatch.setenv("CYCLONEDDS_URI", "file:///own.xml")
    assert participant.settings() == "file:///own.xml"


LOCAL = """
from uois_sam_ros.ros import api
api.init(args=[])
node = api.Node("alone")
print(len([info for info in node.get_publishers_info_by_topic("/rosout") if info.node_name == "alone"]))
api.shutdown()
"""


def test_default_settings_work(joined):
    """The settings of ``ROS_LOCALHOST_ONLY``, with a buffer that no kernel grants; never leaves this machine."""
    found = run("from uois_sam_ros.ros.standalone import participant; participant.RECEIVE_BUFFER = '1GB'\n" + LOCAL,
                CYCLONEDDS_URI="", ROS_LOCALHOST_ONLY="1", ROS_DOMAIN_ID=joined["ROS_DOMAIN_ID"])
    assert (found.stdout, found.stderr) == ("1\n", "")


def test_a_node_lives_in_a_humble_graph(joined):
    found = run(LOCAL, **{**joined, "ROS_DISTRO": "humble"})
    assert found.stdout == "1\n", found.stderr


def test_wrong_settings_are_refused(joined):
    found = run("from uois_sam_ros.ros import api\napi.init(args=[])",
                CYCLONEDDS_URI=LOOPBACK_XML.replace("MaxAutoParticipantIndex", "NoSuchSetting"))
    assert found.returncode == 1 and "DDS domain" in found.stderr and "check CYCLONEDDS_URI" in found.stderr


def test_sample_that_does_not_loop_through_is_refused(joined, monkeypatch):
    from uois_sam_ros.ros.standalone.context import default_context

    monkeypatch.setattr(dds, "take", lambda reader: None)
    with pytest.raises(RosError, match="expected a sample to loop through"):
        default_context().participant._loop_through()


def user_data(entity):
    lib, size, value = dds.library(), ctypes.c_size_t(), ctypes.c_void_p()
    lib.dds_get_qos.argtypes = [ctypes.c_int32, ctypes.c_void_p]
    lib.dds_qget_userdata.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
    qos = lib.dds_create_qos()
    lib.dds_get_qos(entity, qos)
    lib.dds_qget_userdata(qos, ctypes.byref(value), ctypes.byref(size))
    lib.dds_delete_qos(qos)
    return ctypes.string_at(value, size.value).decode()


@pytest.mark.parametrize("distribution, announced", [("jazzy", True), ("humble", False)])
def test_endpoints_announce_their_type_hash(joined, monkeypatch, distribution, announced):
    from uois_sam_ros.ros.standalone.context import default_context
    from uois_sam_ros.ros.standalone.idl import type_hash
    from uois_sam_ros.ros.standalone.qos import QoSProfile

    monkeypatch.setenv("ROS_DISTRO", distribution)
    ours, kind = default_context().participant, "sensor_msgs/msg/Image"
    writer = ours.create_writer("rt/hashed", kind, QoSProfile(1))
    assert user_data(ours.handle) == "enclave=/;"
    assert user_data(writer) == (f"typehash={type_hash(kind)};" if announced else "")
    ours.delete(writer)


def test_service_endpoints_carry_one_mark(joined):
    from uois_sam_ros.ros import api

    node = api.Node("marked")
    served = node.create_service(api.service("std_srvs/srv/Trigger"), "~/go", lambda request, response: response)
    assert user_data(served.reader).startswith("serviceid=")
    assert user_data(served.reader).split(";")[0] == user_data(served.writer).split(";")[0]
    node.destroy_node()
