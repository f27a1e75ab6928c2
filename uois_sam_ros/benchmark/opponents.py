"""What a configuration is compared with: its networks on torch, or the reference assembly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from ..config import SegmenterConfig, update
from ..engines.profiles import networks
from ..errors import BackendError, ConfigError
from .timing import WARM_UP, Side, TimedSegmenter
from .weights import FRESH, OPEN_SELECTION, describe_weights, opened, sam_networks

#: What the reference assembly imports besides the run time.
REFERENCE_PACKAGES = ("torch", "onnx", "segment_anything", "PIL")


@dataclass(frozen=True)
class Opponent:
    """What the configuration is compared with.

    Attributes:
        name: for the report.
        make: builds the side, and JSON values that tell what it is; called after the memory was read.
        warm_up: rounds that do not count.
    """

    name: str
    make: Callable[[], tuple[Side, dict[str, Any]]]
    warm_up: int = WARM_UP


def torch_opponent(config: SegmenterConfig, points: int = 0) -> Opponent:
    """Return the same configuration on the backend torch.

    Raises:
        ConfigError: a configuration without networks.
    """
    if not networks(config):
        raise ConfigError("--against torch: expected a preset with networks, got one without")
    other = replace(config, runtime=replace(config.runtime, backend="torch"))
    facts = {"what": "the same networks on torch, eager, processor"}
    return Opponent("torch", lambda: (TimedSegmenter(other, points=points), facts))


def reference_opponent(name: str, config: SegmenterConfig, *, points: int = 0, device: str = "") -> Opponent:
    """Return the reference assembly of a preset with SAM.

    Args:
        name: of the preset. config: with the folder of its models; without one the weights are fresh.
        points: evenly spread ones instead of its own; 0 for its own.
        device: "cpu", "cuda"; "" takes the GPU where torch has one.

    Raises:
        ConfigError: a preset without SAM. BackendError: a package of the train extra is not installed.
    """
    sam_networks(config)
    missing = [package for package in REFERENCE_PACKAGES if find_spec(package) is None]
    if missing:
        raise BackendError(f"--against reference: expected the packages of the train extra, got no "
                           f"{', '.join(missing)}; in the source tree: pip install '.[train]'")

    folder = config.runtime.model_dir
    config = opened(config) if folder else update(config, {"selection": OPEN_SELECTION})

    def make() -> tuple[Side, dict[str, Any]]:
        from .reference import ReferenceAssembly, fresh_modules, load_modules

        modules = load_modules(config, folder) if folder else fresh_modules(config)
        side = ReferenceAssembly(config, modules, points=points, device=device)
        what = f"reference assembly of {name}: segment-anything, DINOv2 where the preset has it, fp32 torch eager"
        weights = describe_weights(config) if folder else FRESH.format("all networks")
        return side, {"what": what, "preset": name, "device": side.device_name, "weights": weights}

    return Opponent("reference", make, warm_up=1)
