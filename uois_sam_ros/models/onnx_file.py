"""Torch networks as ONNX files, and their weights back from them.

Initialisers keep the names of the torch parameters, so that one file serves ONNX Runtime and torch with the very same
numbers.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .portable import make_portable
from .shuffle import split_shuffles
from .spec import ModelSpec

OPSET = 18
#: Newest file format that the oldest supported run time reads.
IR_VERSION = 10
#: Initialisers with fewer values stay fp32.
SMALL = 256
#: Suffix of an initialiser that is stored as fp16.
HALF = "_half"
#: Larger models keep their weights in a file beside the ONNX file, because one file must stay under 2 GiB.
EXTERNAL_BYTES = 2 * 10 ** 9
#: Suffix of that file.
EXTERNAL = ".data"
SETTINGS = "settings"


def write_onnx(spec: ModelSpec, module: torch.nn.Module, inputs: tuple, shapes: tuple, folder: Path, *,
               half: bool = False, settings: dict[str, Any] | None = None,
               external_bytes: int = EXTERNAL_BYTES) -> Path:
    """Export a network as ``folder/<name>.onnx``.

    Args:
        inputs: example tensors. shapes: dynamic dimensions of each, as ``torch.export`` takes them.
        half: store as fp16 what fp16 represents exactly.
        settings: JSON values that ``read_onnx`` gives back.
        external_bytes: weights above this size go to ``<name>.onnx.data``.
    """
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{spec.name}.onnx"
    with _quiet():
        program = torch.onnx.export(
            module, inputs, dynamo=True, opset_version=OPSET, dynamic_shapes=shapes, optimize=False,
            input_names=list(spec.input_names), output_names=list(spec.output_names), verbose=False)
    model = program.model_proto
    for tensor, dynamic in zip(model.graph.input, shapes):  # where tracing fails, the exporter fixes a size in silence
        assert all(tensor.type.tensor_type.shape.dim[axis].dim_param for axis in dynamic), f"{spec.name}: {tensor.name}"
    model.ir_version = min(model.ir_version, IR_VERSION)
    strip_traces(model)
    split_shuffles(make_portable(model))
    if half:
        store_as_half(model)
    if settings:
        onnx.helper.set_model_props(model, {SETTINGS: json.dumps(settings)})
    beside = Path(f"{path}{EXTERNAL}")
    beside.unlink(missing_ok=True)
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > external_bytes:
        onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=True, location=beside.name)
        beside.chmod(path.stat().st_mode)  # it is written as a private file
    else:
        onnx.save(model, path)
    onnx.checker.check_model(str(path))
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter says about itself: renamed axes, deprecations, torchvision's absence."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def read_onnx(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the weights by parameter name and the settings of a file that ``write_onnx`` made."""
    import onnx

    model = onnx.load(path)
    weights = {tensor.name.removesuffix(HALF): onnx.numpy_helper.to_array(tensor)
               for tensor in model.graph.initializer}
    settings = {item.key: item.value for item in model.metadata_props}.get(SETTINGS, "{}")
    return weights, json.loads(settings)


def strip_traces(model) -> None:
    """Drop the exporter's metadata: it holds stack traces with paths of the machine."""
    graph = model.graph
    for item in (model, graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output,
                 *model.functions):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")


def store_as_half(model) -> None:
    """Replace large fp32 initialisers that fp16 represents exactly by fp16 ones and a Cast."""
    import onnx
    from onnx import helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16)
        if values.size < SMALL or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        stored = numpy_helper.from_array(half, f"{name}{HALF}")
        tensor.CopyFrom(stored)
        casts.append(helper.make_node("Cast", [f"{name}{HALF}"], [name], to=onnx.TensorProto.FLOAT,
                                      name=f"{name}_cast"))
    kept = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + kept)
