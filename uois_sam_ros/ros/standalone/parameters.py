"""Parameters: values, descriptors, and the rules for declaring and setting them that rclpy has."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from ...errors import RosError
from .messages import message

ParameterDescriptor = message("rcl_interfaces/msg/ParameterDescriptor")
SetParametersResult = message("rcl_interfaces/msg/SetParametersResult")
FloatingPointRange = message("rcl_interfaces/msg/FloatingPointRange")
IntegerRange = message("rcl_interfaces/msg/IntegerRange")
_Value, _Parameter = message("rcl_interfaces/msg/ParameterValue"), message("rcl_interfaces/msg/Parameter")


class Parameter:
    """A name with a value and its type."""

    class Type(IntEnum):
        """The types, with the numbers of rcl_interfaces/msg/ParameterType."""

        NOT_SET = 0
        BOOL = 1
        INTEGER = 2
        DOUBLE = 3
        STRING = 4
        BYTE_ARRAY = 5
        BOOL_ARRAY = 6
        INTEGER_ARRAY = 7
        DOUBLE_ARRAY = 8
        STRING_ARRAY = 9

    def __init__(self, name: str, type_: Type | None = None, value: Any = None) -> None:
        found = type_of(name, value)
        if type_ is not None and type_ != found and not (_is_array(type_) and found == Parameter.Type.BYTE_ARRAY
                                                         and not len(value)):
            raise RosError(f"parameter {name}: expected a value of type {type_.name}, got {value!r}")
        self.name, self.value = name, value
        self.type_ = found if type_ is None else type_

    def __repr__(self) -> str:
        return f"Parameter(name={self.name!r}, type_={self.type_.name}, value={self.value!r})"

    def to_parameter_msg(self) -> Any:
        """Return it as rcl_interfaces/msg/Parameter."""
        return _Parameter(name=self.name, value=self.get_parameter_value())

    def get_parameter_value(self) -> Any:
        """Return its value as rcl_interfaces/msg/ParameterValue."""
        value = _Value(type=int(self.type_))
        if self.type_ != Parameter.Type.NOT_SET:
            plain = list(self.value) if self.type_ == Parameter.Type.STRING_ARRAY else self.value
            if self.type_ == Parameter.Type.BYTE_ARRAY and not isinstance(plain, bytes):
                plain = b"".join(plain)
            setattr(value, _FIELDS[self.type_], plain)
        return value

    @classmethod
    def from_parameter_msg(cls, sample: Any) -> Parameter:
        """Return the parameter of an rcl_interfaces/msg/Parameter."""
        type_ = cls.Type(sample.value.type)
        value = getattr(sample.value, _FIELDS[type_]) if type_ != cls.Type.NOT_SET else None
        if isinstance(value, np.ndarray):
            value = [bytes([item & 0xFF]) for item in value] if type_ == cls.Type.BYTE_ARRAY else value.tolist()
        return cls(sample.name, type_, value)


_FIELDS = {kind: f"{kind.name.lower()}_value" for kind in Parameter.Type}
_SCALARS = {bool: Parameter.Type.BOOL, int: Parameter.Type.INTEGER, float: Parameter.Type.DOUBLE,
            str: Parameter.Type.STRING, bytes: Parameter.Type.BYTE_ARRAY}


def _is_array(kind: Parameter.Type) -> bool:
    return kind >= Parameter.Type.BYTE_ARRAY


def type_of(name: str, value: Any) -> Parameter.Type:
    """Return the type of a Python value; an empty list counts as BYTE_ARRAY, as in rclpy.

    Raises:
        RosError: no parameter can hold it.
    """
    if value is None:
        return Parameter.Type.NOT_SET
    if type(value) in _SCALARS:
        return _SCALARS[type(value)]
    if isinstance(value, (list, tuple, array, np.ndarray)):
        items = value.tolist() if isinstance(value, np.ndarray) else list(value)
        for item, kind in ((bytes, Parameter.Type.BYTE_ARRAY), (bool, Parameter.Type.BOOL_ARRAY),
                           (int, Parameter.Type.INTEGER_ARRAY), (float, Parameter.Type.DOUBLE_ARRAY),
                           (str, Parameter.Type.STRING_ARRAY)):
            if all(type(entry) is item for entry in items):
                return kind
    raise RosError(f"parameter {name}: expected a bool, int, float, str or a list of one of them, got {value!r}")


class Parameters:
    """The declared parameters of a node.

    ``changed`` is called with (new, changed) lists of parameters after each success.
    """

    def __init__(self, overrides: dict[str, Any], changed: Callable[[list, list], None]) -> None:
        self._overrides, self._changed = overrides, changed
        self._lock = threading.RLock()
        self._values: dict[str, Parameter] = {}
        self._descriptors: dict[str, Any] = {}
        self._callbacks: list[Callable[[list[Parameter]], Any]] = []

    def declare(self, name: str, default: Any = None, descriptor: Any = None) -> Parameter:
        """Declare a parameter; a value from the command line or constructor goes before the default.

        Raises:
            RosError: it exists, or the value has another type, lies outside the range or is refused.
        """
        descriptor = descriptor or ParameterDescriptor()
        kind = type_of(name, default)
        if default is None and not descriptor.dynamic_typing:
            kind = Parameter.Type(descriptor.type)
        with self._lock:
            if name in self._values:
                raise RosError(f"parameter {name}: expected to be declared once, got a second declaration")
            descriptor.name, descriptor.type = name, int(kind)
            value = self._overrides.get(name, default)
            parameter = Parameter(name, kind if value == [] and _is_array(kind) else None, value)
            reason = self._refusal(parameter, descriptor, declaring=True) or self._ask([parameter])
            if reason:
                raise RosError(f"parameter {name}: expected a value that is accepted, got {value!r}: {reason}")
            self._values[name], self._descriptors[name] = parameter, descriptor
        self._changed([parameter], [])
        return parameter

    def get(self, name: str) -> Parameter:
        """Return a declared parameter.

        Raises:
            RosError: it is not declared.
        """
        if name not in self._values:
            raise RosError(f"parameter {name}: expected a declared parameter, got one that is not")
        return self._values[name]

    def describe(self, name: str) -> Any:
        """Return the descriptor of a declared parameter."""
        self.get(name)
        return self._descriptors[name]

    def names(self) -> list[str]:
        """Return the names of all declared parameters."""
        return list(self._values)

    def set(self, parameters: Sequence[Parameter]) -> Any:
        """Set all of them or none; return the SetParametersResult."""
        with self._lock:
            for parameter in parameters:
                self.get(parameter.name)
            reason = next(filter(None, (self._refusal(parameter, self._descriptors[parameter.name])
                                        for parameter in parameters)), "") or self._ask(list(parameters))
            if reason:
                return SetParametersResult(successful=False, reason=reason)
            self._values.update({parameter.name: parameter for parameter in parameters})
        self._changed([], list(parameters))
        return SetParametersResult(successful=True)

    def add_callback(self, callback: Callable[[list[Parameter]], Any]) -> None:
        """Ask ``callback(parameters) -> SetParametersResult`` before each change, the newest first."""
        self._callbacks.insert(0, callback)

    def _ask(self, parameters: list[Parameter]) -> str:
        for callback in list(self._callbacks):
            result = callback(parameters)
            if not result.successful:
                return result.reason or "refused"
        return ""

    def _refusal(self, parameter: Parameter, descriptor: Any, *, declaring: bool = False) -> str:
        """Return why a value is refused, empty when it is not."""
        if descriptor.read_only and not declaring:
            return f"Trying to set a read-only parameter: {parameter.name}."
        if not descriptor.dynamic_typing and parameter.type_ != descriptor.type:
            wanted = Parameter.Type(descriptor.type).name
            return f"Wrong parameter type, expected '{wanted}' got '{parameter.type_.name}'"
        for ranges, kind, what in ((descriptor.integer_range, Parameter.Type.INTEGER, "integer"),
                                   (descriptor.floating_point_range, Parameter.Type.DOUBLE, "floating point")):
            if ranges and parameter.type_ == kind and not _within(parameter.value, ranges[0]):
                limits = f"{ranges[0].from_value:g} to {ranges[0].to_value:g}"
                return f"Parameter {parameter.name} doesn't comply with {what} range ({limits}): {parameter.value}"
        return ""


def _within(value: float, limits: Any) -> bool:
    if math.isclose(value, limits.from_value) or math.isclose(value, limits.to_value):
        return True
    if not limits.from_value < value < limits.to_value:
        return False
    steps = (value - limits.from_value) / limits.step if limits.step else 0.0
    return math.isclose(steps, round(steps))
