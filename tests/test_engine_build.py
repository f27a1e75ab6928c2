"""Building on a pretended TensorRT: found, built once, proven, refused, rebuilt only when allowed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import fakegpu
import numpy as np
import pytest

from uois_sam_ros import Segmenter
from uois_sam_ros.config import SegmenterConfig, preset, update
from uois_sam_ros.engines import build as module
from uois_sam_ros.engines.build import Workshop
from uois_sam_ros.engines.parity import Parity, fixed_frames
from uois_sam_ros.engines.profiles import covers, networks, profiles
from uois_sam_ros.engines.progress import Progress
from uois_sam_ros.errors import BackendError, ModelError
from uois_sam_ros.example import box_scene
from uois_sam_ros.runtime import engine_backends
from uois_sam_ros.runtime.engine_store import EngineError
from uois_sam_ros.runtime.factory import load_model
from uois_sam_ros.runtime.manifest import write_entry
from uois_sam_ros.runtime.parity_report import ParityReport
from uois_sam_ros.runtime.tensorrt_builder import profile_shapes

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "engines" / "manifest.json").exists(), reason="engines/ holds no models")
PASSED = ParityReport("fp32", 1.0, 0.0, 1.0, 1)


@pytest.fixture
def cuda(monkeypatch):
    return fakegpu.install(monkeypatch)


@pytest.fixture
def proofs(monkeypatch):
    """Replace the gate by one that passes and counts; the real one runs in the tests below and costs seconds."""
    seen = []
    monkeypatch.setattr(Workshop, "_prove", lambda self, name, engine: seen.append(name) or PASSED)
    monkeypatch.setattr(Workshop, "_prove_together", lambda self, outcomes: seen.append("together"))
    return seen


def config_for(cache: Path, **runtime) -> SegmenterConfig:
    return update(preset("compact"), {"runtime": {"backend": "tensorrt", "cache": str(cache), "threads": 1, **runtime}})


def quiet(_: str) -> None:
    pass


def test_built_once_then_kept(tmp_path, cuda, proofs):
    said = []
    first = Workshop(config_for(tmp_path), say=said.append).ensure_all()
    assert [outcome.built for outcome in first] == [True] * 3
    assert proofs == [*networks(preset("compact")), "together"]
    assert any("compact_encoder (1 of 3): building, which takes from seconds to many minutes" in line for line in said)
    assert any("built in" in line and ".log" in line for line in said)
    assert "engine built" in Path(first[0].engine.path.with_suffix(".log")).read_text()
    again = Workshop(config_for(tmp_path), say=pytest.fail).ensure_all()
    assert [outcome.built for outcome in again] == [False] * 3
    assert len(proofs) == 4
    said.clear()
    Workshop(config_for(tmp_path), say=said.append).ensure("compact_hdnet", rebuild=True)
    assert "the last time" in said[0]


def test_timing_cache_grows_with_every_build(tmp_path, cuda, proofs):
    Workshop(config_for(tmp_path), say=quiet).ensure_all()
    (path,) = tmp_path.glob("*.timing")
    assert path.name == "tensorrt-10.3.0-Pretended_GPU.timing" and path.read_bytes() == b"..."


@pytest.mark.parametrize("version", ["10.3.0", "11.4.0.106"])
def test_segments_as_onnxruntime_does(tmp_path, monkeypatch, version):
    """The whole way with the real gate: build, prove, store, open, run; the pretended GPU computes in fp32."""
    fakegpu.install(monkeypatch, version)
    frame = box_scene(320, 240)[0]
    monkeypatch.setattr("uois_sam_ros.engines.parity.fixed_frames", lambda: [frame])
    segmenter = Segmenter(config_for(tmp_path, build="missing"))
    expected = Segmenter.from_preset("compact", runtime={"threads": 1}).segment(frame)
    got = segmenter.segment(frame)
    np.testing.assert_array_equal(got.label, expected.label)
    for model in segmenter.models.values():
        assert model.metadata["parity"].passed and model.metadata["parity"].frames == 1
        assert model.metadata["engine"].startswith(model.spec.name)


def test_never_means_never(tmp_path, cuda):
    with pytest.raises(EngineError, match="engine compact_encoder: expected one in .* for Pretended GPU .8.7., "
                                          "tensorrt 10.3.0, got none; run 'uois-sam engines build'"):
        Segmenter(config_for(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["cut", "changed", "sidecar"])
def test_damaged_engine_is_refused_then_rebuilt_when_allowed(tmp_path, cuda, proofs, damage):
    config = config_for(tmp_path)
    engine = Workshop(config, say=quiet).ensure("compact_hdnet").engine
    content = engine.plan.read_bytes()
    if damage == "sidecar":
        engine.path.write_text(engine.path.read_text().replace("Pretended", "Intended"))
    else:
        engine.plan.write_bytes(content[:-1] if damage == "cut" else content[:-1] + b"\0")
    with pytest.raises(EngineError, match="cut or replaced|changed"):
        load_model("compact_hdnet", config.runtime)
    assert Workshop(config, say=quiet).ensure("compact_hdnet").built
    assert load_model("compact_hdnet", config.runtime).metadata["parity"] == PASSED


def test_engine_of_another_version_or_gpu_is_refused(tmp_path, cuda, proofs, monkeypatch):
    config = config_for(tmp_path)
    Workshop(config, say=quiet).ensure("compact_hdnet")
    fakegpu.install(monkeypatch, "10.4.0")
    with pytest.raises(EngineError, match="got one with library version 10.3.0 instead of 10.4.0"):
        load_model("compact_hdnet", config.runtime)
    other = fakegpu.install(monkeypatch, "10.3.0")
    monkeypatch.setattr(other, "cudaGetDeviceProperties",
                        lambda index: (0, type("properties", (), {"name": b"Orin", "major": 8, "minor": 7})))
    with pytest.raises(EngineError, match="got one with GPU Pretended GPU instead of Orin"):
        load_model("compact_hdnet", config.runtime)


def test_other_options_are_another_engine(tmp_path, cuda, proofs):
    Workshop(config_for(tmp_path), say=quiet).ensure("compact_hdnet")
    with pytest.raises(EngineError, match="builder options .*'optimization_level': 3"):
        load_model("compact_hdnet", config_for(tmp_path, optimization_level=5).runtime)


def test_changed_onnx_file_is_another_engine(tmp_path, cuda, proofs):
    folder = tmp_path / "models"
    folder.mkdir()
    content = (ROOT / "engines" / "compact_hdnet.onnx").read_bytes()
    for count, extra in enumerate((b"", b"\x12\x01x")):  # the second has another producer name
        (folder / "compact_hdnet.onnx").write_bytes(content + extra)
        write_entry(folder, "compact_hdnet", "compact_hdnet.onnx")
        config = config_for(tmp_path / "cache", model_dir=str(folder))
        if count:
            with pytest.raises(EngineError, match="got one with ONNX file .* instead of"):
                load_model("compact_hdnet", config.runtime)
        Workshop(config, say=quiet).ensure("compact_hdnet")
    assert len(list((tmp_path / "cache").glob("*.plan"))) == 2


def test_larger_profile_is_built_anew(tmp_path, cuda, proofs):
    small = update(config_for(tmp_path), {"decoding": {"batch": 8}})
    Workshop(small, say=quiet).ensure("compact_hdnet")
    assert not Workshop(small, say=quiet).ensure("compact_hdnet").built
    assert Workshop(config_for(tmp_path), say=quiet).ensure("compact_hdnet").built
    assert not Workshop(small, say=quiet).ensure("compact_hdnet").built, "the larger one serves both"


def test_failed_gate_names_the_network_and_is_final(tmp_path, cuda, monkeypatch):
    """A network that computes something else must not be used, nor be built again at every start."""
    frame = box_scene(320, 240)[0]
    monkeypatch.setattr("uois_sam_ros.engines.parity.fixed_frames", lambda: [frame])
    real = Workshop.open

    def wrong(self, engine):
        model = real(self, engine)
        if engine.identity.network == "compact_decoder":
            run = model.run
            model.run = lambda inputs: {name: array - np.float32(3) if name == "low_res_masks" else array
                                        for name, array in run(inputs).items()}
        return model

    monkeypatch.setattr(Workshop, "open", wrong)
    config = config_for(tmp_path, build="missing")
    with pytest.raises(EngineError, match="compact_decoder.*expected mask IoU >= 0.99.*got failed fp32: mask IoU 0.*"
                                          "worst compact_decoder .the engine itself"):
        Segmenter(config)
    monkeypatch.setattr(module, "Progress", pytest.fail)
    with pytest.raises(EngineError, match="worst compact_decoder"):
        Segmenter(config)
    with pytest.raises(EngineError, match="worst compact_decoder"):
        load_model("compact_decoder", config.runtime)
    assert load_model("compact_encoder", config.runtime).metadata["parity"].passed


def test_failing_together_is_failing(tmp_path, cuda, monkeypatch):
    monkeypatch.setattr(Workshop, "_prove", lambda self, name, engine: replace(
        PASSED, mask_iou=0.991 if name == "compact_encoder" else 1.0))

    class Together:
        def compare(self, models, precision):
            assert set(models) == set(networks(preset("compact")))
            return replace(PASSED, mask_iou=0.985)

    monkeypatch.setattr(Workshop, "_proof", Together())
    with pytest.raises(EngineError, match=r"mask IoU 0.9850.*worst compact_encoder \(all engines together\)"):
        Workshop(config_for(tmp_path), say=quiet).ensure_all()
    with pytest.raises(EngineError, match="all engines together"):
        load_model("compact_encoder", config_for(tmp_path).runtime)


def test_numbers_that_are_not_finite_fail():
    class Broken:
        def __init__(self, model):
            self.spec, self.metadata, self._model = model.spec, {}, model

        def run(self, inputs):
            outputs = self._model.run(inputs)
            outputs["low_res_masks"][0, 0, 0, 0] = np.nan
            return outputs

    parity = Parity(update(preset("compact"), {"runtime": {"threads": 1}}), "", [box_scene(320, 240)[0]])
    broken = Broken(load_model("compact_decoder", preset("compact").runtime))
    report = parity.compare({"compact_decoder": broken}, "fp16")
    assert np.isnan(report.mask_iou) and not report.passed and "mask IoU nan" in str(report)


def test_fixed_frames_do_not_change():
    frames = fixed_frames()
    assert [frame.name for frame in frames] == ["boxes_101", "boxes_102", "shipped_0", "shipped_1"]
    for frame in frames:
        assert (frame.height, frame.width) == (480, 640) and frame.depth_m is not None and frame.intrinsics is not None


def test_two_builders_build_once(tmp_path, cuda, proofs, monkeypatch):
    """The second waits for the first and takes what it made."""
    started, go, builds = threading.Event(), threading.Event(), []
    backend = engine_backends.engine_backend("tensorrt")
    real = type(backend).build

    def slow(self, job):
        builds.append(job.spec.name)
        started.set()
        assert go.wait(60)
        return real(self, job)

    monkeypatch.setattr(type(backend), "build", slow)
    outcomes, said = {}, []

    def on_say(text):
        said.append(text)
        if "waiting for" in text:
            go.set()

    def work(index):
        outcomes[index] = Workshop(config_for(tmp_path), say=on_say).ensure("compact_hdnet")

    first = threading.Thread(target=work, args=(1,))
    first.start()
    assert started.wait(60)
    second = threading.Thread(target=work, args=(2,))
    second.start()
    for thread in (first, second):
        thread.join(120)
    assert builds == ["compact_hdnet"] == proofs
    assert (outcomes[1].built, outcomes[2].built) == (True, False)
    assert any(f"waiting for process {os.getpid()} on " in line for line in said)


PROCESS = """
import sys
sys.path.insert(0, "tests")
import fakegpu, pytest
from uois_sam_ros.engines.build import Workshop
from uois_sam_ros.runtime.parity_report import ParityReport
from test_engine_build import config_for
fakegpu.install(pytest.MonkeyPatch())
Workshop._prove = lambda self, name, engine: ParityReport("fp32", 1.0, 0.0, 1.0, 1)
print(Workshop(config_for(sys.argv[1]), say=lambda text: None).ensure("compact_hdnet").built)
"""


def test_two_processes_build_once(tmp_path):
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    assert sorted(process.communicate(timeout=300)[0].strip() for process in processes) == ["False", "True"]


def test_library_or_gpu_that_is_not_there(tmp_path, monkeypatch):
    config = config_for(tmp_path)
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendError, match="backend tensorrt: expected the package tensorrt.*JetPack 6.1"):
        Workshop(config)
    cuda = fakegpu.install(monkeypatch, "9.3.0")
    with pytest.raises(BackendError, match="expected version 10 or 11, got 9.3.0"):
        Workshop(config)
    cuda = fakegpu.install(monkeypatch)
    with pytest.raises(BackendError, match="runtime.device: expected 0 to 0, got 3"):
        Workshop(config_for(tmp_path, device=3))
    monkeypatch.setattr(cuda, "cudaGetDeviceCount", lambda: (cuda.cudaError_t.cudaErrorInvalidValue, None))
    with pytest.raises(BackendError, match="expected cudaGetDeviceCount to work, got: cudaErrorInvalidValue"):
        Workshop(config)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(BackendError, match="expected the package cuda-bindings"):
        Workshop(config)


def test_int8_for_processors_is_refused(tmp_path, cuda):
    write = (ROOT / "engines" / "compact_hdnet.onnx").read_bytes()
    (tmp_path / "compact_hdnet.onnx").write_bytes(write)
    write_entry(tmp_path, "compact_hdnet", "compact_hdnet.onnx", precision="int8", int8_for="processor")
    with pytest.raises(ModelError, match="expected int8 models for TensorRT, got those for processors; .*--int8-for"):
        Workshop(config_for(tmp_path / "cache", model_dir=str(tmp_path)), say=quiet).ensure("compact_hdnet")


def test_backend_without_engines():
    with pytest.raises(BackendError, match="expected the backend tensorrt or tensorrt_rtx, got 'onnxruntime'"):
        Workshop(preset("compact"))


def test_reference_is_found_or_asked_for(tmp_path, cuda):
    source = ROOT / "engines"
    folder = tmp_path / "fp16"
    folder.mkdir()
    for name in networks(preset("compact")):
        content = (source / f"{name}.onnx").read_bytes()
        (folder / f"{name}.onnx").write_bytes(content + b"\x12\x01x")
        sha256 = module.Manifest.load(source).entry(name)["sha256"]
        write_entry(folder, name, f"{name}.onnx", precision="fp16",
                    source={"sha256": sha256, "folder": os.path.relpath(source, folder)})
    config = config_for(tmp_path, model_dir=str(folder))
    assert Workshop(config).reference_folder().resolve() == source
    assert Workshop(config, reference_dir=str(source)).reference_folder() == source
    with pytest.raises(ModelError, match="parity: expected the fp32 models .* --reference"):
        Workshop(config, reference_dir=str(tmp_path)).reference_folder()
    assert Workshop(config_for(tmp_path)).reference_folder() == source


def test_profiles_follow_the_configuration():
    config = preset("compact")
    assert profiles(config) == {"M": (1, 32, 64), "h": (96, 240, 448), "w": (96, 320, 448)}
    assert profiles(config, (720, 1280))["w"] == (96, 432, 448)
    wide = profiles(update(config, {"encoding": {"short_side": 480, "long_side": 1000}}))
    assert wide["h"] == (96, 480, 1008)
    assert covers(wide, profiles(config)) and not covers(profiles(config), wide) and not covers({}, wide)
    assert networks(preset("geometry")) == ()
    assert networks(update(config, {"rescoring": {"strategy": "decoder"}})) == ("compact_encoder", "compact_decoder")


def test_profile_shapes_of_derived_dimensions():
    from uois_sam_ros.models.spec import COMPACT_DECODER

    shapes = {"pixel": (1, 35, -1, -1), "middle": (1, 48, -1, -1), "context": (1, 128, -1, -1),
              "foreground": (1, 1, -1, -1), "points": (-1, 2)}
    got = profile_shapes(COMPACT_DECODER, profiles(preset("compact")), shapes)
    assert got["context"] == ((1, 128, 6, 6), (1, 128, 15, 20), (1, 128, 28, 28))
    assert got["points"] == ((1, 2), (32, 2), (64, 2))
    assert profile_shapes(COMPACT_DECODER, {}, {name: tuple(map(abs, shape)) for name, shape in shapes.items()}) == {}
    with pytest.raises(BackendError, match="expected sizes for its dimension h/2, got those of M"):
        profile_shapes(COMPACT_DECODER, {"M": (1, 2, 3)}, shapes)


def test_progress_tells_what_is_left(monkeypatch):
    now, said = [100.0], []
    monkeypatch.setattr("uois_sam_ros.engines.progress.monotonic", lambda: now[0])
    progress = Progress("net (1 of 2)", said.append)
    progress(0.01, "Parsing")
    now[0] += 6
    progress(0.02, "Timing tactics")
    now[0] += 14
    progress(0.25, "Timing tactics")
    now[0] += 1
    progress(0.1, "too soon for another line, and shares never fall")
    now[0] += 9
    progress(0.2, "Reformatting")
    assert said[1] == "net (1 of 2): 2 %, 6 s so far, no estimate yet, Timing tactics"
    assert said[2] == "net (1 of 2): 25 %, 20 s so far, about 60 s left, Timing tactics"
    assert said[3] == "net (1 of 2): 25 %, 30 s so far, about 90 s left, Reformatting"
    assert progress.done("log x") == 30 and said[4] == "net (1 of 2): built in 30 s, log x"
    known = Progress("net", said.append, 300)
    now[0] += 60
    known(0.5, "Timing")
    assert said[-1] == "net: 50 %, 60 s so far, about 4 min left, Timing"


def test_interrupt_stops_the_build(tmp_path, cuda, proofs, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Progress, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Workshop(config_for(tmp_path), say=quiet).ensure("compact_hdnet")
    assert not list(tmp_path.glob("*.plan")) and proofs == []
