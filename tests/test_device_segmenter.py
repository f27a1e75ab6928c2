"""The whole device path: against the host path on recorded and made-up frames, batches, streams, refusals.

Over 400 lines because all of it shares the pretended graph and the recorded frames.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the device path needs the train extra")

from ondevice import DEVICES, agreement  # noqa: E402
from tabletop import numpy_networks, tabletop  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from uois_sam_ros import Segmenter  # noqa: E402
from uois_sam_ros.config import PRESETS, RuntimeConfig, preset, update  # noqa: E402
from uois_sam_ros.device import lane as lane_module  # noqa: E402
from uois_sam_ros.device import recording  # noqa: E402
from uois_sam_ros.device.attention import fuse_attention  # noqa: E402
from uois_sam_ros.device.segmenter import DeviceSegmenter  # noqa: E402
from uois_sam_ros.device.stream import segment_batches, segment_stream  # noqa: E402
from uois_sam_ros.errors import BackendError, ConfigError, FrameError, ModelError  # noqa: E402
from uois_sam_ros.example import bundled_recording  # noqa: E402
from uois_sam_ros.models.networks import build_network  # noqa: E402
from uois_sam_ros.models.spec import model_spec  # noqa: E402
from uois_sam_ros.replay.sources import InputOptions, open_input  # noqa: E402
from uois_sam_ros.ros.result import heatmap_on_image  # noqa: E402
from uois_sam_ros.runtime.torch_backend import TorchModel, find_device  # noqa: E402
from uois_sam_ros.types import Frame  # noqa: E402

ENGINES = Path(__file__).parents[1] / "engines"
pytestmark = pytest.mark.skipif(not (ENGINES / "compact_encoder.onnx").exists(), reason="engines/ holds no models")
SMALL = {"short_side": 96, "long_side": 128, "focus": "off"}
FEW = {"max_points": 16, "coverage_points": 4}
ON_CPU = {"backend": "torch", "frame_path": "device", "torch_device": "cpu", "threads": 1}


def host(**overrides):
    given = {"encoding": SMALL, "prompting": FEW, "runtime": {"threads": 1}, **overrides}
    return Segmenter(update(preset("compact"), given))


def on_device(device="cpu", **overrides):
    runtime = {**ON_CPU, "torch_device": device, **overrides.pop("runtime", {})}
    given = {"encoding": SMALL, "prompting": FEW, "runtime": runtime, **overrides}
    return DeviceSegmenter(update(preset("compact"), given))


@pytest.fixture(scope="module")
def recorded():
    """Three 640x480 frames of the bundled recording."""
    path = bundled_recording()
    if path is None:
        pytest.skip("the recording was not installed")
    frames = (sample.frame for sample in open_input(str(path), InputOptions()))
    return list(islice(frames, 0, 60, 25))


def scene(seed=0, **given):
    return tabletop(noise_m=0.001, seed=seed, height=120, width=160, **given)[0]


def same(ours, theirs, least=0.995):
    """Label images agree; records describe the same things.

    The device sums in another order, fills holes in the depth from another of equally near readings, and snaps edges on
    the whole picture; so scores differ in the third digit, and single edge pixels differ.
    """
    assert agreement(ours.label, theirs.label) >= least
    assert len(ours) == len(theirs) and ours.depth_used == theirs.depth_used
    for a, b in zip(ours.items, theirs.items):
        assert a.id == b.id and a.score == pytest.approx(b.score, abs=0.01)
        assert np.abs(np.subtract(a.box_xyxy, b.box_xyxy)).max() <= 3
        assert a.area_px == pytest.approx(b.area_px, rel=0.02, abs=4)
        assert a.touches_border == b.touches_border
        assert a.valid_depth_ratio == pytest.approx(b.valid_depth_ratio, abs=0.02)
        assert (a.centroid_m is None) == (b.centroid_m is None)
        np.testing.assert_allclose(a.centroid_px, b.centroid_px, atol=0.5)
        if a.centroid_m is not None:
            np.testing.assert_allclose(a.centroid_m, b.centroid_m, atol=2e-3)


@pytest.mark.parametrize("device", DEVICES)
def test_recording(device, recorded):
    """Most of a frame's holes are at edges of objects; filled from another equally near reading they can move a point
    that covers missed foreground by a cell, and an object whose score is at the threshold comes or goes."""
    segmenter, reference = on_device(device), host()
    shares, met = [], []
    for frame in recorded:
        result, expected = segmenter.segment(frame), reference.segment(frame)
        shares.append(agreement(result.label > 0, expected.label > 0))
        ours, theirs = (one.masks().reshape(len(one), -1).astype(np.float32) for one in (result, expected))
        both = theirs @ ours.T
        iou = both / (theirs.sum(1)[:, None] + ours.sum(1) - both)
        met += [best > 0.95 for best in iou.max(axis=1)]
        assert abs(len(result) - len(expected)) <= 1 and abs(len(result.prompts) - len(expected.prompts)) <= 1
    assert np.mean(shares) >= 0.995 and len(met) > 15 and np.mean(met) >= 0.9
    assert segmenter.problems == ()
    assert list(result.timings_ms) == ["upload", "encoding", "prompting", "decoding", "rescoring", "selection",
                                       "download", "total"]
    assert all(value >= 0 for value in result.timings_ms.values())


CASES = {
    "a scene": scene(),
    "no depth": scene().without_depth(),
    "an empty table": scene(boxes=()),
    "nothing at all": Frame(np.full((120, 160, 3), 90, np.uint8)),
    "depth without a reading": replace(scene(), depth_m=np.zeros((120, 160), np.float32)),
    "depth full of NaN": replace(scene(), depth_m=np.full((120, 160), np.nan, np.float32)),
}


@pytest.mark.parametrize("device", DEVICES)
def test_made_up_frames(device):
    segmenter, reference = on_device(device), host()
    for name, frame in CASES.items():
        result, expected = segmenter.segment(frame), reference.segment(frame)
        try:
            same(result, expected)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.parametrize("overrides", [
    {"selection": {"score_threshold": 1.0}},                                    # prompts, but no mask is chosen
    {"prompting": {**FEW, "heatmap_threshold": 1.0, "coverage_points": 0}},            # no prompts
    {"prompting": {"strategy": "grid", "grid_side": 6}, "decoding": {"batch": 8}},
    {"rescoring": {"foreground_weight": 0.5, "depth_weight": 0.5}},
    {"rescoring": {"strategy": "decoder"}, "selection": {"edge_radius_px": 0, "containment": 1}},
    {"encoding": {**SMALL, "depth": "off"}},
], ids=["none chosen", "no prompts", "grid", "all terms", "bare", "depth off"])
def test_settings(overrides):
    frame = scene()
    same(on_device(**overrides).segment(frame), host(**overrides).segment(frame))


def random_network(name):
    torch.manual_seed(len(name))
    network = build_network(name)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.02 * torch.randn_like(value))
    return network


@pytest.mark.parametrize("name", ["paper-tiny", "paper-tiny-4x3", "shared-tiny"])
def test_shapes_of_the_paper(name):
    """SAM's small stand-in. Its random weights score all masks alike, so masks and scores are compared, not ids."""
    config = update(preset(name), {
        "prompting": {"heatmap_threshold": 0.0, "foreground_threshold": 0.0, "max_points": 8},
        "selection": {"score_threshold": 0.0, "max_area": 1.0, "nms_iou": 1.0}})
    names = [*config.encoding.encoders, config.decoding.decoder, config.rescoring.rescorer]
    models = {key: TorchModel(model_spec(key), random_network(key), RuntimeConfig(threads=1)) for key in names}
    frames = [scene(), scene(seed=1)]
    reference = Segmenter(config, models)
    device = DeviceSegmenter(update(config, {"runtime": ON_CPU}), models)
    lane = device.begin(frames)
    results = device.finish(lane)
    for camera, (frame, result) in enumerate(zip(frames, results)):
        expected = reference.stages(frame)
        count = len(expected.prompts)
        assert int(lane.prompts.valid[camera].sum()) == count > 0
        moved = np.abs(result.instances.prompts.points_px - expected.prompts.points_px).max(axis=1) > 1e-3
        assert moved.mean() < 0.2  # among equal neighbours of a random heatmap, rounding decides
        masks, given = (values[~moved] for values in (lane.masks.low_res_masks[camera, :count].numpy(),
                                                      expected.mask_set.low_res_masks))
        assert np.abs(masks - given).max() <= 1e-3 * np.abs(given).max()
        np.testing.assert_allclose(lane.masks.scores[camera, :count].numpy()[~moved], expected.mask_set.scores[~moved],
                                   atol=1e-4)
        assert agreement(result.instances.label > 0, expected.instances.label > 0) >= 0.99


