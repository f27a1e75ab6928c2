"""One frozen dataclass a stage, the presets, and a YAML loader that refuses unknown keys.

Every default carries its reason. Metadata ``min``/``max``/``help`` feeds command help and, in a
node, parameter descriptors; it is checked here, once.

Over 300 lines because every setting and every preset is here.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from .errors import ConfigError

DEPTH_MODES = ("auto", "off", "require")


def setting(default: Any, help: str, *, low: float | None = None, high: float | None = None,
            choices: tuple[str, ...] | None = None) -> Any:
    """Declare a config field with its help text and allowed range."""
    return field(default=default, metadata={"help": help, "min": low, "max": high, "choices": choices})


@dataclass(frozen=True)
class EncodingConfig:
    """Frame -> Features."""

    encoders: tuple[str, ...] = setting(
        ("compact_encoder",), "model names, each runs once a frame; a head comes after the encoder it reads")
    short_side: int = setting(
        240, "working grid: shorter image side in pixels; raise for small objects, cost grows "
        "with its square", low=96, high=1080)
    long_side: int = setting(
        448, "working grid: the longer side is never larger than this", low=96, high=1920)
    multiple: int = setting(16, "working grid: sides are padded to this multiple", low=1, high=64)
    depth: str = setting(
        "auto", "auto: use depth when it is there; off: colour only; require: refuse frames "
        "without depth", choices=DEPTH_MODES)
    min_valid_depth: float = setting(
        0.05, "auto: a frame with a smaller share of valid depth is treated as colour only",
        low=0.0, high=1.0)
    max_depth_m: float = setting(4.0, "readings beyond this many metres are ignored", low=0.2, high=30.0)
    focus: str = setting(
        "auto", "auto: a coarse first look finds the part with objects, the working grid shows that part; off: the "
        "grid always shows the whole picture", choices=("auto", "off"))
    focus_side: int = setting(
        128, "focus: shorter side of the first look in pixels; lower for speed, raise when small objects at the rim "
        "are missed", low=96, high=1080)
    focus_margin: float = setting(
        0.03, "focus: room around the objects, as a share of the picture; raise when masks end at a straight line",
        low=0.0, high=0.5)
    focus_least: float = setting(
        0.4, "focus: smallest part, as a share of a side; raise when single objects are seen too large",
        low=0.1, high=1.0)
    focus_map: str = setting("foreground", "focus: feature map with the foreground probability")


@dataclass(frozen=True)
class PromptingConfig:
    """Features -> Prompts."""

    strategy: str = setting("hpg", "hpg: heatmap peaks; grid: a regular grid, the baseline; "
                            "foreground: that grid, on foreground only",
                            choices=("hpg", "grid", "foreground"))
    foreground_map: str = setting("foreground", "feature map with the foreground probability")
    heatmap_map: str = setting("heatmap", "feature map with the centre heatmap")
    foreground_threshold: float = setting(
        0.4, "points with a smaller foreground probability are dropped; raise against prompts on "
        "the table, lower when objects are missed", low=0.0, high=1.0)
    heatmap_threshold: float = setting(
        0.3, "heatmap peaks below this are dropped; raise for speed, lower when small objects are missed", low=0.0, high=1.0)
    peak_window: int = setting(3, "a peak is the maximum of a window of this many cells", low=3, high=31)
    max_points: int = setting(60, "top K heatmap peaks; coverage points come on top", low=1, high=1024)
    coverage_points: int = setting(
        16, "extra prompts on foreground that lies far from every peak; 0 switches them off",
        low=0, high=256)
    coverage_radius_px: float = setting(
        14.0, "foreground farther than this from every point (working pixels) gets an extra prompt",
        low=2.0, high=200.0)
    min_distance_px: float = setting(
        3.0, "of two peaks closer than this (working pixels) the weaker one is dropped",
        low=0.0, high=100.0)
    grid_side: int = setting(12, "grid prompting: points along the longer side", low=2, high=64)
    depth_prior: float = setting(
        0.0, "with depth: the foreground is multiplied by (1 - nearness to the support plane) to this power; 0 = off",
        low=0.0, high=4.0)


@dataclass(frozen=True)
class DecodingConfig:
    """Features + Prompts -> MaskSet."""

    decoder: str = setting("compact_decoder", "model name")
    batch: int = setting(64, "prompts a run; bounds the memory of the decoder", low=1, high=256)


@dataclass(frozen=True)
class RescoringConfig:
    """MaskSet -> refined scores."""

    strategy: str = setting("hdnet", "hdnet: refined score; decoder: the decoder's own IoU",
                            choices=("hdnet", "decoder"))
    rescorer: str = setting("compact_hdnet", "model name; used by strategy hdnet")
    hdnet_weight: float = setting(
        0.75, "share of HDNet in the score, the rest is the decoder's own; lower it where objects unlike "
        "those of training fall apart, raise it where things merge", low=0.0, high=1.0)
    foreground_weight: float = setting(
        0.0, "score is multiplied by (mean foreground inside the mask) to this power; 0 = off",
        low=0.0, high=4.0)
    depth_weight: float = setting(
        0.0, "with depth: score is multiplied by (share of the mask on one continuous surface) to this power; 0 = off",
        low=0.0, high=4.0)


@dataclass(frozen=True)
class SelectionConfig:
    """MaskSet -> Instances."""

    score_threshold: float = setting(
        0.3, "masks with a smaller refined score are dropped; raise for precision, lower for recall",
        low=0.0, high=1.0)
    nms_iou: float = setting(
        0.4, "of two masks that overlap more than this (IoU) the weaker one is dropped",
        low=0.0, high=1.0)
    containment: float = setting(
        0.7, "a mask with a larger share of its area inside better ones (together) is dropped; "
        "1 = off",
        low=0.0, high=1.0)
    min_area: float = setting(
        0.0001, "smallest mask as a fraction of the image", low=0.0, high=1.0)
    max_area: float = setting(
        0.5, "largest mask as a fraction of the image; the paper's 200x200 px is 0.13 of 640x480",
        low=0.0, high=1.0)
    min_size_m: float = setting(
        0.004, "with depth: objects whose larger extent is smaller are dropped", low=0.0, high=10.0)
    max_size_m: float = setting(
        0.8, "with depth: objects whose larger extent is greater are dropped", low=0.0, high=10.0)
    plane_veto: bool = setting(True, "with depth: drop masks that lie in the support plane")
    plane_tolerance_m: float = setting(
        0.004, "height under which a pixel counts as plane; grows with distance", low=0.0, high=0.1)
    plane_ratio: float = setting(
        0.85, "a mask with a larger share of plane pixels is dropped unless the network is sure",
        low=0.0, high=1.0)
    plane_sure: float = setting(
        0.8, "refined score from which the plane veto is overruled (flat things)", low=0.0, high=1.01)
    edge_radius_px: float = setting(
        4.0, "mask edges snap to colour edges within about this many working pixels; 0 = off",
        low=0.0, high=32.0)
    edge_epsilon: float = setting(
        0.0003, "colour variance (channels in [0, 1]) below which there is no edge to snap to",
        low=1e-6, high=1.0)
    max_instances: int = setting(65535, "at most this many instances, best first", low=1, high=65535)


@dataclass(frozen=True)
class RuntimeConfig:
    """Which library runs the networks."""

    backend: str = setting(
        "onnxruntime", "onnxruntime; tensorrt (Jetson, and wherever TensorRT 10 or 11 is); tensorrt_rtx (RTX desktops); "
        "openvino (processors); torch (reference). One that is not installed is an error, never replaced by another",
        choices=("onnxruntime", "torch", "tensorrt", "tensorrt_rtx", "openvino"))
    providers: tuple[str, ...] = setting(
        ("CPUExecutionProvider",), "ONNX Runtime execution providers; a missing one is an error, and so is an operator "
        "that none of those listed can run")
    threads: int = setting(0, "CPU threads; 0 = all cores this process may use", low=0, high=256)
    model_dir: str = setting("", "folder with manifest.json; empty = the shipped models")
    device: int = setting(0, "GPU, by its number in nvidia-smi", low=0, high=63)
    build: str = setting(
        "never", "engines of tensorrt and tensorrt_rtx. never: refuse to start without one, because a build takes "
        "minutes and must not surprise a robot; missing: build and prove those that are not there",
        choices=("never", "missing"))
    cache: str = setting("", "folder of built engines; empty = $XDG_CACHE_HOME/uois_sam_ros (~/.cache/uois_sam_ros)")
    optimization_level: int = setting(
        3, "engines: 0 builds fastest, 5 searches longest for the fastest engine", low=0, high=5)
    workspace_mb: int = setting(
        0, "engines: scratch memory that one layer may use, MB; 0 = what the GPU has; lower it on a Jetson with 8 GB",
        low=0, high=65536)
    frame_path: str = setting(
        "host", "host: the backend runs the networks, numpy everything else; device: everything from the uploaded "
        "frame to the label image runs on one GPU, with backend torch", choices=("host", "device"))
    torch_device: str = setting(
        "cuda", "frame_path device: cuda, the GPU that runtime.device names; cpu, the same code on the processor, for "
        "tests. A GPU that is missing is an error", choices=("cuda", "cpu"))
    precision: str = setting(
        "fp32", "frame_path device: products of the encoders and of SAM's decoder; layer norms, softmax, positions and "
        "all other stages stay fp32", choices=("fp32", "fp16", "bf16"))


@dataclass(frozen=True)
class SegmenterConfig:
    """The whole pipeline.

    ``method`` "network" runs the stages below; "geometry" is the learning-free baseline, which
    reads only the selection limits and needs depth.
    """

    method: str = setting("network", "network, or geometry (learning-free baseline)",
                          choices=("network", "geometry"))
    encoding: EncodingConfig = EncodingConfig()
    prompting: PromptingConfig = PromptingConfig()
    decoding: DecodingConfig = DecodingConfig()
    rescoring: RescoringConfig = RescoringConfig()
    selection: SelectionConfig = SelectionConfig()
    runtime: RuntimeConfig = RuntimeConfig()

    def __post_init__(self) -> None:
        check(self)
        if self.runtime.frame_path == "device" and (self.method, self.runtime.backend) != ("network", "torch"):
            raise ConfigError(f"runtime.frame_path: expected host with method {self.method} and backend "
                              f"{self.runtime.backend}, got device, which runs networks with backend torch")
        for low, high, stage in (("min_area", "max_area", self.selection), ("min_size_m", "max_size_m", self.selection),
                                 ("short_side", "long_side", self.encoding)):
            if getattr(stage, low) > getattr(stage, high):
                raise ConfigError(f"{low}: expected at most {high} ({getattr(stage, high):g}), got {getattr(stage, low):g}")


PRESETS: dict[str, SegmenterConfig] = {}
#: Ending of the names of presets whose SAM does not compute the empty rest of its square; pictures of 4:3 or wider.
UNPADDED = "-4x3"


def register_preset(name: str, config: SegmenterConfig) -> None:
    """Add a preset; a later package may bring its own."""
    PRESETS[name] = config


def preset(name: str) -> SegmenterConfig:
    """Return the preset called ``name``.

    A preset with SAM and another network's prompts is also there with ``UNPADDED`` behind its name.

    Raises:
        ConfigError: unknown name; the message lists the known ones.
    """
    base = PRESETS.get(name.removesuffix(UNPADDED))
    if name.endswith(UNPADDED) and base is not None and base.decoding.decoder.startswith("sam_"):
        return _without_padding(base)
    if name not in PRESETS:
        raise ConfigError(
            f"preset: expected one of {', '.join(sorted(PRESETS))}, got '{name}'{_did_you_mean(name, PRESETS)}"
        )
    return PRESETS[name]


def check(config: Any, where: str = "") -> None:
    """Raise ConfigError when a field of the (nested) dataclass is outside its range."""
    for spec in fields(config):
        value = getattr(config, spec.name)
        name = f"{where}{spec.name}"
        if is_dataclass(value):
            check(value, f"{name}.")
            continue
        low, high = spec.metadata.get("min"), spec.metadata.get("max")
        choices = spec.metadata.get("choices")
        if choices and value not in choices:
            raise ConfigError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")
        if low is not None and not low <= value <= high:
            raise ConfigError(f"{name}: expected {low:g} to {high:g}, got {value!r}; {spec.metadata['help']}")


def update(config: Any, values: dict[str, Any], where: str = "") -> Any:
    """Return ``config`` with the nested ``values`` replaced; unknown keys and types are errors."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where.rstrip('.') or 'config'}: expected a mapping, got {type(values).__name__}")
    known = {spec.name: spec for spec in fields(config)}
    changes = {}
    for key, value in values.items():
        if key not in known:
            raise ConfigError(
                f"{where}{key}: unknown key{_did_you_mean(key, known)}; known are {', '.join(known)}"
            )
        current = getattr(config, key)
        if is_dataclass(current):
            changes[key] = update(current, value, f"{where}{key}.")
        else:
            changes[key] = _coerce(value, current, f"{where}{key}")
    return replace(config, **changes)


