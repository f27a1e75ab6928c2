"""Write the compact model as ONNX files, and read the torch networks back from them.

Weights are rounded to fp16 before export and stored as fp16 (half the size); the networks compute
in fp32. Initialisers keep the names of the torch parameters, so that one file serves ONNX Runtime
and torch with the very same numbers.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from ..errors import ModelError
from .compact import CompactModel
from .layers import fold_batch_norm
from .spec import COMPACT, COMPACT_DECODER, COMPACT_ENCODER, COMPACT_HDNET, ModelSpec

OPSET = 18
#: Initialisers with fewer values stay fp32.
SMALL = 256
#: Suffix of an initialiser that is stored as fp16.
HALF = "_half"


def prepare(model: CompactModel) -> CompactModel:
    """Fold batch norms and round every weight to the nearest fp16 number (kept as fp32), in place."""
    fold_batch_norm(model.eval())
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.dtype.is_floating_point:
                value.copy_(value.half().float())
    return model


def export_compact(model: CompactModel, folder: str | Path) -> dict[str, Path]:
    """Export encoder, decoder and HDNet; return spec name -> file.

    The model must have gone through ``prepare``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = model.eval()
    image = torch.zeros(1, 13, 240, 320)
    with torch.no_grad():
        features = model.encoder(image)
        decoded = model.decoder(*features[:4], torch.full((5, 2), 40.0))
    rows, cols = torch.export.Dim("h16", min=6, max=120), torch.export.Dim("w16", min=6, max=120)
    at = lambda stride: {2: (16 // stride) * rows, 3: (16 // stride) * cols}
    prompts = {0: torch.export.Dim("M", min=1, max=4096)}
    points = torch.full((5, 2), 40.0)
    jobs = (
        (COMPACT_ENCODER, model.encoder, (image,), (at(1),)),
        (COMPACT_DECODER, model.decoder, (*features[:4], points), (at(2), at(4), at(16), at(2), prompts)),
        (COMPACT_HDNET, model.hdnet, (decoded[2], decoded[3], decoded[1]), (prompts, prompts, prompts)),
    )
    return {spec.name: _export(spec, module, inputs, shapes, folder) for spec, module, inputs, shapes in jobs}


def load_reference(name: str, folder: str | Path) -> torch.nn.Module:
    """Return the torch network ``name`` with the weights of ``folder/<name>.onnx``.

    Raises:
        ModelError: unknown name; missing, damaged or foreign file.
    """
    import onnx

    parts = {spec.name: spec.name.removeprefix("compact_") for spec in COMPACT}
    if name not in parts:
        raise ModelError(f"torch model: expected one of {', '.join(parts)}, got '{name}'")
    path = Path(folder) / f"{name}.onnx"
    module = getattr(fold_batch_norm(CompactModel().eval()), parts[name])
    try:
        stored = {tensor.name.removesuffix(HALF): tensor for tensor in onnx.load(path).graph.initializer}
        module.load_state_dict({key: torch.tensor(onnx.numpy_helper.to_array(stored[key])).to(value.dtype)
                                for key, value in module.state_dict().items()})
    except Exception as error:  # protobuf, onnx and torch raise many types for damaged files
        raise ModelError(f"weights {path}: expected those of {name}, got: {error!r}; "
                         "re-install the package or export again") from error
    return module.eval()


def _export(spec: ModelSpec, module: torch.nn.Module, inputs: tuple, shapes: tuple, folder: Path) -> Path:
    import onnx

    path = folder / f"{spec.name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about renamed axes and deprecations inside the exporter
        program = torch.onnx.export(
            module, inputs, dynamo=True, opset_version=OPSET, dynamic_shapes=shapes, optimize=False,
            input_names=list(spec.input_names), output_names=list(spec.output_names), verbose=False)
    model = program.model_proto
    model.ir_version = min(model.ir_version, 10)
    strip_traces(model)
    store_as_half(model)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


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
