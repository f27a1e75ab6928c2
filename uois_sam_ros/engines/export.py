"""Write the networks of a configuration as ONNX files of another precision, with a manifest of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..config import SegmenterConfig, update
from ..errors import ConfigError, ModelError
from ..models.spec import model_spec
from ..runtime.manifest import Manifest, find_models, write_entry
from ..runtime.parity_report import PRECISIONS, ParityReport
from ..types import Frame
from .parity import Parity, record_inputs, with_worst, worst_block
from .profiles import networks
from .progress import Say, say_stderr

#: Kinds of networks that int8 quantises; the others are small and their scores are what is compared, so they stay fp32.
QUANTIZED_KINDS = ("encoder",)


def export(config: SegmenterConfig, precision: str, out: str | Path, *, target: str = "processor",
           calibration: Callable[[], Sequence[Frame]] = tuple, say: Say = say_stderr) -> ParityReport | None:
    """Write every network to ``out`` and compare the result with the original on ONNX Runtime, CPU.

    Args:
        config: names the networks; its ``runtime.model_dir`` is where the fp32 models lie.
        target: of int8: "processor" or "tensorrt".
        calibration: called for the frames that int8 takes its ranges from.

    Returns:
        The figures; ``None`` for fp32, whose results are the same bit for bit.

    Raises:
        ConfigError: unknown precision, or no networks.
        ModelError: models that are missing, or not fp32.
    """
    if precision not in PRECISIONS:
        raise ConfigError(f"--precision: expected one of {', '.join(PRECISIONS)}, got '{precision}'")
    names = networks(config)
    if not names:
        raise ConfigError("engines export: expected a preset with networks, got one without; use --preset compact")
    source = Manifest.load(find_models(config.runtime.model_dir))
    for name in names:
        if source.entry(name).get("precision", "fp32") != "fp32":
            raise ModelError(f"{name}: expected fp32 models in {source.folder}, got {source.entry(name)['precision']}; "
                             "name the folder of the originals with --model-dir")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    if out.resolve() == source.folder.resolve() and precision != "fp32":
        raise ConfigError(f"--out: expected another folder than that of the fp32 models, got {out}")
    inputs: dict[str, list[dict[str, Any]]] = {}
    if precision == "int8":
        frames = calibration()
        say(f"int8: taking ranges from {len(frames)} frames")
        inputs = record_inputs(config, str(source.folder), frames)
    for name in names:
        entry = _export_one(name, precision, source, out, inputs.get(name, []), target)
        say(f"{name}: {entry['precision']}, {entry['bytes'] / 1e6:.1f} MB")
    return None if precision == "fp32" else _prove(config, precision, source, out, say)


def _export_one(name: str, precision: str, source: Manifest, out: Path, inputs: list[dict[str, Any]],
                int8_for: str) -> dict[str, Any]:
    """Write one network and its manifest entry; return the entry."""
    from ..models.half import to_half
    from ..models.precision import load_portable, save, to_int8

    entry = dict(source.entry(name))
    path = source.verify(name)
    if precision == "int8" and model_spec(name).kind not in QUANTIZED_KINDS:
        precision = "fp32"
    target = out / f"{name}.onnx"
    if precision == "fp32":
        data = save(load_portable(path, widen=False), target)
    elif precision == "fp16":
        data = save(to_half(load_portable(path)), target)
    else:
        to_int8(load_portable(path), target, inputs, int8_for)
        data = ""
    facts = {key: value for key, value in entry.items() if key not in ("file", "sha256", "bytes", "data", "source")}
    facts["precision"] = precision
    if precision == "int8":
        facts["int8_for"] = int8_for
    if out.resolve() != source.folder.resolve():
        facts["source"] = {"sha256": entry["sha256"], "folder": os.path.relpath(source.folder.resolve(), out.resolve())}
    return write_entry(out, name, target.name, **({"data_file": data} if data else {}), **facts)


def _prove(config: SegmenterConfig, precision: str, source: Manifest, out: Path, say: Say) -> ParityReport:
    """Compare network by network, then all together; name the worst when that fails."""
    from ..runtime.factory import load_model

    parity = Parity(config, str(source.folder))
    runtime = update(config, {"runtime": {"backend": "onnxruntime", "model_dir": str(out)}}).runtime
    models = {name: load_model(name, runtime) for name in networks(config)}
    single = {name: parity.compare({name: model}, precision) for name, model in models.items()}
    report = parity.compare(models, precision)
    if not report.passed:
        worst = min(single, key=lambda name: (single[name].passed, single[name].mask_iou))
        block = worst_block(str(out / f"{worst}.onnx"), str(source.verify(worst)), parity.reference[worst].inputs[0])
        report = with_worst(report, f"{worst}, {block}" if block else worst)
    for name, figures in single.items():
        say(f"{name}: {figures}")
    say(f"all together: {report}")
    return report
