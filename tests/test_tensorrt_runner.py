"""Builder and runner on a pretended GPU: graphs, memory, refusals. The conformance suite has what backends share."""

from __future__ import annotations

import gc
import pickle
from dataclasses import replace
from pathlib import Path

import fakegpu
import numpy as np
import pytest
from conftest import TINY_ENCODER, save_tiny_encoder

from uois_sam_ros.errors import BackendError
from uois_sam_ros.runtime.cuda_device import Buffer, CudaDevice
from uois_sam_ros.runtime.engine_backends import BuildJob, BuildOptions
from uois_sam_ros.runtime.engine_store import EngineError, EngineIdentity, EngineStore
from uois_sam_ros.runtime.tensorrt_api import TENSORRT, TENSORRT_RTX
from uois_sam_ros.runtime.tensorrt_builder import build_plan
from uois_sam_ros.runtime.tensorrt_runner import TensorRtModel

PROFILES = {"h": (4, 8, 16), "w": (4, 8, 16)}


@pytest.fixture
def cuda(monkeypatch):
    return fakegpu.install(monkeypatch)


def job(tmp_path: Path, **changes) -> BuildJob:
    onnx = tmp_path / "tiny.onnx"
    if not onnx.exists():
        save_tiny_encoder(onnx)
    return replace(BuildJob(TINY_ENCODER, onnx, PROFILES, BuildOptions(), tmp_path / "build.log", tmp_path / "timing",
                            lambda share, phase: None), **changes)


def store_plan(tmp_path: Path, plan: bytes):
    store = EngineStore(tmp_path / "cache")
    store.prepare()
    identity = EngineIdentity("tiny_encoder", "ab", "fp32", "tensorrt", "10.3.0", "Pretended GPU", "8.7")
    return store.write(identity, plan, PROFILES, {})


@pytest.fixture
def model(tmp_path, cuda):
    engine = store_plan(tmp_path, build_plan(TENSORRT, job(tmp_path)))
    return TensorRtModel(TINY_ENCODER, engine, TENSORRT, CudaDevice(), {"preset": "tiny"})


def image(height=8, width=8, value=1.0):
    return {"image": np.full((1, 13, height, width), value, np.float32)}


