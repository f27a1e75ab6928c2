"""ROS parameters from the configuration dataclasses: one declaration, one reader, one YAML file.

Pure: nothing here needs ROS. ``node.py`` turns a ``ParameterSpec`` into a descriptor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from ..config import PRESETS, SegmenterConfig, preset, update
from ..errors import ConfigError
from .settings import DYNAMIC, NodeSettings

NODE_NAME = "uois_sam"
PRESET = "preset"
#: Pipeline stages whose settings are read anew for every frame; the others decide what is loaded.
DYNAMIC_STAGES = ("selection.", "prompting.", "encoding.", "rescoring.hdnet_weight", "rescoring.foreground_weight",
                  "rescoring.depth_weight", "decoding.batch")
#: ... but these name networks or maps of networks.
STATIC = ("encoding.encoders", "encoding.focus_map", "prompting.foreground_map", "prompting.heatmap_map")


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter.

    Attributes:
        name: dotted.
        default: bool, int, float, str, or a list of int or str.
        help: what it does, with its unit.
        low, high: allowed range of a number, or ``None``.
        choices: allowed texts, or ``None``.
        dynamic: may change while the node is configured.
        read_only: fixed at start.
    """

    name: str
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None
    dynamic: bool = False
    read_only: bool = False

    @property
    def constraint(self) -> str:
        """What a range cannot say, in words."""
        parts = [f"one of {', '.join(self.choices)}"] if self.choices else []
        parts += [] if self.dynamic or self.read_only else ["takes effect at the next configure"]
        return "; ".join(parts)


def parameter_specs(preset_name: str = "compact") -> tuple[ParameterSpec, ...]:
    """Return every parameter of the node, with the defaults of a preset.

    Raises:
        ConfigError: unknown preset.
    """
    first = ParameterSpec(PRESET, preset_name, "configuration that the defaults below come from",
                          choices=tuple(sorted(PRESETS)), read_only=True)
    return (first, *_specs(NodeSettings()), *_specs(preset(preset_name)))


def read_settings(values: Mapping[str, Any]) -> tuple[NodeSettings, SegmenterConfig]:
    """Build both configurations from parameter values by name (all of them, or those that differ).

    Raises:
        ConfigError: unknown name, wrong type, value out of range; names the parameter.
    """
    own = {spec.name for spec in fields(NodeSettings)}
    rest = {name: value for name, value in values.items() if name != PRESET}
    node = {name: value for name, value in rest.items() if name.partition(".")[0] in own}
    pipeline = {name: value for name, value in rest.items() if name not in node}
    base = preset(values.get(PRESET, "compact"))
    return update(NodeSettings(), _nested(node)), update(base, _nested(pipeline))


def check_change(values: Mapping[str, Any], changes: Mapping[str, Any], *, configured: bool) -> str:
    """Return why ``changes`` to the current ``values`` are refused, or "" when they are fine."""
    specs = {spec.name: spec for spec in parameter_specs(values.get(PRESET, "compact"))}
    for name, value in changes.items():
        if name in specs and configured and not specs[name].dynamic and value != values.get(name):
            return (f"{name}: can only change while the node is unconfigured; "
                    "run 'ros2 lifecycle set NODE deactivate', then 'cleanup', set it, then 'configure'")
    try:
        read_settings({**values, **{name: value for name, value in changes.items() if name in specs}})
    except ConfigError as error:
        return str(error)
    return ""


def params_yaml(preset_name: str = "compact") -> str:
    """Return a parameter file with every default and its help as a comment."""
    import yaml

    lines = ["# All parameters of the node with their defaults, written by: uois-sam node --write-params FILE",
             "/**:", "  ros__parameters:"]
    indent, group = "    ", ""
    for spec in parameter_specs(preset_name):
        prefix, _, leaf = spec.name.rpartition(".")
        if prefix != group:
            group = prefix
            if prefix:
                lines.append(f"{indent}{prefix}:")
        inner = indent + ("  " if prefix else "")
        about = "; ".join(part for part in (spec.help, _range(spec), spec.constraint) if part)
        value = yaml.safe_dump(spec.default, default_flow_style=True, width=1000).removesuffix("...\n").strip()
        lines += [f"{inner}# {about}", f"{inner}{leaf}: {value}"]
    return "\n".join(lines) + "\n"


def _specs(config: Any, where: str = "") -> Iterator[ParameterSpec]:
    groups = []
    for spec in fields(config):
        value, meta = getattr(config, spec.name), spec.metadata
        name = f"{where}{spec.name}"
        if is_dataclass(value):
            groups.append((value, f"{name}."))
            continue
        dynamic = name in DYNAMIC or (name.startswith(DYNAMIC_STAGES) and name not in STATIC)
        yield ParameterSpec(name, list(value) if isinstance(value, tuple) else value, meta["help"], meta["min"],
                            meta["max"], meta["choices"], dynamic)
    for value, prefix in groups:
        yield from _specs(value, prefix)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *groups, leaf = name.split(".")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[leaf] = value
    return tree


def _range(spec: ParameterSpec) -> str:
    return "" if spec.low is None else f"{spec.low:g} to {spec.high:g}"
