"""Message classes, DDS types and bytes of the standalone subset; no participant is made."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from array import array

import numpy as np
import pytest

from uois_sam_ros.errors import RosError
from uois_sam_ros.ros.standalone import idl
from uois_sam_ros.ros.standalone.definitions import MESSAGES, SERVICES
from uois_sam_ros.ros.standalone.messages import message, service

#: As in the packages' own .json files in a Jazzy install.
HASHES = {
    "sensor_msgs/msg/Image": "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47",
    "rmw_dds_common/msg/ParticipantEntitiesInfo":
        "RIHS01_91a0593bacdcc50ea9bdcf849a938b128412cc1ea821245c663bcd26f83c295e",
    "vision_msgs/msg/Detection3DArray": "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018",
    "std_srvs/srv/Trigger_Request": "RIHS01_d010825374ce8918e72bfd826c82603e60f45419e932ea976f807b74a863a199",
}


PARTS = [f"{name}_{part}" for name in SERVICES for part in ("Request", "Response")]


@pytest.mark.parametrize("kind", [*MESSAGES, *PARTS])
def test_every_definition_builds_and_round_trips(kind):
    name, _, part = kind.rpartition("_")
    cls = getattr(service(name), part) if part in ("Request", "Response") else message(kind)
    assert idl.decode(bytes(idl.encode(cls())), kind) == cls()


@pytest.mark.parametrize("kind, expected", HASHES.items())
def test_type_hashes_are_those_of_ros(kind, expected):
    assert idl.type_hash(kind) == expected


@pytest.mark.parametrize("value", [b"\x01\x02\x03", bytearray(b"\x01\x02\x03"), array("B", [1, 2, 3]), [1, 2, 3],
                                   (1, 2, 3), np.array([1, 2, 3]), np.array([[1], [2], [3]], np.uint8),
                                   memoryview(b"\x01\x02\x03")])
def test_number_arrays_take_every_form(value):
    image = message("sensor_msgs/msg/Image")(data=value)
    assert image.data.dtype == np.uint8 and image.data.tolist() == [1, 2, 3]


def test_image_data_is_not_copied():
    pixels = np.zeros(12, np.uint8)
    assert np.shares_memory(message("sensor_msgs/msg/Image")(data=pixels).data, pixels)


def test_received_arrays_are_read_only_views():
    data = memoryview(bytes(idl.encode(message("sensor_msgs/msg/Image")(data=b"abc"))))
    received = idl.decode(data, "sensor_msgs/msg/Image").data
    assert not received.flags.writeable and np.shares_memory(received, np.frombuffer(data, np.uint8))


@pytest.mark.parametrize("kind, fields, match", [
    ("sensor_msgs/msg/CameraInfo", {"k": [1.0] * 8}, "CameraInfo.k: expected 9 values, got 8"),
    ("sensor_msgs/msg/Image", {"data": "text"}, "Image.data: expected uint8 values, got str"),
    ("sensor_msgs/msg/Image", {"data": None}, "Image.data: expected uint8 values, got NoneType"),
])
def test_wrong_arrays_are_refused(kind, fields, match):
    with pytest.raises(RosError, match=match):
        message(kind)(**fields)


def test_byte_fields_hold_one_byte():
    status = message("diagnostic_msgs/msg/DiagnosticStatus")
    for value in (2, b"\x02", status.ERROR):
        found = idl.decode(bytes(idl.encode(status(level=value))), status.__msgtype__)
        assert found.level == bytes(found.level) == b"\x02" and isinstance(found.level, bytes)


def test_messages_compare_and_show():
    header = message("std_msgs/msg/Header")
    assert header(frame_id="a") == header(frame_id="a") != header(frame_id="b")
    assert header() != message("builtin_interfaces/msg/Time")()
    assert repr(header(frame_id="a")) == "Header(stamp=Time(sec=0, nanosec=0), frame_id='a')"
    with pytest.raises(TypeError, match="frame"):
        header(frame="a")


def test_defaults_are_not_shared():
    array_of = message("vision_msgs/msg/Detection2DArray")
    first, second = array_of(), array_of()
    first.detections.append(message("vision_msgs/msg/Detection2D")())
    first.header.frame_id = "a"
    assert second.detections == [] and second.header.frame_id == ""


def test_field_types_are_told_as_in_rclpy():
    types = message("sensor_msgs/msg/CameraInfo").get_fields_and_field_types()
    assert types["header"] == "std_msgs/Header" and types["d"] == "sequence<double>" and types["k"] == "double[9]"
    types = message("rcl_interfaces/msg/ParameterDescriptor").get_fields_and_field_types()
    assert types["read_only"] == "boolean"
    assert types["integer_range"] == "sequence<rcl_interfaces/IntegerRange, 1>"


@pytest.mark.parametrize("fields", [{"height": "tall"}, {"height": -1}, {"encoding": 7}, {"header": None}])
def test_values_of_another_type_do_not_serialise(fields):
    with pytest.raises(RosError, match="sensor_msgs/msg/Image: expected fields of the declared types"):
        idl.encode(message("sensor_msgs/msg/Image")(**fields))


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"\x00\x01\x00\x00\xff\xff", b"\x00\x07\x00\x00" + bytes(60)])
def test_wild_bytes_are_refused(data):
    with pytest.raises(RosError, match="sensor_msgs/msg/Image: expected a serialised message"):
        idl.decode(data, "sensor_msgs/msg/Image")


def test_samples_are_padded_to_four_bytes():
    for length in range(5):
        data = idl.encode(message("std_msgs/msg/String")(data="x" * length))
        assert data[:4] == b"\x00\x01\x00\x00" and len(data) % 4 == 0
        assert idl.decode(bytes(data), "std_msgs/msg/String").data == "x" * length


def test_bytes_of_a_request():
    request = service("std_srvs/srv/Trigger").Request()
    data = idl.encode(request, (0x1122334455667788, -2))
    assert bytes(data) == b"\x00\x01\x00\x00" + struct.pack("<Qq", 0x1122334455667788, -2) + bytes(4)


@pytest.mark.parametrize("order, flag", [("<", 1), (">", 0)])
def test_replies_of_either_byte_order(order, flag):
    body = struct.pack(f"{order}Qq?3xI", 5, 6, True, 3) + b"ok\0\0"
    found = idl.decode_service(memoryview(bytes([0, flag, 0, 0]) + body), "std_srvs/srv/Trigger_Response")
    assert found == ((5, 6), service("std_srvs/srv/Trigger").Response(success=True, message="ok"))


def test_a_reply_without_an_id_is_refused():
    with pytest.raises(RosError, match="expected a request id of 16 bytes, got 4"):
        idl.decode_service(memoryview(b"\x00\x01\x00\x00abcd"), "std_srvs/srv/Trigger_Response")


def test_dds_types_are_those_of_ros():
    pytest.importorskip("cyclonedds")
    image = idl.idl_type("sensor_msgs/msg/Image")
    assert image.__idl__.idl_transformed_typename == "sensor_msgs::msg::dds_::Image_"
    assert list(image.__dataclass_fields__) == ["header_", "height_", "width_", "encoding_", "is_bigendian_", "step_",
                                                "data_"]
    request = idl.idl_type("std_srvs/srv/Trigger_Request", is_service=True)
    assert request.__idl__.idl_transformed_typename == "std_srvs::srv::dds_::Trigger_Request_"
    assert list(request.__dataclass_fields__)[:2] == ["client_id_", "sequence_number_"]


ENTITIES = """
from uois_sam_ros.ros.standalone import idl
from uois_sam_ros.ros.standalone.messages import message
gid = message("rmw_dds_common/msg/Gid")
length = len(gid().data)
node = message("rmw_dds_common/msg/NodeEntitiesInfo")(
    node_namespace="/", node_name="n", reader_gid_seq=[gid(data=bytes([2]) * length)], writer_gid_seq=[])
info = message("rmw_dds_common/msg/ParticipantEntitiesInfo")(
    gid=gid(data=bytes([1]) * length), node_entities_info_seq=[node])
print(bytes(idl.encode(info)).hex())
"""


@pytest.mark.parametrize("distribution, length", [("humble", 24), ("jazzy", 16)])
def test_bytes_of_the_graph_in_each_distribution(distribution, length):
    found = subprocess.run([sys.executable, "-c", ENTITIES], env={**os.environ, "ROS_DISTRO": distribution},
                           capture_output=True, text=True, check=True).stdout
    body = bytes([1]) * length + struct.pack("<I", 1)  # participant, one node
    body += struct.pack("<I", 2) + b"/\0" + bytes(2) + struct.pack("<I", 2) + b"n\0" + bytes(2)
    body += struct.pack("<I", 1) + bytes([2]) * length + struct.pack("<I", 0)
    assert bytes.fromhex(found) == b"\x00\x01\x00\x00" + body
