"""The launch folder: what it names exists; and, where ROS 2's launch is installed, what it really starts."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
import yaml
from rosgraph import own_domain

from uois_sam_ros.cli import build_parser
from uois_sam_ros.ros.outputs import TYPES
from uois_sam_ros.ros.params import parameter_specs, read_settings

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = ROOT / "launch"
OUTPUTS = {f"/uois_sam/{name}" for name in TYPES}
TOPIC = re.compile(r"(/?[a-z][a-z0-9_]*)(/[a-z][a-z0-9_]*)*")
LOOPBACK = """<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name="lo" multicast="false"/>
</Interfaces><AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>
<MaxAutoParticipantIndex>30</MaxAutoParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers></Discovery></Domain>
</CycloneDDS>"""
#: Stands for an executable that a launch file starts: notes how and when it was called. A recorder goes on until it is
#: interrupted.
STAND_IN = """#!{python}
import json, os, pathlib, signal, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
arguments = sys.argv[1:]
name = ".".join([pathlib.Path(sys.argv[0]).name] + arguments[:2] * (arguments[:1] == ["bag"]))
files = [pathlib.Path(path).read_text() for before, path in zip(arguments, arguments[1:]) if before == "--params-file"]
call = {{"arguments": arguments, "files": files, "began": time.time()}}
if name == "ros2.bag.record":
    assert signal.sigtimedwait([signal.SIGINT], 60)
call["ended"] = time.time()
pathlib.Path({notes!r}, f"{{name}}-{{os.getpid()}}.json").write_text(json.dumps(call))
"""
NODE = """#!{python}
from uois_sam_ros.ros.main import main
main()
"""


def has_launch() -> bool:
    """True where ROS 2's launch is installed; the folder launch/ of this tree is not it."""
    return importlib.util.find_spec("launch_ros") is not None


needs_launch = pytest.mark.skipif(not has_launch(), reason="launch_ros is not installed: no ROS 2 on this machine")


def read_plain(file: str, *names: str) -> SimpleNamespace:
    """Return what a launch file says and computes before it needs ROS 2."""
    nodes = [node for node in ast.parse((LAUNCH / file).read_text()).body
             if getattr(node, "name", "") in names
             or isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in names]
    assert len(nodes) == len(names)
    space: dict = {}
    exec(compile(ast.Module(nodes, []), file, "exec"), space)
    return SimpleNamespace(**{name: space[name] for name in names})


@pytest.fixture(scope="module")
def pure() -> SimpleNamespace:
    return read_plain("uois_sam.launch.py", "CAMERAS", "ARGUMENTS", "camera_topics", "node_parameters")


def arguments_for(pure, **values) -> dict[str, str]:
    known = {name: default for name, default, *_ in pure.ARGUMENTS}
    assert set(values) <= set(known)
    return {**known, **values}


@pytest.mark.parametrize("file", ["uois_sam.launch.py", "replay.launch.py"])
def test_arguments_are_described(pure, file):
    arguments = pure.ARGUMENTS if file == "uois_sam.launch.py" else read_plain(file, "ARGUMENTS").ARGUMENTS
    names = [name for name, *_ in arguments]
    assert len(set(names)) == len(names)
    for name, default, *choices, description in arguments:
        assert len(description) > 5 and not description.endswith("."), name
        assert not choices or choices == [None] or default in choices[0], name
    _, _, documented = (LAUNCH / "README.md").read_text().partition(f"## Arguments of {file}\n")
    rows = re.findall(r"^\| `(\w+)` \|(?: `([^`]*)`)? \| (.+) \|$", documented.partition("\n## ")[0], re.M)
    assert rows == [(name, default or "", description) for name, default, *_, description in arguments]


def test_replay_calls_a_verb_that_exists():
    plain = read_plain("replay.launch.py", "report_arguments")
    given = {"truth_topic": "/truth", "against": "old.json"}
    args = build_parser().parse_args(plain.report_arguments(given, Path("/bag"), Path("/out"), "/arm/uois_sam/label"))
    assert (args.verb, args.input, args.answers_topic) == ("replay", "/bag", "/arm/uois_sam/label")
    assert (args.truth_topic, args.against, args.answers) == ("/truth", Path("old.json"), Path("/out/answers"))