def load_config(path: str | Path) -> SegmenterConfig:
    """Read a YAML file: ``preset: NAME`` (default compact) plus any keys to change.

    Raises:
        ConfigError: unreadable file, unknown key or preset, value outside its range.
    """
    import yaml

    try:
        values = yaml.safe_load(Path(path).read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"config file {path}: expected readable YAML, got: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"config file {path}: expected a mapping, got {type(values).__name__}")
    name = values.pop("preset", "compact")
    if not isinstance(name, str):
        raise ConfigError(f"preset: expected a name, got {name!r}")
    base = preset(name)
    return update(base, values)


def _coerce(value: Any, current: Any, name: str) -> Any:
    if isinstance(current, tuple) and isinstance(value, (list, tuple)):
        kind = type(current[0]) if current else str
        if all(isinstance(item, kind) for item in value):
            return tuple(value)
        raise ConfigError(f"{name}: expected a list of {kind.__name__}, got {value!r}")
    if isinstance(current, bool) or isinstance(value, bool):
        if isinstance(current, bool) and isinstance(value, bool):
            return value
    elif isinstance(current, float) and isinstance(value, (int, float)):
        return float(value)
    elif isinstance(value, type(current)):
        return value
    wanted = {"tuple": "a list, like [a, b]", "float": "a number", "int": "a whole number",
              "bool": "true or false", "str": "a text"}[type(current).__name__]
    raise ConfigError(f"{name}: expected {wanted}, got {value!r}")


def _did_you_mean(name: str, known: Any) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _paper(sam: str, hpg: str, *, backbone: str = "", side: int = 256) -> SegmenterConfig:
    """The configuration of arXiv 2409.15481 with its constants.

    Args:
        sam: SAM variant.
        hpg: model whose features the heatmap prompt generator reads; ``backbone`` is run for it when it is not SAM.
        side: of SAM's masks; the working grid is theirs.
    """
    return update(SegmenterConfig(), {
        "encoding": {"encoders": [f"sam_{sam}_encoder", *([backbone] if backbone else []), f"{hpg}_hpg"],
                     "short_side": side, "long_side": side, "multiple": 4, "focus": "off"},
        "prompting": {"foreground_map": "hpg_foreground", "heatmap_map": "hpg_heatmap", "foreground_threshold": 0.85,
                      "heatmap_threshold": 0.007, "peak_window": 3, "max_points": 30, "coverage_points": 0,
                      "min_distance_px": 0, "grid_side": 32},  # 32: SAM's own "everything" grid, the first rung
        "decoding": {"decoder": f"sam_{sam}_decoder", "batch": 16},  # half a GB for sixteen on the CPU
        "rescoring": {"rescorer": f"sam_{sam}_hdnet", "hdnet_weight": 1.0},
        # The area limit of 200x200 px is 0.13 of the 640x480 pictures that the paper scores.
        "selection": {"score_threshold": 0.48, "nms_iou": 0.3, "containment": 1, "min_area": 0, "max_area": 0.13,
                      "min_size_m": 0, "max_size_m": 10, "plane_veto": False, "edge_radius_px": 0},
    })


def _without_padding(config: SegmenterConfig) -> SegmenterConfig:
    cut = UNPADDED.replace("-", "_")
    encoder, *others = config.encoding.encoders
    if any(name.startswith("sam_") for name in others):
        raise ConfigError(f"preset: expected one whose prompts come from another network with {UNPADDED}, got "
                          f"{', '.join(others)}; use paper, paper-b or paper-h")
    return update(config, {
        "encoding": {"encoders": [encoder.replace("_encoder", f"{cut}_encoder"), *others]},
        "decoding": {"decoder": config.decoding.decoder.replace("_decoder", f"{cut}_decoder")}})


def _dinov2(sam: str, variant: str = "vits14", side: int = 256) -> SegmenterConfig:
    return _paper(sam, f"dinov2_{variant}", backbone=f"dinov2_{variant}_encoder", side=side)


#: What depth adds to the paper's configuration; every term can be set back by itself.
DEPTH_TERMS: dict[str, Any] = {
    "prompting": {"depth_prior": 1.0},
    "rescoring": {"foreground_weight": 0.5, "depth_weight": 0.5},
    "selection": {"plane_veto": True, "min_size_m": 0.004, "max_size_m": 0.8},
}

register_preset("compact", SegmenterConfig())
register_preset("compact-grid", update(SegmenterConfig(), {"prompting": {"strategy": "grid"}}))
register_preset("geometry", SegmenterConfig(method="geometry"))
register_preset("paper", _dinov2("vit_l"))
register_preset("paper-b", _dinov2("vit_b"))
register_preset("paper-h", _dinov2("vit_h"))
register_preset("paper-depth", update(_dinov2("vit_l"), DEPTH_TERMS))
register_preset("paper-tiny", _dinov2("tiny", "tiny", side=128))
register_preset("shared", _paper("vit_l", "sam_vit_l"))
register_preset("shared-tiny", _paper("tiny", "sam_tiny", side=128))
