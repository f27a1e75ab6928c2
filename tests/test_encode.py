"""The encoding stage: what the encoders receive, depth modes and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import TINY_ENCODER

from uois_sam_ros.config import EncodingConfig
from uois_sam_ros.encoding.encode import Encoder
from uois_sam_ros.errors import ConfigError, FrameError, ModelError
from uois_sam_ros.models.spec import ModelSpec, TensorSpec
from uois_sam_ros.types import Frame

CONFIG = EncodingConfig(encoders=("tiny_encoder",), short_side=96, multiple=32)


class Recorder:
    """A model that keeps its inputs and answers with their mean."""

    metadata: dict = {}

    def __init__(self, spec=TINY_ENCODER):
        self.spec = spec
        self.inputs = []

    def run(self, inputs):
        self.inputs.append(inputs["image"])
        return {name: inputs["image"].mean(axis=(2, 3), keepdims=True)
                for name in self.spec.output_names}


def second_encoder() -> Recorder:
    return Recorder(replace(TINY_ENCODER, name="second", outputs=(TensorSpec("more", (1, 13, 1, 1)),)))


def test_features(frame):
    model = Recorder()
    features = Encoder(CONFIG, [model])(frame)
    assert features.grid.padded_hw == (96, 128)
    assert model.inputs[0].shape == (1, 13, 96, 128)
    assert set(features.maps) == {"half", "double"}
    assert features.geometry.points_m.shape == (96, 128, 3)
    with pytest.raises(ValueError):
        features["half"][:] = 0
    with pytest.raises(TypeError):
        features.maps["half"] = 0


def test_intrinsics_follow_the_grid(frame):
    """A pixel of the native image and its working pixel are the same point in space."""
    features = Encoder(CONFIG, [])(frame)
    x, y = features.grid.to_working(np.float32([[31.5, 23.5]]))[0]
    point = features.geometry.points_m[int(round(y)), int(round(x))]
    np.testing.assert_allclose(point, [0, 0, 0.75], atol=0.01)
    x, y = features.grid.to_working(np.float32([[4, 4]]))[0]
    point = features.geometry.points_m[int(round(y)), int(round(x))]
    np.testing.assert_allclose(point, [(4 - 31.5) / 60 * 0.8, (4 - 23.5) / 60 * 0.8, 0.8], atol=0.01)


def test_two_encoders_share_one_input(frame):
    first, second = Recorder(), second_encoder()
    config = replace(CONFIG, encoders=("tiny_encoder", "second"))
    features = Encoder(config, [first, second])(frame)
    assert set(features.maps) == {"half", "double", "more"}
    assert first.inputs[0] is second.inputs[0]
    assert len(first.inputs) == len(second.inputs) == 1


@pytest.mark.parametrize("case", ["off", "missing", "empty", "sparse", "far"])
def test_without_usable_depth_the_depth_channels_are_zero(frame, case):
    depth = frame.depth_m.copy()
    config = replace(CONFIG, depth="off") if case == "off" else CONFIG
    if case == "empty":
        depth[:] = np.nan
    if case == "sparse":
        depth[2:] = 0  # 2 rows of 48: 4 %, below min_valid_depth
    if case == "far":
        depth[:] = 9.0
    model = Recorder()
    picture = Frame(frame.color, None if case == "missing" else depth, frame.intrinsics)
    features = Encoder(config, [model])(picture)
    assert features.geometry is None
    assert not model.inputs[0][:, 3:].any()
    assert model.inputs[0][:, :3].any()


def test_share_of_valid_depth_decides(frame):
    depth = frame.depth_m.copy()
    depth[:, ::2] = 0
    picture = Frame(frame.color, depth, frame.intrinsics)
    assert Encoder(replace(CONFIG, min_valid_depth=0.4), [])(picture).geometry is not None
    assert Encoder(replace(CONFIG, min_valid_depth=0.6), [])(picture).geometry is None


def test_required_depth_missing_is_refused(frame):
    encoder = Encoder(replace(CONFIG, depth="require"), [Recorder()])
    assert encoder(frame).geometry is not None
    with pytest.raises(FrameError, match=r"small: expected a depth image \(depth = require\), got none"):
        encoder(frame.without_depth())


def test_required_depth_empty_is_refused(frame):
    encoder = Encoder(replace(CONFIG, depth="require"), [])
    picture = Frame(frame.color, np.zeros_like(frame.depth_m), frame.intrinsics, name="dark")
    with pytest.raises(FrameError, match="dark: expected depth readings up to 4 m on at least 5 %"):
        encoder(picture)


def test_models_must_be_the_configured_ones():
    with pytest.raises(ModelError, match="expected tiny_encoder, got second"):
        Encoder(CONFIG, [second_encoder()])
    with pytest.raises(ModelError, match="got the decoder tiny_encoder"):
        Encoder(CONFIG, [Recorder(replace(TINY_ENCODER, kind="decoder"))])
    with pytest.raises(ModelError, match="expected an input kind of rgbd, sam, sam_4x3, dinov2, got 'sonar'"):
        Encoder(CONFIG, [Recorder(replace(TINY_ENCODER, input_kind="sonar"))])


def head(**changes) -> Recorder:
    """A head on the first output of the tiny encoder."""
    spec = ModelSpec("tiny_head", "head", (TensorSpec("image", (1, 13, "h", "w")),),
                     (TensorSpec("plain", (1, 13, 1, 1)), TensorSpec("picture", (1, 13, 1, 1))), "sam")
    return Recorder(replace(spec, **changes))


def test_a_head_reads_what_an_encoder_made_and_its_pictures_are_placed(frame):
    first = Recorder(replace(TINY_ENCODER, outputs=(TensorSpec("image", (1, 13, "h", "w")),)))
    reader = head(maps=("picture",))
    reader.run = lambda inputs: reader.inputs.append(inputs["image"]) or {
        "plain": np.zeros((1, 1, 128, 128)), "picture": np.zeros((1, 1, 64, 64))}
    config = replace(CONFIG, encoders=("tiny_encoder", "tiny_head"), short_side=128, long_side=128)
    features = Encoder(config, [first, reader])(frame)
    assert reader.inputs[0] is features["image"]
    assert features.grid.padded_hw == (96, 128)
    assert features["plain"].shape == (1, 1, 128, 128)
    assert features["picture"].shape == (1, 1, 48, 64)
    assert not features["picture"].flags.writeable


def test_a_head_must_come_after_its_source():
    config = replace(CONFIG, encoders=("tiny_head", "tiny_encoder"))
    with pytest.raises(ModelError, match="expected a model before tiny_head that makes image, got none"):
        Encoder(config, [head(), Recorder()])
    config = replace(CONFIG, encoders=("tiny_encoder", "tiny_head"))
    with pytest.raises(ModelError, match="that makes image, got half, double; name it earlier"):
        Encoder(config, [Recorder(), head()])


def test_output_names_must_differ():
    twin = Recorder(replace(TINY_ENCODER, name="twin"))
    with pytest.raises(ModelError, match="got 'half' from tiny_encoder and twin"):
        Encoder(replace(CONFIG, encoders=("tiny_encoder", "twin")), [Recorder(), twin])


def test_padding_must_fit_the_stride():
    with pytest.raises(ConfigError, match="expected a multiple of 2 for tiny_encoder, got 15"):
        Encoder(replace(CONFIG, multiple=15), [Recorder()])
