"""Managed nodes: the lifecycle state machine, its services and its transition events."""

from __future__ import annotations

import threading
import time
from enum import Enum
from typing import Any, NamedTuple

from ...errors import RosError
from .executor import MutuallyExclusiveCallbackGroup
from .messages import message, service
from .node import Node
from .qos import QoSProfile

_State, _Transition = message("lifecycle_msgs/msg/State"), message("lifecycle_msgs/msg/Transition")
_Description = message("lifecycle_msgs/msg/TransitionDescription")
_Event = message("lifecycle_msgs/msg/TransitionEvent")


class TransitionCallbackReturn(Enum):
    """What the callback of a transition tells."""

    SUCCESS = 97
    FAILURE = 98
    ERROR = 99


class LifecycleState(NamedTuple):
    """A state's name and number."""

    label: str
    state_id: int


_LABELS = {0: "unknown", 1: "unconfigured", 2: "inactive", 3: "active", 4: "finalized", 10: "configuring",
           11: "cleaningup", 12: "shuttingdown", 13: "activating", 14: "deactivating", 15: "errorprocessing"}
_STATES = {number: LifecycleState(label, number) for number, label in _LABELS.items()}
_OUTCOMES = tuple(TransitionCallbackReturn)


class _Step(NamedTuple):
    """A transition that can be asked for: its number and label, and the states before, during and after.

    ``ends`` are the states after success, failure and error; ``base`` numbers the transitions to them.
    """

    number: int
    label: str
    start: int
    during: int
    ends: tuple[int, int, int]
    base: int
    callback: str


_STEPS = (
    _Step(1, "configure", 1, 10, (2, 1, 15), 10, "on_configure"),
    _Step(2, "cleanup", 2, 11, (1, 2, 15), 20, "on_cleanup"),
    _Step(3, "activate", 2, 13, (3, 2, 15), 30, "on_activate"),
    _Step(4, "deactivate", 3, 14, (2, 3, 15), 40, "on_deactivate"),
    _Step(5, "shutdown", 1, 12, (4, 4, 15), 50, "on_shutdown"),
    _Step(6, "shutdown", 2, 12, (4, 4, 15), 50, "on_shutdown"),
    _Step(7, "shutdown", 3, 12, (4, 4, 15), 50, "on_shutdown"),
)
_ERROR_STEP = _Step(60, "error", 15, 15, (1, 4, 4), 60, "on_error")
_RESULTS = ("transition_success", "transition_failure", "transition_error")


class LifecycleNode(Node):
    """A node that others configure, activate, deactivate, clean up and shut down.

    Override the ``on_`` methods; an exception in one counts as ERROR and leads to ``on_error``.
    """

    def __init__(self, node_name: str, **options: Any) -> None:
        super().__init__(node_name, **options)
        self._state, self._changing = _STATES[1], threading.Lock()
        self._transitions = self.create_publisher(_Event, "~/transition_event", QoSProfile(10))
        group = MutuallyExclusiveCallbackGroup()
        for kind, name, callback in (
                ("ChangeState", "change_state", self._serve_change),
                ("GetState", "get_state", self._serve_state),
                ("GetAvailableStates", "get_available_states", self._serve_states),
                ("GetAvailableTransitions", "get_available_transitions", self._serve_available),
                ("GetAvailableTransitions", "get_transition_graph", self._serve_graph)):
            own = group if kind == "ChangeState" else MutuallyExclusiveCallbackGroup()
            self.create_service(service(f"lifecycle_msgs/srv/{kind}"), f"~/{name}", callback, callback_group=own)

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Make ready; the state is the one before, here and below."""
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start."""
        return TransitionCallbackReturn.SUCCESS

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop."""
        return TransitionCallbackReturn.SUCCESS

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release what ``on_configure`` made."""
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Recover to unconfigured with SUCCESS; otherwise the node is finalized."""
        return TransitionCallbackReturn.FAILURE

    def trigger_configure(self) -> TransitionCallbackReturn:
        """Run the transition here and now."""
        return self._change("configure")

    def trigger_activate(self) -> TransitionCallbackReturn:
        """Run the transition here and now."""
        return self._change("activate")

    def trigger_deactivate(self) -> TransitionCallbackReturn:
        """Run the transition here and now."""
        return self._change("deactivate")

    def trigger_cleanup(self) -> TransitionCallbackReturn:
        """Run the transition here and now."""
        return self._change("cleanup")

    def trigger_shutdown(self) -> TransitionCallbackReturn:
        """Run the transition here and now."""
        return self._change("shutdown")

    def _available(self) -> list[_Step]:
        return [step for step in _STEPS if step.start == self._state.state_id]

    def _change(self, wanted: str | int) -> TransitionCallbackReturn:
        """Run the transition of a label or number.

        Raises:
            RosError: the state does not allow it.
        """
        with self._changing:
            steps = [step for step in self._available() if wanted in (step.label, step.number)]
            if not steps:
                allowed = ", ".join(step.label for step in self._available()) or "none"
                raise RosError(f"lifecycle of {self.get_name()}: expected a transition from {self._state.label} "
                               f"({allowed}), got '{wanted}'")
            outcome = self._run(steps[0])
            if self._state.state_id == 15:
                self._run(_ERROR_STEP)
            return outcome

    def _run(self, step: _Step) -> TransitionCallbackReturn:
        before = self._state
        if step.during != before.state_id:
            self._enter(_STATES[step.during], step.number, step.label)
        try:
            outcome = TransitionCallbackReturn(getattr(self, step.callback)(before))
        except Exception as error:  # as in rclpy: the state machine decides, the node lives on
            self._logger.error(f"{step.callback}: {type(error).__name__}: {error}")
            outcome = TransitionCallbackReturn.ERROR
        index = _OUTCOMES.index(outcome)
        self._enter(_STATES[step.ends[index]], step.base + index, _RESULTS[index])
        return outcome

    def _enter(self, state: LifecycleState, number: int, label: str) -> None:
        before, self._state = self._state, state
        self._transitions.publish(_Event(
            timestamp=time.time_ns(), transition=_Transition(id=number, label=label),
            start_state=_State(id=before.state_id, label=before.label),
            goal_state=_State(id=state.state_id, label=state.label)))

    def _serve_change(self, request: Any, response: Any) -> Any:
        try:
            wanted = request.transition.label or request.transition.id
            response.success = self._change(wanted) == TransitionCallbackReturn.SUCCESS
        except RosError as error:
            self._logger.error(str(error))
        return response

    def _serve_state(self, request: Any, response: Any) -> Any:
        response.current_state = _State(id=self._state.state_id, label=self._state.label)
        return response

    def _serve_states(self, request: Any, response: Any) -> Any:
        response.available_states = [_State(id=number, label=label) for number, label in _LABELS.items()]
        return response

    def _serve_available(self, request: Any, response: Any) -> Any:
        response.available_transitions = [
            _describe(step.number, step.label, step.start, step.during) for step in self._available()]
        return response

    def _serve_graph(self, request: Any, response: Any) -> Any:
        found = [_describe(step.number, step.label, step.start, step.during) for step in _STEPS]
        for step in (*_STEPS[:5], _ERROR_STEP):
            found += [_describe(step.base + index, label, step.during, step.ends[index])
                      for index, label in enumerate(_RESULTS)]
        response.available_transitions = found
        return response


def _describe(number: int, label: str, start: int, goal: int) -> Any:
    return _Description(
        transition=_Transition(id=number, label=label), start_state=_State(id=start, label=_LABELS[start]),
        goal_state=_State(id=goal, label=_LABELS[goal]))
