"""docs/grasping.md is executed: its Python in one session, its commands, its planner on topics, its tables compared."""

from __future__ import annotations

import re
import shlex
import signal
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from graspmessages import T0, message_of, scene_messages, spin
from graspscenes import tabletop_of
from rosgraph import loopback_env, start_peer

from uois_sam_ros.cli import main
from uois_sam_ros.grasping import consumer
from uois_sam_ros.replay.recording import write_recording
from uois_sam_ros.ros import api

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "grasping.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.S | re.M)
#: What stands in for the planners' own modules; the tests' planners.py does the checking.
STAND_INS = {
    "dataset/graspnet_dataset.py": """
import planners, torch
def minkowski_collate_fn(inputs):
    return {key: torch.from_numpy(value) for key, value in planners.collate_for_sparse_network(inputs).items()}
""",
    "models/graspnet.py": """
import numpy as np, torch
class GraspNet(torch.nn.Module):
    def __init__(self, seed_feat_dim, is_training):
        super().__init__()
        assert not is_training
        self.scale = torch.nn.Parameter(torch.ones(1))
    def forward(self, batch):
        assert batch["coors"].dtype == torch.int32 and batch["point_clouds"].shape[1:] == (15000, 3)
        return batch["point_clouds"] * self.scale
def pred_decode(answer):
    points = answer[0, ::50]
    rows = torch.zeros(len(points), 17)
    rows[:, 0] = torch.linspace(0, 1, len(points))
    rows[:, 1], rows[:, 4], rows[:, 8], rows[:, 12], rows[:, 13:16] = 0.08, 1, 1, 1, points
    return [rows]
""",
    "utils/collision_detector.py": """
import numpy as np
class ModelFreeCollisionDetector:
    def __init__(self, points, voxel_size):
        assert points.dtype == np.float32 and points.shape[1] == 3 and len(points) > 15000
    def detect(self, group, approach_dist, collision_thresh):
        return np.arange(len(group.grasp_group_array)) % 10 == 0
""",
    "graspnetAPI.py": """
class GraspGroup:
    def __init__(self, rows):
        assert rows.shape[1] == 17
        self.grasp_group_array = rows
""",
    "gsnet.py": """
import numpy as np, planners
from graspnetAPI import GraspGroup
def create_detector(settings):
    assert settings.checkpoint_path and 0 < settings.max_gripper_width <= 0.1
    return planners.AnyGraspDetector()
class AnyGrasp:
    def __init__(self, settings):
        self.settings = settings
    def load_net(self):
        pass
    def get_grasp(self, points, colors, lims, apply_object_mask, dense_grasp, collision_detection):
        assert colors.shape == points.shape and colors.dtype == np.float32 and colors.max() <= 1 and len(lims) == 6
        inside = ((points > lims[0::2]) & (points < lims[1::2])).all(axis=1)
        rows = np.zeros((inside.sum(), 17))
        rows[:, 0], rows[:, 13:16] = 1, points[inside]
        return GraspGroup(rows), None
""",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The pictures and recordings that the page names, and stand-ins for the planners' repositories."""
    torch = pytest.importorskip("torch", reason="the page's planner needs torch")
    folder = tmp_path_factory.mktemp("page")
    small, large = (tabletop_of(height=height, width=width)[:2] for height, width in ((480, 640), (720, 1280)))
    cv2.imwrite(str(folder / "color.png"), small[0].color[..., ::-1])
    cv2.imwrite(str(folder / "depth.png"), np.round(small[0].depth_m * 1000).astype(np.uint16))
    write_recording(folder / "recording.mcap", [small], jpeg_quality=90, depth_step_mm=1)
    write_recording(folder / "recording_720p.mcap", [large], jpeg_quality=90, depth_step_mm=1)
    for name, code in STAND_INS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    torch.save({"model_state_dict": {"scale": torch.ones(1)}}, folder / "checkpoint.tar")
    (folder / "my_planner.py").write_text(planner())
    return folder


@pytest.fixture
def desk(folder, monkeypatch):
    """Work in that folder; its modules are forgotten afterwards."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    before = set(sys.modules)
    yield folder
    tops = {name.split("/")[0].removesuffix(".py") for name in STAND_INS} | {"my_planner"}
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in tops:
            del sys.modules[name]


def planner():
    (code,) = [code for kind, code in BLOCKS if kind == "python" and code.startswith("# my_planner.py")]
    return code


def test_kinds_of_blocks():
    assert {kind for kind, _ in BLOCKS} == {"python", "bash"} and len(BLOCKS) == PAGE.count("\n```\n")


def test_every_block_in_its_order(desk, capsys):
    if not (ROOT / "engines" / "manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to run")
    session = {}
    for kind, code in BLOCKS:
        if kind == "bash":
            for line in code.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "uois-sam"
                assert arguments[0] == "grasp-node" or main(arguments) == 0, line
        elif not code.startswith("# my_planner.py"):
            exec(compile(code, "docs/grasping.md", "exec"), session)
    shown = capsys.readouterr().out
    assert "(15000, 3) float32" in shown and re.search(r"^object \d+, width 0\.080 m", shown, re.M)
    assert len(session["objects"]) >= 2 and len(session["close"]) == len(session["objects"])
    assert session["inputs"]["point_clouds"].shape == (15_000, 3)
    assert len(session["grasps"]) > 20 and "no grasp" not in shown
    written = {path.relative_to(desk / "out").as_posix() for path in (desk / "out").rglob("*") if path.is_file()}
    assert {"cgn/recording_000000.npz", "anygrasp/recording/000000/seg_mask.png", "tree/index.json",
            "tree/scenes/scene_0000/realsense/workspace_mask/0000.png",
            "tree/uois_sam_mask/scene_0000/realsense/0000.png",
            "demo/recording_720p/000000/workspace_mask.png"} <= written


def test_the_planner_on_topics(desk, monkeypatch):
    """The page's grasp-node command with the page's planner, over DDS: grasps come with the label's stamp."""
    if api.STANDALONE:
        pytest.importorskip("cyclonedds", reason="no ROS 2 and no cyclonedds here")
    for name, value in loopback_env().items():
        monkeypatch.setenv(name, value)
    (command,) = [line for kind, code in BLOCKS if kind == "bash" for line in code.splitlines() if "grasp-node" in line]
    node = start_peer("import sys; from uois_sam_ros.cli import main; sys.exit(main(sys.argv[1:]))",
                      *shlex.split(command)[1:], env={})
    api.init(args=[])
    camera, came, answers = api.Node("camera"), threading.Event(), []
    qos = api.QoSProfile(depth=5, reliability=api.ReliabilityPolicy.RELIABLE, history=api.HistoryPolicy.KEEP_LAST,
                         durability=api.DurabilityPolicy.VOLATILE)
    _, depth, info, label = scene_messages()
    sends = [(camera.create_publisher(api.message(made.__msgtype__), topic, qos), message_of(made)) for topic, made in (
        ("/camera/color/camera_info", info), ("/camera/aligned_depth_to_color/image_raw", depth),
        ("/uois_sam/label", label))]
    camera.create_subscription(api.message("geometry_msgs/msg/PoseArray"), f"/{consumer.NODE_NAME}/grasps",
                               lambda message: (answers.append(message), came.set()), qos)
    executor = api.MultiThreadedExecutor(num_threads=2)
    executor.add_node(camera)
    spinning = threading.Thread(target=spin, args=(executor,), daemon=True)
    spinning.start()
    for _ in range(200):  # topics are not all discovered at one moment: send until grasps come
        for publisher, message in sends:
            publisher.publish(message)
        if came.wait(0.2):
            break
    node.send_signal(signal.SIGINT)
    _, log = node.communicate(timeout=30)
    executor.shutdown()
    camera.destroy_node()
    api.try_shutdown()
    spinning.join(20)
    assert came.is_set() and node.returncode == 0, log
    assert (answers[0].header.stamp.sec, answers[0].header.frame_id) == (T0 // 10**9, "camera")
    assert len(answers[0].poses) > 50 and answers[0].poses[0].orientation.w == pytest.approx(1)


def test_parameters_in_the_table_are_the_nodes():
    rows = re.findall(r"^\| `(\w+)` \| (\S*) ?\|", PAGE, re.M)
    shown = {name: value for name, value in rows if name in consumer.PARAMETERS}
    assert shown == {name: str(default).lower() if isinstance(default, bool) else str(default)
                     for name, (default, _) in consumer.PARAMETERS.items()}


def test_formats_are_those_of_the_command():
    named = set(re.findall(r"uois-sam grasp ([\w-]+)", PAGE))
    assert named == {"graspness", "graspnet", "graspnet-demo", "anygrasp", "contact-graspnet"}
