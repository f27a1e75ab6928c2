"""The command line of ROS: ``--ros-args`` with remapping, parameters, parameter files and log level."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ...errors import RosError
from .names import join

LEVELS = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "fatal": 50}


@dataclass(frozen=True)
class Remap:
    """``node:from:=to``; ``node`` is empty where the rule holds for every node."""

    node: str
    source: str
    target: str


@dataclass(frozen=True)
class Setting:
    """A parameter's value for the nodes that ``pattern`` names."""

    pattern: str
    name: str
    value: Any


@dataclass(frozen=True)
class Arguments:
    """What ``--ros-args`` said, in its order; a later setting wins."""

    remaps: tuple[Remap, ...] = ()
    settings: tuple[Setting, ...] = ()
    #: Logger name -> level; the empty name is every other logger.
    log_levels: tuple[tuple[str, int], ...] = ()

    def remaps_of(self, node_name: str) -> list[tuple[str, str]]:
        """Return (from, to) of the rules for a node, those of names first said first."""
        return [(rule.source, rule.target) for rule in self.remaps if rule.node in ("", node_name)]

    def parameters_of(self, namespace: str, node_name: str) -> dict[str, Any]:
        """Return parameter name -> value for a node."""
        full = join(namespace, node_name)
        return {setting.name: setting.value for setting in self.settings if _matches(setting.pattern, full, node_name)}


def parse(args: Sequence[str]) -> Arguments:
    """Read the parts of a command line between ``--ros-args`` and ``--``; the rest belongs to the program.

    Raises:
        RosError: an option that does not exist, a rule without ``:=``, a file that cannot be read.
    """
    remaps: list[Remap] = []
    settings: list[Setting] = []
    levels: list[tuple[str, int]] = []
    words = _ros_words(args)
    for word in words:
        if word in ("-r", "--remap"):
            left, right = _rule(word, next(words, ""))
            node, _, source = left.rpartition(":")
            remaps.append(Remap(node, source, right))
        elif word in ("-p", "--param"):
            left, right = _rule(word, next(words, ""))
            node, _, name = left.rpartition(":")
            settings.append(Setting(node or "/**", name, _value(right, name)))
        elif word == "--params-file":
            settings.extend(_read_file(next(words, "")))
        elif word == "--log-level":
            levels.append(_level(next(words, "")))
        elif word in ("-e", "--enclave"):
            next(words, "")  # security is not supported; every enclave is the default one
        elif not re.match(r"--(?:enable|disable)-(?:rosout|stdout|external-lib)-logs\Z", word):
            raise RosError(f"--ros-args: expected -r, -p, --params-file or --log-level, got '{word}'")
    return Arguments(tuple(remaps), tuple(settings), tuple(levels))


def _ros_words(args: Sequence[str]) -> Iterator[str]:
    inside = False
    for word in args:
        if word in ("--ros-args", "--"):
            inside = word == "--ros-args"
        elif inside:
            yield word


def _rule(option: str, text: str) -> tuple[str, str]:
    left, sign, right = text.partition(":=")
    if not sign or not left:
        raise RosError(f"{option}: expected name:=value, got '{text}'")
    return left, right


def _value(text: str, name: str) -> Any:
    try:
        return yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise RosError(f"-p {name}: expected a YAML value, got '{text}' ({' '.join(str(error).split())})") from error


def _level(text: str) -> tuple[str, int]:
    logger, _, level = text.rpartition(":=")
    if level.lower() not in LEVELS:
        raise RosError(f"--log-level: expected {', '.join(LEVELS)}, got '{level}'")
    return logger, LEVELS[level.lower()]


def _read_file(name: str) -> Iterator[Setting]:
    try:
        content = yaml.safe_load(Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RosError(f"--params-file: expected a readable YAML file, got '{name}' "
                       f"({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise RosError(f"--params-file {name}: expected nodes with ros__parameters, got {type(content).__name__}")
    found = list(_file_settings(content, "", name))
    if not found:
        raise RosError(f"--params-file {name}: expected ros__parameters below a node's name, got none; "
                       "see launch/params.yaml")
    return iter(found)


def _file_settings(content: dict[str, Any], path: str, name: str) -> Iterator[Setting]:
    for key, value in content.items():
        if not isinstance(value, dict):
            raise RosError(f"--params-file {name}: expected a mapping below '{path}{key}', got {value!r}; "
                           "parameters stand below ros__parameters")
        if key == "ros__parameters":
            yield from (Setting(path or "/**", *item) for item in _flat(value, ""))
        else:
            yield from _file_settings(value, f"{path.rstrip('/')}/{str(key).strip('/')}", name)


def _flat(values: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _matches(pattern: str, full: str, node_name: str) -> bool:
    if "/" not in pattern:
        return pattern == node_name
    expression = re.escape(pattern).replace(r"/\*\*", "(?:/.+)?").replace(r"\*", "[^/]+")
    return re.fullmatch(expression, full) is not None
