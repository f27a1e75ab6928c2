"""The six parameter services of a node, and /parameter_events; ``ros2 param`` needs them all."""

from __future__ import annotations

from typing import Any

from ...errors import RosError
from .executor import MutuallyExclusiveCallbackGroup
from .messages import message, service
from .parameters import Parameter, Parameters, ParameterDescriptor, SetParametersResult
from .qos import PARAMETER_EVENTS

_SEPARATOR = "."


class ParameterServices:
    """Serves the parameters of one node to others."""

    def __init__(self, node: Any, parameters: Parameters) -> None:
        self._node, self._parameters = node, parameters
        self._event = message("rcl_interfaces/msg/ParameterEvent")
        self._publisher = node.create_publisher(self._event, "/parameter_events", PARAMETER_EVENTS)
        group = MutuallyExclusiveCallbackGroup()
        for kind, name, callback in (
                ("DescribeParameters", "describe_parameters", self._describe),
                ("GetParameterTypes", "get_parameter_types", self._get_types),
                ("GetParameters", "get_parameters", self._get),
                ("ListParameters", "list_parameters", self._list),
                ("SetParameters", "set_parameters", self._set),
                ("SetParametersAtomically", "set_parameters_atomically", self._set_atomically)):
            node.create_service(service(f"rcl_interfaces/srv/{kind}"), f"~/{name}", callback, callback_group=group)

    def publish(self, new: list[Parameter], changed: list[Parameter]) -> None:
        """Tell the graph about declared and changed parameters."""
        self._publisher.publish(self._event(
            stamp=self._node.get_clock().now().to_msg(), node=self._node.get_fully_qualified_name(),
            new_parameters=[parameter.to_parameter_msg() for parameter in new],
            changed_parameters=[parameter.to_parameter_msg() for parameter in changed]))

    def _known(self, names: list[str]) -> bool:
        return set(names) <= set(self._parameters.names())

    def _describe(self, request: Any, response: Any) -> Any:
        declared = set(self._parameters.names())
        response.descriptors = [self._parameters.describe(name) if name in declared else ParameterDescriptor(name=name)
                                for name in request.names]
        return response

    def _get_types(self, request: Any, response: Any) -> Any:
        if self._known(request.names):
            response.types = [int(self._parameters.get(name).type_) for name in request.names]
        return response

    def _get(self, request: Any, response: Any) -> Any:
        if self._known(request.names):
            response.values = [self._parameters.get(name).get_parameter_value() for name in request.names]
        return response

    def _list(self, request: Any, response: Any) -> Any:
        names = [name for name in self._parameters.names() if _listed(name, request.prefixes, request.depth)]
        response.result.names = names
        response.result.prefixes = sorted({name.rpartition(_SEPARATOR)[0] for name in names if _SEPARATOR in name})
        return response

    def _set(self, request: Any, response: Any) -> Any:
        response.results = [self._try([parameter]) for parameter in request.parameters]
        return response

    def _set_atomically(self, request: Any, response: Any) -> Any:
        response.result = self._try(request.parameters)
        return response

    def _try(self, samples: list[Any]) -> Any:
        try:
            return self._parameters.set([Parameter.from_parameter_msg(sample) for sample in samples])
        except (RosError, ValueError) as error:
            return SetParametersResult(successful=False, reason=str(error))


def _listed(name: str, prefixes: list[str], depth: int) -> bool:
    if not prefixes:
        return depth == 0 or name.count(_SEPARATOR) < depth
    for prefix in prefixes:
        if name == prefix:
            return True
        if name.startswith(prefix + _SEPARATOR):
            rest = name[len(prefix) + 1:]
            if depth == 0 or rest.count(_SEPARATOR) < depth:
                return True
    return False
