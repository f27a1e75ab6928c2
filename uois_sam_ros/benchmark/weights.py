"""Models for presets that need official weights: a given folder, given checkpoints, or fresh weights for a trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from ..config import SegmenterConfig, update
from ..engines.profiles import networks
from ..errors import ConfigError
from ..models.spec import EXPORT, model_spec
from ..runtime.manifest import Manifest, find_models

#: How a report names fresh weights.
FRESH = "fresh in {}: times count, masks mean nothing; every mask is kept and painted"
#: Fresh weights score and shape masks at random. Without limits every one is kept and painted, which is the most that
#: selection can have to do.
OPEN_SELECTION = {"score_threshold": 0.0, "min_area": 0.0, "max_area": 1.0, "nms_iou": 1.0, "containment": 1.0}


def needs_checkpoints(config: SegmenterConfig) -> bool:
    """Return whether the preset's networks are made from official files and do not come with the package."""
    return any(model_spec(name).made_by == EXPORT for name in networks(config))


def sam_networks(config: SegmenterConfig) -> tuple[str, ...]:
    """Return the names of the networks of a preset with SAM, HDNet last.

    Raises:
        ConfigError: another kind of preset.
    """
    names = networks(config)
    if not names or config.rescoring.strategy != "hdnet" or any(model_spec(name).made_by != EXPORT for name in names):
        raise ConfigError("--reference: expected a preset with SAM and HDNet, such as paper, paper-b or shared, got "
                          "one without; name another")
    height, width = model_spec(names[0]).inputs[0].dims[-2:]
    if height != width:
        raise ConfigError("--reference: expected a preset whose SAM sees the padded square, got one with "
                          f"{height}x{width}; name it, such as --reference paper")
    return names


@contextmanager
def with_models(preset_name: str, config: SegmenterConfig, files: Mapping[str, str]) -> Iterator[SegmenterConfig]:
    """Yield the configuration with a model folder that has its networks.

    Args:
        preset_name: "" when the configuration is no preset; then it names its folder itself.
        files: source ("sam", "dinov2", "hpg", "hdnet") -> checkpoint; fresh weights for the others. The folder is
            temporary. Without files and with a folder in the configuration nothing is made.

    Raises:
        ConfigError: files for a configuration that has no use for them. ModelError: a file that cannot be used.
    """
    if not needs_checkpoints(config) or not preset_name:
        if files:
            raise ConfigError(f"--{next(iter(files))}: expected a preset with SAM, such as paper, to use it, got "
                              f"{preset_name or 'a configuration file'}; name the preset, or drop the option")
        yield config
        return
    if config.runtime.model_dir:
        if files:
            raise ConfigError(f"--{next(iter(files))}, --model-dir: expected one of them, got both; write the models "
                              f"with 'uois-sam export --preset {preset_name}', then name their folder")
        yield opened(config)
        return
    from ..training.export_preset import export_preset

    with TemporaryDirectory(prefix="uois-sam-bench-") as folder:
        export_preset(preset_name, files, folder, random=True)
        yield opened(update(config, {"runtime": {"model_dir": folder}}))


def opened(config: SegmenterConfig) -> SegmenterConfig:
    """Return the configuration without limits in selection when any of its networks has fresh weights."""
    return update(config, {"selection": OPEN_SELECTION}) if fresh_networks(config) else config


def fresh_networks(config: SegmenterConfig) -> list[str]:
    """Return the networks whose weights are fresh, as their manifest tells."""
    names = networks(config)
    models: Mapping[str, Any] = Manifest.load(find_models(config.runtime.model_dir)).models if names else {}
    return [name for name in names if isinstance(models.get(name, {}).get("source"), Mapping)
            and models[name]["source"].get("random")]


def describe_weights(config: SegmenterConfig) -> str:
    """Return what the weights are, in words for the report."""
    fresh = fresh_networks(config)
    if not networks(config):
        return "no networks"
    if not fresh:
        return "trained"
    which = "all networks" if len(fresh) == len(networks(config)) else ", ".join(fresh)
    return FRESH.format(which)