def check(model, given):
    outputs = model.run(given)
    np.testing.assert_array_equal(outputs["double"], 2 * given["image"])
    assert outputs["half"].shape == (1, 13, given["image"].shape[2] // 2, given["image"].shape[3] // 2)


def test_graph_from_the_second_repeat_until_shapes_change(model, cuda):
    launches = []
    for height in (8, 8, 8, 8, 4, 4, 4, 8):
        check(model, image(height, value=float(len(launches))))
        launches.append(cuda.launches)
    assert launches == [0, 1, 2, 3, 3, 4, 5, 5]


def test_without_graphs_it_runs_all_the_same_and_says_so(model, cuda):
    cuda.capturable = False
    for value in range(4):
        check(model, image(value=float(value)))
    assert cuda.launches == 0
    assert model.metadata["cuda_graph"].startswith("off: GPU 0: expected cudaStreamEndCapture to work, got: cudaError")
    assert model.metadata["preset"] == "tiny"


def test_memory_grows_and_is_given_back(model, cuda):
    check(model, image(4, 4))
    few = cuda.allocated()
    for size in (16, 8, 16):
        check(model, image(size, size))
        assert cuda.allocated() == few == 6, "three tensors, each on the GPU and on the host"
    model.run(image(16, 16))
    model.close()
    assert cuda.allocated() == 0


def test_memory_is_given_back_when_the_model_is_dropped(tmp_path, cuda):
    engine = store_plan(tmp_path, build_plan(TENSORRT, job(tmp_path)))
    one = TensorRtModel(TINY_ENCODER, engine, TENSORRT, CudaDevice())
    check(one, image())
    assert cuda.allocated() == 6
    del one
    gc.collect()
    assert cuda.allocated() == 0


def test_shape_outside_the_profile_is_refused_and_the_next_one_runs(model):
    check(model, image())
    with pytest.raises(BackendError, match=r"expected a shape of the engine's profile \(h 4 to 16, w 4 to 16\), "
                                           r"got \[1, 13, 32, 8\]; build an engine"):
        model.run(image(32))
    check(model, image())


def test_plan_that_the_library_does_not_accept(tmp_path, cuda):
    with pytest.raises(EngineError, match="expected one that tensorrt 10.3.0 accepts, got: magic tag does not match"):
        TensorRtModel(TINY_ENCODER, store_plan(tmp_path, b"some other file"), TENSORRT, CudaDevice())


def test_plan_of_another_network(tmp_path, cuda):
    save_tiny_encoder(tmp_path / "other.onnx", output="other")
    plan = build_plan(TENSORRT, job(tmp_path, onnx=tmp_path / "other.onnx"))
    with pytest.raises(EngineError, match="expected the outputs double, half of tiny_encoder, got double, other"):
        TensorRtModel(TINY_ENCODER, store_plan(tmp_path, plan), TENSORRT, CudaDevice())


def test_failures_of_the_library_are_told(model, cuda, monkeypatch):
    monkeypatch.setattr(model, "_context", type("context", (), {
        "set_input_shape": lambda *_: True, "infer_shapes": lambda _: [], "get_tensor_shape": lambda *_: (1, 13, 4, 4),
        "set_tensor_address": lambda *_: True, "execute_async_v3": lambda *_: False})())
    with pytest.raises(BackendError, match="tiny_encoder: expected TensorRT to run it, got: no reason given"):
        model.run(image())
    monkeypatch.setattr(type(model._context), "set_tensor_address", lambda *_: False)
    with pytest.raises(BackendError, match="'image': expected its memory to be accepted"):
        model.run(image(4))
    monkeypatch.setattr(type(model._context), "get_tensor_shape", lambda *_: (1, -1))
    with pytest.raises(BackendError, match="expected output shapes that follow from the inputs, got .*-1"):
        model.run(image(4))


def test_no_room_for_a_context(tmp_path, cuda, monkeypatch):
    import tensorrt

    engine = store_plan(tmp_path, build_plan(TENSORRT, job(tmp_path)))
    monkeypatch.setattr(tensorrt.ICudaEngine, "create_execution_context", lambda self: None)
    with pytest.raises(BackendError, match="expected room for an execution context on Pretended GPU"):
        TensorRtModel(TINY_ENCODER, engine, TENSORRT, CudaDevice())


def test_unreadable_graph_names_the_operator(tmp_path, cuda):
    import onnx

    model = onnx.load(job(tmp_path).onnx)
    model.graph.node[0].op_type, model.graph.node[0].name = "SequenceAt", "pick"
    onnx.save(model, tmp_path / "tiny.onnx")
    with pytest.raises(BackendError, match="tiny.onnx: expected a graph that tensorrt 10.3.0 reads, got 1 errors, "
                                           "first SequenceAt 'pick': UNSUPPORTED_NODE"):
        build_plan(TENSORRT, job(tmp_path))


def test_build_without_result_gives_the_reason(tmp_path, cuda, monkeypatch):
    import tensorrt

    monkeypatch.setattr(tensorrt.IBuilderConfig, "add_optimization_profile", lambda self, profile: 0)
    with pytest.raises(BackendError, match="tensorrt 10.3.0 to build an engine, got: no optimization profile; see"):
        build_plan(TENSORRT, job(tmp_path))
    assert "ERROR no optimization profile" in (tmp_path / "build.log").read_text()


def test_options_reach_the_builder(tmp_path, cuda, monkeypatch):
    import tensorrt

    seen = {}
    config, make = tensorrt.IBuilderConfig, tensorrt.IBuilderConfig.create_timing_cache
    monkeypatch.setattr(config, "clear_flag", lambda self, flag: seen.update(cleared=flag.name))
    monkeypatch.setattr(config, "set_memory_pool_limit", lambda self, pool, size: seen.update({pool.name: size}))
    monkeypatch.setattr(config, "create_timing_cache", lambda self, content: seen.update(
        timing=content) or make(self, content))
    monkeypatch.setattr(config, "add_optimization_profile", lambda self, profile: seen.update(
        level=self.builder_optimization_level) or setattr(self, "_profile", profile))
    (tmp_path / "timing").write_bytes(b"earlier")
    build_plan(TENSORRT, job(tmp_path, options=BuildOptions(5, 256, tf32=False)))
    assert seen == {"cleared": "TF32", "WORKSPACE": 256 << 20, "timing": b"earlier", "level": 5}


def test_progress_is_one_share_that_reaches_the_end(tmp_path, cuda):
    shares = []
    build_plan(TENSORRT, job(tmp_path, progress=lambda share, phase: shares.append((round(share, 3), phase))))
    assert shares[0] == (0.0, "Building engine") and shares[-1] == (1.0, "Building engine")
    assert (0.125, "Timing tactics") in shares and (0.625, "Timing tactics") in shares


def test_only_version_10_is_asked_for_strong_types(monkeypatch):
    for version, module, flavour, flags in (("10.3.0", "tensorrt", TENSORRT, 2), ("11.4.0", "tensorrt", TENSORRT, 0),
                                            ("1.7.1", "tensorrt_rtx", TENSORRT_RTX, 0)):
        fakegpu.install(monkeypatch, version, module)
        assert flavour.network_flags(flavour.load()) == flags


def test_plan_holds_the_graph_and_the_profile(tmp_path, cuda):
    content, shapes = pickle.loads(build_plan(TENSORRT, job(tmp_path))[len(fakegpu.MAGIC):])
    assert content == (tmp_path / "tiny.onnx").read_bytes()
    assert shapes == {"image": ((1, 13, 4, 4), (1, 13, 8, 8), (1, 13, 16, 16))}


def test_buffer_keeps_within_its_memory(cuda):
    buffer = Buffer(CudaDevice(), "float32")
    assert buffer.shape((2, 3)) and not buffer.shape((1, 2)) and buffer.shape((9,))
    assert buffer.host.shape == (9,) and buffer.address
    buffer.close()
    buffer.close()
    assert cuda.allocated() == 0 and buffer.address == 0