def test_camera_topics_are_well_formed(pure):
    for camera, topics in pure.CAMERAS.items():
        for role, name in topics.items():
            if role not in ("driver", "frame", "prefix"):
                assert TOPIC.fullmatch(name), (camera, role, name)
        assert camera == "custom" or {"prefix", "color", "depth", "camera_info", "frame", "driver"} <= set(topics)
        assert ("raw_depth" in topics) == ("raw_depth_info" in topics)
        assert topics.get("prefix", "") == "" or TOPIC.fullmatch(topics["prefix"])


@pytest.mark.parametrize("camera", ["realsense", "orbbec", "azure_kinect", "zed", "custom"])
@pytest.mark.parametrize("values", [
    {}, {"depth": "off"}, {"depth": "require", "slop": "0.05", "track": "true", "preset": "geometry"},
    {"camera_prefix": "/wrist/d405/", "ignore_topic": "/arm/mask", "autostart": "false"},
])
def test_parameters_are_the_nodes(pure, camera, values):
    args = arguments_for(pure, camera=camera, **values)
    parameters = pure.node_parameters(args, pure.camera_topics(args))
    assert parameters.pop("use_sim_time") is False
    assert set(parameters) <= {spec.name for spec in parameter_specs()}
    settings, config = read_settings(parameters)
    assert settings.autostart is (values.get("autostart") != "false")
    if camera != "custom":
        assert settings.color_topic.startswith("/wrist/d405/" if "camera_prefix" in values else "/")
        assert TOPIC.fullmatch(settings.color_topic) and TOPIC.fullmatch(settings.camera_info_topic)
    if values.get("depth") == "off":
        assert settings.depth_topic == "" and config.encoding.depth == "off"
    if "slop" in values:
        assert (settings.slop_s, settings.track, config.encoding.depth) == (0.05, True, "require")


def test_named_topics_win_over_the_camera(pure):
    args = arguments_for(pure, color_topic="/c", depth_topic="/d/compressedDepth", camera_info_topic="/i")
    topics = pure.camera_topics(args)
    assert (topics["color"], topics["depth"], topics["camera_info"]) == ("/c", "/d/compressedDepth", "/i")
    unaligned = pure.camera_topics({**args, "depth_topic": "", "register_depth": "true"})
    assert unaligned["depth"] == "/camera/camera/depth/image_rect_raw"


def test_rviz_shows_what_the_node_publishes():
    displays = yaml.safe_load((LAUNCH / "uois_sam.rviz").read_text())["Visualization Manager"]["Displays"]
    shown = {display["Name"]: display["Topic"] for display in displays}
    assert {topic["Value"] for topic in shown.values()} == OUTPUTS - {"/uois_sam/detections"}
    assert {topic["Reliability Policy"] for topic in shown.values()} == {"Best Effort"}, "hears every publisher"
    kinds = {"Image": "sensor_msgs/msg/Image", "PointCloud2": "sensor_msgs/msg/PointCloud2",
             "Detection3DArray": "vision_msgs/msg/Detection3DArray"}
    for display in displays:
        kind = kinds[display["Class"].partition("/")[2]]
        assert TYPES[display["Topic"]["Value"].rpartition("/")[2]] == kind


def test_foxglove_shows_what_the_node_publishes():
    layout = json.loads((LAUNCH / "uois_sam.foxglove.json").read_text())
    text = json.dumps(layout["configById"])
    topics = set(re.findall(r'"(/[\w/]+)"', text))
    assert topics <= OUTPUTS | {"/diagnostics"}
    assert {"/uois_sam/overlay", "/uois_sam/cloud", "/uois_sam/label", "/diagnostics"} <= topics

    def panels(place):
        return [place] if isinstance(place, str) else [*panels(place["first"]), *panels(place["second"])]

    assert sorted(panels(layout["layout"])) == sorted(layout["configById"])


def test_dds_settings_start_everywhere():
    text = (LAUNCH / "cyclonedds.xml").read_text()
    space = "{https://cdds.io/config}"
    buffer = ElementTree.fromstring(text).find(f".//{space}SocketReceiveBufferSize")
    assert buffer.get("max") == "16MB"
    assert buffer.get("min") is None, "a minimum keeps processes from starting where rmem_max is smaller"
    pinned = re.sub(r"<!-- Keeps[^\n]*\n(.*?)-->", r"\1", text, flags=re.S)
    assert ElementTree.fromstring(pinned).find(f".//{space}Peer").get("Address") == "127.0.0.1"


