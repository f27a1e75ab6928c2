"""Parameters, as the node relies on them in ``ros/api.py``."""

from __future__ import annotations

import pytest
from apirig import Inbox, joined, node, peer  # noqa: F401 (fixtures)
from rosgraph import wait_for

from uois_sam_ros.ros import api

PARAMETERS = "rcl_interfaces/srv/"


@pytest.fixture
def declared(node):
    node.declare_parameter("rate", 5.0, api.ParameterDescriptor(
        description="Hz", floating_point_range=[api.FloatingPointRange(from_value=0.0, to_value=30.0, step=0.0)]))
    node.declare_parameter("count", 4, api.ParameterDescriptor(
        integer_range=[api.IntegerRange(from_value=0, to_value=10, step=2)]))
    node.declare_parameter("model", "compact", api.ParameterDescriptor(read_only=True))
    node.declare_parameter("track", False)
    node.declare_parameter("roi", [0, 0, 640, 480])
    node.declare_parameter("stage.size", [0.5, 1.5])
    return node


@pytest.mark.parametrize("name, value, accepted", [
    ("rate", 30.0, True), ("rate", 30.5, False), ("rate", -0.1, False), ("rate", 5, False), ("rate", "5", False),
    ("count", 6, True), ("count", 5, False), ("count", 12, False), ("count", 6.0, False),
    ("model", "paper", False), ("track", True, True), ("track", 1, False),
    ("roi", [1, 2, 3, 4], True), ("roi", [0.5], False), ("stage.size", [1.0], True),
])
def test_parameters_keep_type_range_and_read_only(declared, name, value, accepted):
    before = declared.get_parameter(name).value
    result, = declared.set_parameters([api.Parameter(name, value=value)])
    assert result.successful == accepted
    assert bool(result.reason) != accepted
    found = declared.get_parameter(name).value
    assert (list(found) if isinstance(value, list) else found) == (value if accepted else before)


def test_parameter_callback_may_refuse(declared):
    asked = []

    def check(parameters):
        asked.extend((parameter.name, parameter.value) for parameter in parameters)
        good = all(parameter.value is not True for parameter in parameters)
        return api.SetParametersResult(successful=good, reason="" if good else "not while active")

    declared.add_on_set_parameters_callback(check)
    assert declared.set_parameters([api.Parameter("rate", api.Parameter.Type.DOUBLE, 7.0)])[0].successful
    result, = declared.set_parameters([api.Parameter("track", api.Parameter.Type.BOOL, True)])
    assert not result.successful and result.reason == "not while active"
    assert asked == [("rate", 7.0), ("track", True)] and declared.get_parameter("track").value is False


def test_wrong_declarations_are_refused(declared):
    limits = [api.FloatingPointRange(from_value=0.0, to_value=1.0, step=0.0)]
    for name, value, descriptor in (("rate", 1.0, api.ParameterDescriptor()),
                                    ("high", 2.0, api.ParameterDescriptor(floating_point_range=limits))):
        with pytest.raises(Exception, match=name):
            declared.declare_parameter(name, value, descriptor)
    with pytest.raises(Exception, match="never"):
        declared.get_parameter("never")


def test_parameters_are_served_to_another_process(declared, peer):
    base = "/cell/tested/"
    listed = peer(PARAMETERS + "ListParameters", base + "list_parameters")["result"]
    assert {"rate", "count", "model", "track", "roi", "stage.size", "use_sim_time"} <= set(listed["names"])
    listed = peer(PARAMETERS + "ListParameters", base + "list_parameters", {"prefixes": ["stage"]})["result"]
    assert listed == {"names": ["stage.size"], "prefixes": ["stage"]}
    described, = peer(PARAMETERS + "DescribeParameters", base + "describe_parameters",
                      {"names": ["rate"]})["descriptors"]
    assert described["name"] == "rate" and described["type"] == 3 and described["description"] == "Hz"
    assert described["floating_point_range"] == [{"from_value": 0.0, "to_value": 30.0, "step": 0.0}]
    types = peer(PARAMETERS + "GetParameterTypes", base + "get_parameter_types", {"names": ["model", "roi"]})
    assert types == {"types": [4, 7]}
    values = peer(PARAMETERS + "GetParameters", base + "get_parameters", {"names": ["rate", "roi", "stage.size"]})
    assert [value["type"] for value in values["values"]] == [3, 7, 8]
    assert values["values"][0]["double_value"] == 5.0
    assert values["values"][1]["integer_array_value"] == [0, 0, 640, 480]
    changes = [{"name": "rate", "value": {"type": 3, "double_value": 9.0}},
               {"name": "rate", "value": {"type": 3, "double_value": 99.0}},
               {"name": "nobody", "value": {"type": 1, "bool_value": True}}]
    results = peer(PARAMETERS + "SetParameters", base + "set_parameters", {"parameters": changes})["results"]
    assert [result["successful"] for result in results] == [True, False, False]
    assert all(result["reason"] for result in results[1:]) and declared.get_parameter("rate").value == 9.0
    changes = [{"name": "count", "value": {"type": 2, "integer_value": 8}}, changes[1]]
    result = peer(PARAMETERS + "SetParametersAtomically", base + "set_parameters_atomically",
                  {"parameters": changes})["result"]
    assert not result["successful"] and declared.get_parameter("count").value == 4


def test_parameter_changes_are_published(declared):
    inbox = Inbox(declared, "rcl_interfaces/msg/ParameterEvent", "/parameter_events", 100)
    assert wait_for(lambda: declared.count_subscribers("/parameter_events") == 1)
    declared.set_parameters([api.Parameter("rate", value=11.0)])
    event = inbox.wait()[-1]
    assert event.node == "/cell/tested"
    assert [(item.name, item.value.double_value) for item in event.changed_parameters] == [("rate", 11.0)]
