"""Backends: real ONNX Runtime sessions on tiny networks, and every refusal."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import TINY_ENCODER, save_tiny_encoder

from uois_sam_ros.config import RuntimeConfig
from uois_sam_ros.errors import BackendError, ModelError
from uois_sam_ros.models import spec as specs
from uois_sam_ros.models.spec import TensorSpec
from uois_sam_ros.runtime import factory
from uois_sam_ros.runtime.base import check_tensors, thread_count
from uois_sam_ros.runtime.onnxruntime_backend import OnnxRuntimeModel
from uois_sam_ros.runtime.torch_backend import TorchModel

CPU = RuntimeConfig(threads=1)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 13, 4, 6)).astype(np.float32)


@pytest.fixture
def tiny(model_folder, monkeypatch):
    monkeypatch.setitem(specs.SPECS, "tiny_encoder", TINY_ENCODER)
    return RuntimeConfig(threads=1, model_dir=str(model_folder))


def test_runs_and_names_outputs(tiny, image):
    model = factory.load_model("tiny_encoder", tiny)
    outputs = model.run({"image": image})
    assert list(outputs) == ["half", "double"]
    np.testing.assert_array_equal(outputs["double"], 2 * image)
    pooled = image.reshape(1, 13, 2, 2, 3, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(outputs["half"], pooled, atol=1e-6)
    assert model.metadata["preset"] == "tiny"
    assert model.providers == ("CPUExecutionProvider",)


def test_dynamic_sizes(tiny):
    model = factory.load_model("tiny_encoder", tiny)
    for height, width in ((4, 4), (16, 8), (2, 30)):
        outputs = model.run({"image": np.zeros((1, 13, height, width), np.float32)})
        assert outputs["half"].shape == (1, 13, height // 2, width // 2)


def test_corrupt_model_never_reaches_the_backend(tiny, model_folder):
    path = model_folder / "tiny_encoder.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelError, match="expected sha256"):
        factory.load_model("tiny_encoder", tiny)


def test_not_an_onnx_file(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ModelError, match="expected an ONNX model that ONNX Runtime"):
        OnnxRuntimeModel(TINY_ENCODER, path, CPU)


def test_names_must_agree_with_the_spec(tmp_path):
    save_tiny_encoder(tmp_path / "net.onnx", output="other")
    with pytest.raises(ModelError, match="expected the outputs half, double .* got double, other"):
        OnnxRuntimeModel(TINY_ENCODER, tmp_path / "net.onnx", CPU)


def test_missing_provider_lists_the_installed(tiny):
    config = RuntimeConfig(providers=("NoSuchExecutionProvider", "CPUExecutionProvider"),
                           model_dir=tiny.model_dir)
    with pytest.raises(BackendError, match="CPUExecutionProvider.*got 'NoSuchExecutionProvider'"):
        factory.load_model("tiny_encoder", config)


def test_known_provider_says_how_to_get_it(tiny, monkeypatch):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    config = RuntimeConfig(providers=("CUDAExecutionProvider",), model_dir=tiny.model_dir)
    with pytest.raises(BackendError, match="pip install onnxruntime-gpu"):
        factory.load_model("tiny_encoder", config)


def test_provider_that_does_not_start_is_refused(tiny, monkeypatch):
    import onnxruntime

    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers",
                        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession",
                        lambda path, options, providers: real(path, options, providers=providers[1:]))
    config = RuntimeConfig(providers=("CUDAExecutionProvider", "CPUExecutionProvider"),
                           model_dir=tiny.model_dir)
    with pytest.raises(BackendError, match="CUDAExecutionProvider: expected it to start, but only CPU"):
        factory.load_model("tiny_encoder", config)


def test_no_provider_at_all(tiny):
    with pytest.raises(BackendError, match="expected at least one ONNX Runtime provider"):
        factory.load_model("tiny_encoder", RuntimeConfig(providers=(), model_dir=tiny.model_dir))


def test_missing_library(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match="pip install onnxruntime"):
        factory.load_model("tiny_encoder", tiny)


def test_unknown_backend_and_model(tiny):
    with pytest.raises(BackendError, match="expected one of onnxruntime, torch, tensorrt, .*got 'tensorflow'"):
        factory.load_model("tiny_encoder", RuntimeConfig(backend="tensorflow"))
    with pytest.raises(ModelError, match="got 'huge_encoder'"):
        factory.load_model("huge_encoder", tiny)


def test_network_that_fails_is_a_backend_error(tiny, image, monkeypatch):
    model = factory.load_model("tiny_encoder", tiny)

    def fail(*_):
        raise RuntimeError("bad allocation\nlong trace")

    monkeypatch.setattr(model, "_session", SimpleNamespace(run=fail))
    with pytest.raises(BackendError, match="expected ONNX Runtime to run it, got: bad allocation$"):
        model.run({"image": image})


@pytest.mark.parametrize(("arrays", "message"), [
    ({}, "expected the tensors image, got none"),
    ({"images": np.zeros((1, 13, 4, 4), np.float32)}, "expected the tensors image, got images"),
    ({"image": np.zeros((1, 13, 4, 4))}, "expected float32, got float64"),
    ({"image": np.zeros((13, 4, 4), np.float32)}, r"expected shape \[1, 13, h, w\], got \[13, 4, 4\]"),
    ({"image": np.zeros((1, 3, 4, 4), np.float32)}, r"got \[1, 3, 4, 4\]"),
])
def test_bad_inputs_are_refused(tiny, arrays, message):
    model = factory.load_model("tiny_encoder", tiny)
    with pytest.raises(ModelError, match=message):
        model.run(arrays)


def test_letters_stand_for_one_size():
    tensors = (TensorSpec("a", (1, "h", "w/2")), TensorSpec("b", ("h/4", "w")))
    good = {"a": np.zeros((1, 8, 3), np.float32), "b": np.zeros((2, 6), np.float32)}
    check_tensors("x", tensors, good)
    with pytest.raises(ModelError, match=r"'b': expected shape \[h/4, w\] with h = 8, w = 6"):
        check_tensors("x", tensors, {**good, "b": np.zeros((2, 7), np.float32)})


def test_thread_count(monkeypatch):
    assert thread_count(3) == 3
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    assert thread_count(0) == 3


def torch_module():
    torch = pytest.importorskip("torch", reason="the torch backend needs the train extra")

    class Tiny(torch.nn.Module):
        def forward(self, image):
            return torch.nn.functional.avg_pool2d(image, 2), image * 2

    return Tiny()


def test_torch_agrees_with_onnxruntime(tiny, image):
    reference = TorchModel(TINY_ENCODER, torch_module(), CPU)
    image.setflags(write=False)
    expected = reference.run({"image": image})
    got = factory.load_model("tiny_encoder", tiny).run({"image": image})
    for name in TINY_ENCODER.output_names:
        np.testing.assert_allclose(got[name], expected[name], atol=1e-6)


def test_torch_backend_loads_the_reference(tiny, image, monkeypatch):
    module = torch_module()
    import uois_sam_ros.models as models

    asked = []
    monkeypatch.setattr(models, "load_reference", lambda *args: asked.append(args) or module,
                        raising=False)
    config = RuntimeConfig(backend="torch", threads=1, model_dir=tiny.model_dir)
    model = factory.load_model("tiny_encoder", config)
    assert asked[0][0] == "tiny_encoder" and str(asked[0][1]) == tiny.model_dir
    np.testing.assert_array_equal(model.run({"image": image})["double"], 2 * image)


def test_torch_missing_says_what_to_install(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    config = RuntimeConfig(backend="torch", model_dir=tiny.model_dir)
    with pytest.raises(BackendError, match=r"pip install torch==2\.13\.0"):
        factory.load_model("tiny_encoder", config)


def test_torch_wrong_number_of_outputs(image):
    torch = pytest.importorskip("torch", reason="the torch backend needs the train extra")
    model = TorchModel(TINY_ENCODER, torch.nn.Identity(), CPU)
    with pytest.raises(ModelError, match=r"expected 2 outputs \(half, double\), got 1"):
        model.run({"image": image})


def test_torch_failure_is_a_backend_error(image):
    torch = pytest.importorskip("torch", reason="the torch backend needs the train extra")
    model = TorchModel(TINY_ENCODER, torch.nn.Linear(5, 5), CPU)
    with pytest.raises(BackendError, match="expected torch to run it"):
        model.run({"image": image})


class Provided:
    """Stands for an ONNX Runtime with GPU providers; keeps what a session is opened with."""

    def __init__(self, monkeypatch):
        import onnxruntime

        real = onnxruntime.InferenceSession

        def opened(path, options, providers):
            self.providers = providers
            session = real(path, options, providers=["CPUExecutionProvider"])
            names = [entry if isinstance(entry, str) else entry[0] for entry in providers]
            monkeypatch.setattr(session, "get_providers", lambda: names)
            return session

        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [
            "TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"])
        monkeypatch.setattr(onnxruntime, "InferenceSession", opened)


def test_gpu_and_cache_reach_the_providers(tiny, tmp_path, monkeypatch):
    provided = Provided(monkeypatch)
    names = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
    config = RuntimeConfig(providers=names, device=1,
                           cache=str(tmp_path / "cache"), model_dir=tiny.model_dir)
    model = factory.load_model("tiny_encoder", config)
    folder = str(tmp_path / "cache" / "onnxruntime")
    kept = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder, "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": folder}
    assert provided.providers == [
        ("TensorrtExecutionProvider", {"device_id": "1", **kept}),
        ("CUDAExecutionProvider", {"device_id": "1"}), "CPUExecutionProvider"]
    assert model.providers == config.providers


def test_operators_do_not_slip_to_a_processor_that_was_not_asked_for(tiny):
    """What a provider cannot run is an error, unless the CPU provider is listed; shown by one that can run nothing."""
    import onnxruntime

    if "AzureExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime lacks the provider that runs nothing here")
    names = ("AzureExecutionProvider", "CPUExecutionProvider")
    with pytest.raises(ModelError, match="loads on AzureExecutionProvider, got: .*fallback to CPU EP .*disabled"
                                         ".*add CPUExecutionProvider to the providers"):
        factory.load_model("tiny_encoder", RuntimeConfig(providers=names[:1], model_dir=tiny.model_dir))
    model = factory.load_model("tiny_encoder", RuntimeConfig(providers=names, model_dir=tiny.model_dir))
    assert model.providers == names


def test_openvino_missing_or_given_another_file(tmp_path, tiny, monkeypatch):
    from uois_sam_ros.runtime.openvino_backend import OpenVinoModel

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "openvino", None)
        with pytest.raises(BackendError, match="expected the package openvino.*pip install openvino"):
            factory.load_model("tiny_encoder", RuntimeConfig(backend="openvino", model_dir=tiny.model_dir))
    pytest.importorskip("openvino", reason="the openvino backend is optional")
    (tmp_path / "net.onnx").write_bytes(b"not a network")
    with pytest.raises(ModelError, match="expected an ONNX model that OpenVINO"):
        OpenVinoModel(TINY_ENCODER, tmp_path / "net.onnx", CPU)
    save_tiny_encoder(tmp_path / "net.onnx", output="other")
    with pytest.raises(ModelError, match="expected the outputs half, double .* got double, other"):
        OpenVinoModel(TINY_ENCODER, tmp_path / "net.onnx", CPU)