def test_manifest_names_the_message_packages():
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    named = {element.text for element in manifest if element.tag.endswith("depend")}
    folders = [ROOT / "uois_sam_ros" / name for name in ("ros", "grasping")]
    sources = [path.read_text() for folder in folders for path in folder.glob("*.py")]
    used = {name for text in sources for name in re.findall(r'"(\w+)/(?:msg|srv)/\w+"', text)}
    assert {"sensor_msgs", "vision_msgs", "diagnostic_msgs", "std_srvs"} <= used <= named
    files = [path.read_text() for path in LAUNCH.glob("*.launch.py")]
    assert {name for text in files for name in re.findall(r'package="(\w+)"', text)} - {"rviz2"} <= named


@pytest.fixture
def launched(tmp_path):
    """Return a function that runs ``ros2 launch`` with stand-ins for the executables and tells how they were called."""
    prefix, notes = tmp_path / "prefix", tmp_path / "notes"
    notes.mkdir()
    for place in ("lib/uois_sam_ros/uois_sam_node", "lib/uois_sam_ros/uois-sam", "lib/rviz2/rviz2", "bin/ros2",
                  "lib/depth_image_proc/register_node"):
        write_script(prefix / place, STAND_IN.format(python=sys.executable, notes=str(notes)))
    for package in ("uois_sam_ros", "depth_image_proc", "rviz2"):
        index = prefix / "share" / "ament_index" / "resource_index" / "packages" / package
        index.parent.mkdir(parents=True, exist_ok=True)
        index.touch()
    environment = {**os.environ, "AMENT_PREFIX_PATH": f"{prefix}:{os.environ.get('AMENT_PREFIX_PATH', '')}",
                   "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT}:{os.environ['PYTHONPATH']}",
                   "CYCLONEDDS_URI": LOOPBACK, "ROS_DOMAIN_ID": str(own_domain()),
                   "ROS_LOG_DIR": str(tmp_path / "log")}

    def run(*arguments: str, file: str = "uois_sam.launch.py",
            real_node: bool = False) -> tuple[dict[str, SimpleNamespace], str]:
        if real_node:
            write_script(prefix / "lib/uois_sam_ros/uois_sam_node", NODE.format(python=sys.executable))
        done = subprocess.run([shutil.which("ros2"), "launch", LAUNCH / file, *arguments], capture_output=True,
                              text=True, check=False, env=environment, timeout=120, stdin=subprocess.DEVNULL)
        calls = {}
        for path in notes.glob("*.json"):
            call = json.loads(path.read_text())
            remaps = dict(argument.split(":=", 1) for argument in call["arguments"] if ":=" in argument)
            parameters = {}
            for text in call["files"]:
                for content in yaml.safe_load(text).values():
                    parameters.update(content["ros__parameters"])
            calls[path.name.rpartition("-")[0]] = SimpleNamespace(**call, remaps=remaps, parameters=parameters)
        return calls, done.stdout + done.stderr

    return run


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@needs_launch
def test_launch_starts_the_node(launched):
    calls, said = launched("camera:=realsense")
    assert set(calls) == {"uois_sam_node"}, said
    node = calls["uois_sam_node"]
    assert node.remaps["__node"] == "uois_sam" and node.remaps.get("__ns", "/") == "/"
    assert node.parameters["color_topic"] == "/camera/camera/color/image_raw"
    assert node.parameters["depth_topic"] == "/camera/camera/aligned_depth_to_color/image_raw"
    assert "align_depth.enable:=true" in said
    assert ["--log-level", "uois_sam:=info"] == node.arguments[
        node.arguments.index("--log-level"):node.arguments.index("--log-level") + 2]
    read_settings({name: value for name, value in node.parameters.items() if name != "use_sim_time"})


