"""The lifecycle, as the node relies on it in ``ros/api.py``."""

from __future__ import annotations

import pytest
from apirig import Inbox, Spinning, joined, peer  # noqa: F401 (fixtures)

from uois_sam_ros.ros import api

SUCCESS, FAILURE, ERROR = (
    api.TransitionCallbackReturn.SUCCESS, api.TransitionCallbackReturn.FAILURE, api.TransitionCallbackReturn.ERROR)
LIFECYCLE = "lifecycle_msgs/srv/"


class Managed(api.LifecycleNode):
    """Notes what it is asked, and answers as it is told."""

    def __init__(self):
        super().__init__("managed", namespace="/cell")
        self.answers, self.asked = {}, []

    def _answer(self, name, state):
        self.asked.append((name, state.label))
        answer = self.answers.get(name, SUCCESS)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def on_configure(self, state):
        return self._answer("configure", state)

    def on_activate(self, state):
        return self._answer("activate", state)

    def on_deactivate(self, state):
        return self._answer("deactivate", state)

    def on_cleanup(self, state):
        return self._answer("cleanup", state)

    def on_shutdown(self, state):
        return self._answer("shutdown", state)

    def on_error(self, state):
        return self._answer("error", state)


@pytest.fixture
def managed(joined):
    node = Managed()
    spinning = Spinning(node)
    yield node
    spinning.end()
    node.destroy_node()


def state_of(peer):
    return peer(LIFECYCLE + "GetState", "/cell/managed/get_state")["current_state"]["label"]


def change(peer, label, number=0):
    return peer(LIFECYCLE + "ChangeState", "/cell/managed/change_state",
                {"transition": {"id": number, "label": label}})["success"]


def test_lifecycle_is_driven_from_another_process(managed, peer):
    events = Inbox(managed, "lifecycle_msgs/msg/TransitionEvent", "~/transition_event", 20)
    assert state_of(peer) == "unconfigured"
    for label, state in (("configure", "inactive"), ("activate", "active"), ("deactivate", "inactive"),
                         ("cleanup", "unconfigured"), ("shutdown", "finalized")):
        assert change(peer, label)
        assert state_of(peer) == state
    assert managed.asked == [("configure", "unconfigured"), ("activate", "inactive"), ("deactivate", "active"),
                             ("cleanup", "inactive"), ("shutdown", "unconfigured")]
    goals = [event.goal_state.label for event in events.wait(10)]
    assert goals == ["configuring", "inactive", "activating", "active", "deactivating", "inactive", "cleaningup",
                     "unconfigured", "shuttingdown", "finalized"]


def test_lifecycle_failure_keeps_the_state(managed, peer):
    managed.answers = {"configure": FAILURE, "activate": FAILURE}
    assert not change(peer, "configure")
    assert state_of(peer) == "unconfigured"
    managed.answers = {"activate": FAILURE, "deactivate": FAILURE}
    assert change(peer, "", 1)
    assert not change(peer, "activate")
    assert state_of(peer) == "inactive"
    managed.answers = {}
    assert not change(peer, "deactivate"), "not possible here"
    assert state_of(peer) == "inactive"


def test_lifecycle_error_is_handled(managed, peer):
    managed.answers = {"configure": RuntimeError("no model"), "error": SUCCESS}
    assert not change(peer, "configure")
    assert state_of(peer) == "unconfigured"
    assert [name for name, _ in managed.asked] == ["configure", "error"]
    managed.answers = {"configure": ERROR, "error": FAILURE}
    assert not change(peer, "configure")
    assert state_of(peer) == "finalized"


def test_lifecycle_triggers_in_process(managed, peer):
    assert managed.trigger_configure() == SUCCESS
    assert managed.trigger_activate() == SUCCESS
    assert managed.trigger_deactivate() == SUCCESS
    managed.answers = {"cleanup": FAILURE}
    assert managed.trigger_cleanup() == FAILURE
    assert state_of(peer) == "inactive"
    with pytest.raises(Exception):
        managed.trigger_deactivate()
    assert managed.trigger_shutdown() == SUCCESS


def test_lifecycle_states_and_transitions_are_listed(managed, peer):
    states = peer(LIFECYCLE + "GetAvailableStates", "/cell/managed/get_available_states")["available_states"]
    assert {state["id"]: state["label"] for state in states} == {
        0: "unknown", 1: "unconfigured", 2: "inactive", 3: "active", 4: "finalized", 10: "configuring",
        11: "cleaningup", 12: "shuttingdown", 13: "activating", 14: "deactivating", 15: "errorprocessing"}
    kind = LIFECYCLE + "GetAvailableTransitions"
    found = peer(kind, "/cell/managed/get_available_transitions")["available_transitions"]
    assert {(item["transition"]["id"], item["transition"]["label"], item["goal_state"]["label"]) for item in found} == {
        (1, "configure", "configuring"), (5, "shutdown", "shuttingdown")}
    graph = peer(kind, "/cell/managed/get_transition_graph")["available_transitions"]
    ids = sorted(item["transition"]["id"] for item in graph)
    assert ids == [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62]
