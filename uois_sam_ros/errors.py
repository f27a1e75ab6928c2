"""The exceptions of this package.

Every message has one form: the thing, what was expected, what came, what to do.
All are ``ValueError`` so that a caller may catch the family with one clause.
"""

from __future__ import annotations


class UoisError(ValueError):
    """Base of every refusal that this package makes on purpose."""


class FrameError(UoisError):
    """A colour or depth image that cannot be used: dtype, shape, unit or intrinsics."""


class ConfigError(UoisError):
    """An unknown preset, an unknown key or a value outside its range."""


class ModelError(UoisError):
    """A model file or manifest that is missing, corrupt or not the one expected."""


class BackendError(UoisError):
    """A run-time library or execution provider that is not there or cannot run the model."""


class InputError(UoisError):
    """A recording or folder that cannot be read: missing topic, truncated file, no frames."""


class RosError(UoisError):
    """A ROS name, argument, message type, parameter or DDS call that cannot be used."""