@needs_launch
def test_launch_passes_every_argument_on(launched, tmp_path):
    (tmp_path / "mine.yaml").write_text("/**:\n  ros__parameters:\n    slop_s: 0.5\n    max_rate_hz: 5.0\n")
    calls, said = launched("camera:=orbbec", "namespace:=left", "name:=masks", "register_depth:=true", "rviz:=true",
                           "slop:=0.04", "track:=true", "depth:=require", f"params_file:={tmp_path / 'mine.yaml'}",
                           "log_level:=debug", "ignore_topic:=/arm", "use_sim_time:=true")
    assert set(calls) == {"uois_sam_node", "register_node", "rviz2"}, said
    node, register, rviz = calls["uois_sam_node"], calls["register_node"], calls["rviz2"]
    assert node.remaps["__ns"] == "/left" and node.remaps["left.masks"] == "debug"
    wanted = {"slop_s": 0.04, "max_rate_hz": 5.0, "track": True, "encoding.depth": "require", "ignore_topic": "/arm",
              "depth_topic": "/left/masks/registered_depth/image_rect", "use_sim_time": True}
    assert {name: node.parameters[name] for name in wanted} == wanted
    assert register.remaps["depth/image_rect"] == "/camera/depth/image_raw"
    assert register.remaps["depth/camera_info"] == "/camera/depth/camera_info"
    assert register.remaps["rgb/camera_info"] == "/camera/color/camera_info"
    assert register.remaps["depth_registered/image_rect"] == node.parameters["depth_topic"]
    assert register.remaps["depth_registered/camera_info"] == "/left/masks/registered_depth/camera_info"
    assert {rviz.remaps[topic] for topic in OUTPUTS} == {topic.replace("/uois_sam", "/left/masks") for topic in OUTPUTS}
    assert rviz.arguments[:4] == ["-d", str(LAUNCH / "uois_sam.rviz"), "-f", "camera_color_optical_frame"]


@needs_launch
@pytest.mark.parametrize("arguments, sentence", [
    (["camera:=zed", "register_depth:=true"], "set depth_topic, depth_info_topic, or leave register_depth out"),
    (["camera:=webcam"], "'camera' provided value 'webcam' is not valid"),
    (["depth:=maybe"], "'depth' provided value 'maybe' is not valid"),
])
def test_launch_refuses(launched, arguments, sentence):
    calls, said = launched(*arguments)
    assert not calls
    assert sentence in said.replace('"', "'")


@needs_launch
def test_replay_plays_records_and_reports(launched, tmp_path):
    (tmp_path / "run.mcap").touch()
    calls, said = launched(f"bag:={tmp_path / 'run.mcap'}", f"out:={tmp_path / 'out'}", "rate:=0.5", "preset:=geometry",
                           "camera:=custom", "namespace:=arm", "truth_topic:=/truth", file="replay.launch.py",
                           real_node=True)
    assert set(calls) == {"ros2.bag.record", "ros2.bag.play", "uois-sam"}, said
    recorder, player, report = calls["ros2.bag.record"], calls["ros2.bag.play"], calls["uois-sam"]
    assert recorder.began < player.began < player.ended < recorder.ended < report.began
    assert player.arguments[2:5] == [str(tmp_path / "run.mcap"), "--rate", "0.5"]
    assert recorder.arguments[2:4] == ["-o", str(tmp_path / "out" / "answers")]
    wanted = re.compile(recorder.arguments[recorder.arguments.index("--regex") + 1])
    recorded = ["/arm/uois_sam/label", "/arm/uois_sam/objects", "/diagnostics", "/camera/color/camera_info"]
    assert all(wanted.search(topic) for topic in recorded)
    assert not any(wanted.search(topic) for topic in ["/truth/label", "/arm/uois_sam/cloud", "/uois_sam/label"])
    assert report.arguments[:2] == ["replay", str(tmp_path / "run.mcap")]
    answers = str(tmp_path / "out" / "answers")
    assert report.arguments[2:6] == ["--answers", answers, "--answers-topic", "/arm/uois_sam/label"]
    assert "the replay is done" in said


@needs_launch
@pytest.mark.parametrize("make, arguments, sentence", [
    ("run.mcap", ["params_file:={folder}/bad.yaml"], "the node could not be configured"),
    ("run.mcap/answers", ["out:={folder}/run.mcap"], "expected a folder without answers"),
    ("other", [], "expected a recording, got no such file"),
])
def test_replay_gives_up(launched, tmp_path, make, arguments, sentence):
    (tmp_path / make).mkdir(parents=True)
    (tmp_path / "bad.yaml").write_text("/**:\n  ros__parameters:\n    runtime: {model_dir: /nowhere}\n")
    calls, said = launched(f"bag:={tmp_path / 'run.mcap'}", f"out:={tmp_path / 'out'}", "camera:=custom",
                           *(argument.format(folder=tmp_path) for argument in arguments), file="replay.launch.py",
                           real_node=True)
    assert sentence in said
    assert not {"ros2.bag.play", "uois-sam"} & set(calls)
    assert said.count("process started") == said.count("process has finished"), "nothing is left behind"