def test_fused_attention_is_sams():
    """Same embeddings and same names of weights, with windows and without; and nothing is made on the host."""
    encoder = random_network("sam_tiny_encoder")
    names = list(encoder.state_dict())
    image = torch.randn(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = encoder(image)
        fuse_attention(encoder)
        with NoWaiting():
            found = encoder(image)
    assert list(encoder.state_dict()) == names
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_equals_its_frames(device):
    """Cameras with and without depth, and one that sees nothing."""
    frames = [scene(), scene(seed=1).without_depth(), CASES["nothing at all"], scene(seed=2)]
    segmenter = on_device(device)
    for frame, together in zip(frames, segmenter.segment_batch(frames)):
        same(together, segmenter.segment(frame), least=0.9999)


@pytest.mark.parametrize("device", DEVICES)
def test_a_stream_equals_its_frames(device):
    frames = [scene(seed=seed) for seed in range(3)] + [CASES["nothing at all"], scene().without_depth(), scene(seed=5)]
    segmenter = on_device(device)
    alone = [segmenter.segment(frame) for frame in frames]
    for ours, theirs in zip(list(segment_stream(segmenter, frames)), alone, strict=True):
        np.testing.assert_array_equal(ours.label, theirs.label)
        assert ours.items == theirs.items
    pairs = list(segment_batches(segmenter, [frames[:2], frames[1:3]]))
    assert [len(pair) for pair in pairs] == [2, 2]
    np.testing.assert_array_equal(pairs[0][1].label, pairs[1][0].label)


def test_a_stream_asks_for_the_next_frame_before_it_gives_a_result():
    asked = []

    def frames():
        for seed in range(3):
            asked.append(seed)
            yield scene(seed=seed)

    results = segment_stream(on_device(), frames())
    next(results)
    assert asked == [0, 1]
    assert len(list(results)) == 2 and list(segment_stream(on_device(), [])) == []


@pytest.mark.parametrize(("bad", "text"), [(scene().without_depth(), "depth = require"), (None, "expected a Frame")])
def test_a_bad_frame_does_not_cost_a_stream_the_one_before(bad, text):
    results = segment_stream(on_device(encoding={**SMALL, "depth": "require"}), [scene(seed=1), bad])
    assert next(results).depth_used
    with pytest.raises(FrameError, match=text):
        next(results)


def test_a_frame_without_depth_is_refused_alone():
    """Missing and empty depth images in a batch that requires depth: the other cameras get what they get alone."""
    segmenter = on_device(encoding={**SMALL, "depth": "require"})
    frames = [scene().without_depth(), scene(), CASES["depth without a reading"], scene(seed=2)]
    for results in (segmenter.segment_batch(frames), next(segment_batches(segmenter, [frames]))):
        missing, first, empty, last = results
        assert isinstance(missing, FrameError) and "expected a depth image" in str(missing)
        assert isinstance(empty, FrameError) and "got fewer" in str(empty)
        same(first, segmenter.segment(frames[1]), least=0.9999)
        same(last, segmenter.segment(frames[3]), least=0.9999)
    (refused,) = segmenter.segment_batch(frames[:1])
    assert isinstance(refused, FrameError)


@pytest.mark.parametrize("device", DEVICES)
def test_heatmap_on_request(device, monkeypatch):
    """As on the host at the frame's size; without a request it is not copied."""
    runtime = {"runtime": {**ON_CPU, "torch_device": device}}
    segmenter = Segmenter(update(host().config, runtime))
    expected = heatmap_on_image(host().stages(scene()))
    found = heatmap_on_image(segmenter.stages(scene(), with_heatmap=True))
    assert found.shape == (120, 160) and found.dtype == np.float32 and expected.max() > 0.5
    assert np.abs(found - expected).mean() < 0.01 and np.mean(np.abs(found - expected) > 0.1) < 0.02
    fetched = []
    fetch = lane_module.Lane._fetch
    monkeypatch.setattr(lane_module.Lane, "_fetch", lambda lane, values: fetched.append(values) or fetch(lane, values))
    assert heatmap_on_image(segmenter.stages(scene())) is None and all(values.shape[-1] < 100 for values in fetched)


def test_too_few_rounds_are_made_up_for(monkeypatch):
    """Many masks of the same things: after one round some are dropped for better ones that are dropped themselves."""
    loose = {"score_threshold": 0.0, "nms_iou": 0.05, "containment": 0.3, "max_area": 1.0, "max_size_m": 10.0,
             "plane_veto": False}
    many = {"prompting": {"strategy": "grid", "grid_side": 8}, "selection": loose}
    expected = on_device(**many).segment(scene())
    monkeypatch.setattr(lane_module, "ROUNDS", 1)
    np.testing.assert_array_equal(on_device(**many).segment(scene()).label, expected.label)


def test_results_are_the_callers_own():
    segmenter = on_device()
    first = segmenter.segment(scene())
    kept = first.label.copy()
    second = segmenter.segment(scene(boxes=((-0.1, -0.05, 0.1, 0.1, 0.1),)))
    assert len(second) > 0 and not np.array_equal(second.label, kept)
    np.testing.assert_array_equal(first.label, kept)


class NoWaiting(TorchDispatchMode):
    """Refuses what would make the host wait for a GPU, or upload something behind everybody's back."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique", "_unique2",
               "bincount", "lift_fresh")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name == "index" and any(index is not None and index.dtype in (torch.bool, torch.uint8)
                                          for index in args[1])
        assert name not in self.WAITING and not by_mask, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("overrides", [{}, {"rescoring": {"foreground_weight": 0.5, "depth_weight": 0.5}}])
def test_nothing_waits_between_upload_and_election(overrides):
    segmenter = on_device(**overrides)
    segmenter.segment(scene())
    with NoWaiting():
        lane = segmenter.begin([scene(seed=1)])
    assert len(segmenter.finish(lane)[0].instances) > 0
    with pytest.raises(AssertionError, match="waits for the device"), NoWaiting():
        torch.zeros(1).item()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device")
def test_nothing_waits_on_a_gpu():
    segmenter = on_device("cuda")
    frames = [scene(seed=seed) for seed in range(4)]
    for frame in frames:  # run, record, replay
        segmenter.segment(frame)
    assert segmenter.problems == ()
    torch.cuda.set_sync_debug_mode("error")
    try:
        lane = segmenter.begin(frames[:1])
    finally:
        torch.cuda.set_sync_debug_mode("default")
    segmenter.finish(lane)


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("device", DEVICES)
def test_reduced_precision(device, precision):
    """Masks stay where they are; how exact they are is for the benchmark to say."""
    segmenter = on_device(device, runtime={"precision": precision})
    assert agreement(segmenter.segment(scene()).label > 0, host().segment(scene()).label > 0) > 0.97


def test_segmenter_takes_the_device_path():
    frame = scene()
    segmenter = Segmenter.from_preset("compact", encoding=SMALL, prompting=FEW, runtime=ON_CPU)
    stages = segmenter.stages(frame)
    expected = host().stages(frame)
    same(stages.instances, expected.instances)
    same(segmenter.segment(frame), expected.instances)
    assert stages.features.grid == expected.features.grid and stages.mask_set is None and not stages.features.maps
    np.testing.assert_allclose(stages.plane.normal, expected.plane.normal, atol=1e-3)
    assert stages.plane.offset == pytest.approx(expected.plane.offset, abs=1e-3)
    again = Segmenter(update(segmenter.config, {"selection": {"score_threshold": 1.0}}), segmenter.models)
    assert all(again.models[name] is model for name, model in segmenter.models.items())
    assert len(again.segment(frame)) == 0


@pytest.mark.parametrize(("change", "text"), [
    ({"backend": "onnxruntime"}, "expected host with method network and backend onnxruntime, got device"),
    ({"torch_device": "tpu"}, "torch_device: expected one of cuda, cpu"),
    ({"precision": "int8"}, "precision: expected one of fp32, fp16, bf16"),
])
def test_settings_are_refused(change, text):
    with pytest.raises(ConfigError, match=text):
        update(preset("compact"), {"runtime": {**ON_CPU, **change}})


def test_the_baseline_has_no_device_path():
    with pytest.raises(ConfigError, match="expected host with method geometry"):
        update(PRESETS["geometry"], {"runtime": ON_CPU})


def test_a_missing_gpu_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match=r"expected GPU 0 .* got no CUDA device \(torch .*use frame_path: host"):
        on_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Some GPU")
    with pytest.raises(BackendError, match="expected GPU 3 .* got 0: Some GPU"):
        find_device(RuntimeConfig(frame_path="device", device=3))
    assert find_device(RuntimeConfig(frame_path="device")) == "cuda:0"
    assert find_device(RuntimeConfig(backend="torch")) == "cpu"  # the host path runs torch as the reference


def test_refusals():
    segmenter = on_device()
    with pytest.raises(FrameError, match="expected a Frame, got ndarray"):
        segmenter.segment(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(FrameError, match="expected frames of one size, got 160x120 and 320x240"):
        segmenter.segment_batch([scene(), tabletop()[0]])
    with pytest.raises(FrameError, match="expected frames of one size, got none"):
        segmenter.segment_batch([])
    strict = on_device(encoding={**SMALL, "depth": "require"})
    for frame in (scene().without_depth(), CASES["depth without a reading"]):
        with pytest.raises(FrameError, match="depth = require"):
            strict.segment(frame)
    assert len(strict.segment(scene())) > 0
    with pytest.raises(ModelError, match="expected a torch network on cpu .* got HeightEncoder on another backend"):
        DeviceSegmenter(segmenter.config, numpy_networks())


class PretendedGraph:
    """Notes what a CUDA graph would be asked; a recording runs its step, as a real one does not."""

    broken = ""
    replayed = 0

    def __init__(self, graph, **given):
        self.graph = graph
        assert given["capture_error_mode"] == "thread_local"

    def __enter__(self):
        if PretendedGraph.broken:
            raise RuntimeError(PretendedGraph.broken)

    def __exit__(self, *error):
        return False

    @staticmethod
    def count():
        PretendedGraph.replayed += 1


@pytest.fixture
def pretended(monkeypatch):
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 0))
    kind = type("Graph", (), {"replay": lambda self: PretendedGraph.count()})
    monkeypatch.setattr(torch.cuda, "CUDAGraph", kind)
    monkeypatch.setattr(torch.cuda, "graph", PretendedGraph)
    monkeypatch.setattr(PretendedGraph, "replayed", 0)
    return recording.Recorder(object())


def test_steps_run_then_are_recorded_then_replayed(pretended):
    ran = []
    for turn in range(5):
        pretended.run("one", lambda turn=turn: ran.append(turn))
    assert ran == [0, 1] and PretendedGraph.replayed == 4  # the second time it is recorded and replayed
    pretended.run("other", lambda: ran.append("other"))
    assert ran[-1] == "other"
    pretended.forget()
    pretended.run("one", lambda: ran.append("again"))
    assert ran[-1] == "again" and pretended.problem == ""


def test_what_cannot_be_recorded_runs_and_says_why(pretended, monkeypatch, caplog):
    monkeypatch.setattr(PretendedGraph, "broken", "operation not permitted when stream is capturing")
    ran = []
    for turn in range(3):
        pretended.run("encoding", lambda turn=turn: ran.append(turn))
    assert ran == [0, 1, 2] and PretendedGraph.replayed == 0
    assert "step encoding: expected to record it as a CUDA graph, got: operation not permitted" in pretended.problem
    assert pretended.problem in caplog.text


def test_on_a_processor_every_step_runs():
    ran = []
    recorder = recording.Recorder(None)
    for turn in range(3):
        recorder.run("one", lambda turn=turn: ran.append(turn))
    assert ran == [0, 1, 2]
