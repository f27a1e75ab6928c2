"""What every backend must do alike, on the shipped networks; a backend that is not here is skipped with the reason."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import fakegpu
import numpy as np
import pytest

from uois_sam_ros.config import RuntimeConfig, preset, update
from uois_sam_ros.engines.build import Workshop
from uois_sam_ros.errors import BackendError, ModelError
from uois_sam_ros.models.spec import COMPACT_DECODER, COMPACT_ENCODER, COMPACT_HDNET, model_spec
from uois_sam_ros.runtime.engine_backends import engine_backend
from uois_sam_ros.runtime.factory import load_model
from uois_sam_ros.runtime.openvino_backend import _import_openvino
from uois_sam_ros.runtime.parity_report import ParityReport
from uois_sam_ros.runtime.torch_backend import find_device

ENGINES = Path(__file__).parents[1] / "engines"
pytestmark = pytest.mark.skipif(not (ENGINES / "compact_encoder.onnx").exists(), reason="engines/ holds no models")
#: Name -> settings of ``RuntimeConfig``; the pretended ones run the TensorRT runner in host memory.
BACKENDS = {
    "onnxruntime": {},
    "torch": {"backend": "torch"},
    "torch on the device path": {"backend": "torch", "frame_path": "device"},
    "openvino": {"backend": "openvino"},
    "tensorrt 10, pretended": {"backend": "tensorrt"},
    "tensorrt 11, pretended": {"backend": "tensorrt"},
    "tensorrt_rtx, pretended": {"backend": "tensorrt_rtx"},
    "tensorrt": {"backend": "tensorrt"},
    "tensorrt_rtx": {"backend": "tensorrt_rtx"},
    "onnxruntime on CUDA": {"providers": ["CUDAExecutionProvider", "CPUExecutionProvider"]},
}
#: Relative error that TF32 explains; everything that computes in fp32 is held to the smaller one.
TOLERANCE = {"tensorrt": 1e-2, "tensorrt_rtx": 1e-2, "onnxruntime on CUDA": 1e-2, "torch on the device path": 1e-2}
PRETENDED = {"tensorrt 10, pretended": ("10.3.0", "tensorrt"), "tensorrt 11, pretended": ("11.4.0", "tensorrt"),
             "tensorrt_rtx, pretended": ("1.7.1", "tensorrt_rtx")}


def runtime_config(name: str, cache: str = "") -> RuntimeConfig:
    return update(RuntimeConfig(threads=1, cache=cache), BACKENDS[name])


def why_absent(name: str) -> str:
    """Return why a backend cannot be tested on this machine, "" when it can."""
    config = runtime_config(name)
    try:
        if config.backend.startswith("tensorrt") and name not in PRETENDED:
            engine_backend(config.backend).target(config)
        elif config.backend == "torch":
            find_device(config)
        elif config.backend == "openvino":
            _import_openvino()
        elif "CUDAExecutionProvider" in config.providers:
            load_model(COMPACT_HDNET.name, config)
    except BackendError as error:
        return str(error)
    return ""


ABSENT = {name: why_absent(name) for name in BACKENDS} if (ENGINES / "manifest.json").exists() else {}


@pytest.mark.parametrize("name", [name for name, reason in ABSENT.items() if reason])
def test_what_is_not_here(name):
    """One line for each backend that the tests below leave out."""
    pytest.skip(ABSENT[name])


class Subject:
    """The three networks on one backend, loaded as they are asked for."""

    def __init__(self, name: str, config: RuntimeConfig) -> None:
        self.name, self.config = name, config
        self._models = {}

    def __getitem__(self, name: str):
        if name not in self._models:
            self._models[name] = load_model(name, self.config)
        return self._models[name]


@pytest.fixture(scope="module", params=[name for name, reason in ABSENT.items() if not reason])
def subject(request, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    if request.param in PRETENDED:
        fakegpu.install(patch, *PRETENDED[request.param])
    runtime = runtime_config(request.param, str(tmp_path_factory.mktemp("cache")))
    if runtime.backend.startswith("tensorrt"):  # this suite judges; the gate has tests of its own
        patch.setattr(Workshop, "_prove", lambda self, name, engine: ParityReport("fp32", 1.0, 0.0, 1.0, 1))
        patch.setattr(Workshop, "_prove_together", lambda self, outcomes: None)
        Workshop(replace(preset("compact"), runtime=runtime), say=lambda text: None).ensure_all()
    yield Subject(request.param, runtime)
    patch.undo()


@pytest.fixture(scope="module")
def reference():
    return Subject("reference", RuntimeConfig(threads=1))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).standard_normal((1, 13, 96, 128)).astype(np.float32)


@pytest.fixture(scope="module")
def features(reference, image):
    outputs = reference[COMPACT_ENCODER.name].run({"image": image})
    return {name: outputs[name] for name in COMPACT_DECODER.input_names if name != "points"}


def points(count: int) -> np.ndarray:
    return np.random.default_rng(count).uniform(4, 90, (count, 2)).astype(np.float32)


def close(subject: Subject, got, expected) -> None:
    assert list(got) == list(expected)
    for name, array in expected.items():
        assert got[name].dtype == array.dtype and got[name].shape == array.shape
        error = np.abs(got[name] - array).max() / max(np.abs(array).max(), 1e-6)
        assert error <= TOLERANCE.get(subject.name, 1e-4), f"{name}: relative error {error:g}"


def test_encoder_agrees_with_onnxruntime(subject, reference, image):
    close(subject, subject[COMPACT_ENCODER.name].run({"image": image}),
          reference[COMPACT_ENCODER.name].run({"image": image}))


@pytest.mark.parametrize("count", [1, 5, 30])
def test_any_number_of_prompts(subject, reference, features, count):
    inputs = {**features, "points": points(count)}
    close(subject, subject[COMPACT_DECODER.name].run(inputs), reference[COMPACT_DECODER.name].run(inputs))


def test_sizes_may_change_from_call_to_call(subject, reference, image):
    for height, width in ((96, 128), (112, 96), (96, 128)):
        picture = np.ascontiguousarray(np.tile(image, (1, 1, 2, 1))[:, :, :height, :width])
        close(subject, subject[COMPACT_ENCODER.name].run({"image": picture}),
              reference[COMPACT_ENCODER.name].run({"image": picture}))


def test_results_are_the_callers_own(subject, features):
    """A later run must not write into arrays that were handed out; the fourth run may come from a graph."""
    model = subject[COMPACT_DECODER.name]
    first = model.run({**features, "points": points(3)})
    kept = {name: array.copy() for name, array in first.items()}
    for shift in (1, 2, 3):
        later = model.run({**features, "points": points(3) + shift})
    assert any(not np.array_equal(later[name], kept[name]) for name in kept)
    for name, array in kept.items():
        np.testing.assert_array_equal(first[name], array)


def test_repeated_shapes_see_new_values(subject, reference, image):
    """What is recorded as a graph must read its inputs anew."""
    for factor in (1, 2, 3, 4):
        picture = image * np.float32(factor)
        close(subject, subject[COMPACT_ENCODER.name].run({"image": picture}),
              reference[COMPACT_ENCODER.name].run({"image": picture}))


def test_read_only_and_strided_inputs(subject, reference, image):
    view = np.ascontiguousarray(image.transpose(0, 1, 3, 2)).transpose(0, 1, 3, 2)
    view.setflags(write=False)
    assert not view.flags.c_contiguous
    close(subject, subject[COMPACT_ENCODER.name].run({"image": view}),
          reference[COMPACT_ENCODER.name].run({"image": image}))


def test_two_threads(subject, reference, features):
    inputs = [{**features, "points": points(count)} for count in (2, 7)]
    expected = [reference[COMPACT_DECODER.name].run(given) for given in inputs]
    model, results = subject[COMPACT_DECODER.name], {}

    def work(index):
        results[index] = [model.run(inputs[index]) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for index, outputs in results.items():
        for got in outputs:
            close(subject, got, expected[index])
    assert len(results) == 2


def test_spec_and_metadata(subject):
    for name in (COMPACT_ENCODER.name, COMPACT_DECODER.name, COMPACT_HDNET.name):
        assert subject[name].spec is model_spec(name)
        assert subject[name].metadata["preset"] == "compact"
        assert ("parity" in subject[name].metadata) == subject.config.backend.startswith("tensorrt")


@pytest.mark.parametrize(("change", "message"), [
    ({"points": None}, "expected the tensors .*points"),
    ({"extra": np.zeros(1, np.float32)}, "got .*extra"),
    ({"points": np.zeros((2, 2))}, "expected float32, got float64"),
    ({"points": np.zeros((2, 3), np.float32)}, r"expected shape \[M, 2\]"),
    ({"context": np.zeros((1, 128, 5, 8), np.float32)}, "pass tensors of one frame"),
])
def test_wrong_inputs_are_refused_alike(subject, features, change, message):
    inputs = {name: array for name, array in {**features, "points": points(2), **change}.items() if array is not None}
    with pytest.raises(ModelError, match=message):
        subject[COMPACT_DECODER.name].run(inputs)
