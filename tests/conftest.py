"""Shared fixtures: a small tabletop frame, and tiny ONNX networks in a verified model folder."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from uois_sam_ros.models.spec import ModelSpec, TensorSpec
from uois_sam_ros.runtime.manifest import write_entry
from uois_sam_ros.types import Frame, Intrinsics

TINY_ENCODER = ModelSpec(
    name="tiny_encoder", kind="encoder", input_kind="rgbd", stride=2,
    inputs=(TensorSpec("image", (1, 13, "h", "w")),),
    outputs=(TensorSpec("half", (1, 13, "h/2", "w/2")), TensorSpec("double", (1, 13, "h", "w"))),
)

#: Files that take longest, those first: what begins late would keep one process busy after the others have ended.
LONGEST = ("test_adapting_docs.py", "test_training.py", "test_training_heads.py", "test_paper_chain.py",
           "test_export.py", "test_training_adapt.py", "test_device_encoding.py", "test_sam_cut.py", "test_models.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest files begin; the order of all others stays."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture
def frame() -> Frame:
    """A grey 64x48 frame: a table at 0.8 m with one box 5 cm above it."""
    color = np.full((48, 64, 3), 120, dtype=np.uint8)
    color[16:32, 24:40] = (200, 40, 40)
    depth = np.full((48, 64), 0.8, dtype=np.float32)
    depth[16:32, 24:40] = 0.75
    return Frame(color, depth, Intrinsics(60.0, 60.0, 31.5, 23.5), name="small")


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A folder with ``tiny_encoder.onnx`` (half = mean pool, double = 2 x image) and its manifest."""
    folder = tmp_path / "models"
    folder.mkdir()
    save_tiny_encoder(folder / "tiny_encoder.onnx")
    write_entry(folder, "tiny_encoder", "tiny_encoder.onnx", preset="tiny", parameters=1)
    return folder


def save_tiny_encoder(path: Path, *, output: str = "half") -> None:
    """Write the ONNX file of ``TINY_ENCODER``; ``output`` renames its first output."""
    onnx = pytest.importorskip("onnx")
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("AveragePool", ["image"], [output], kernel_shape=[2, 2], strides=[2, 2]),
         helper.make_node("Mul", ["image", "two"], ["double"])],
        "tiny",
        [helper.make_tensor_value_info("image", real, [1, 13, "h", "w"])],
        [helper.make_tensor_value_info(output, real, [1, 13, "h2", "w2"]),
         helper.make_tensor_value_info("double", real, [1, 13, "h", "w"])],
        [helper.make_tensor("two", real, [1], [2.0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory) -> Path:
    """Every training stage through the command line, on block scenes; a few steps each. Shared: do not write there.

    The folder holds data/, run/ (checkpoints, curves) and engines/ (ONNX, manifest). Workers of pytest-xdist share it,
    too: the first one trains, the others wait.
    """
    pytest.importorskip("torch", reason="training needs the train extra")
    pytest.importorskip("onnxscript", reason="export needs the train extra")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root, done = shared / "trained", shared / "trained.done"
    with open(shared / "trained.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(root, ignore_errors=True)  # what a worker left that did not come to the end
            train_all_stages(root)
            done.touch()
    return root


def train_all_stages(root: Path) -> None:
    """Fill the folder of ``trained_run``."""
    from blockscenes import write_block_shards

    from uois_sam_ros.cli import main

    root.mkdir()
    write_block_shards(root / "data")
    data, run = ["--data", str(root / "data")], ["--out", str(root / "run")]
    base = ["train", "base", *data, *run, "--size", "96x128", "--batch", "4", "--workers", "0"]
    assert main([*base, "--samples", "40"]) == 0
    assert main([*base, "--samples", "60"]) == 0  # resumes
    assert main(["train", "iou", *data, *run, "--views", "12", "--epochs", "3"]) == 0
    assert main(["train", "hdnet", *run, "--epochs", "3"]) == 0
    assert main(["train", "export", *run, "--engines", str(root / "engines")]) == 0
