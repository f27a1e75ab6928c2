"""Play a recording to the node, record its answers, report: ``ros2 launch uois_sam_ros replay.launch.py bag:=DIR``.

Takes every argument of ``uois_sam.launch.py``, too: they name the recording's topics and set the node up. The
player starts when the node is active; after its end the answers are scored and everything stops.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument, EmitEvent, ExecuteProcess, IncludeLaunchDescription, LogInfo, OpaqueFunction,
    RegisterEventHandler, TimerAction)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown, matches_action
from launch.events.process import ShutdownProcess
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.event_handlers import OnStateTransition
from launch_ros.substitutions import ExecutableInPackage

HERE = Path(__file__).resolve().parent
#: Seconds for player, node and recorder to find each other, and for the node to answer the last pair.
DISCOVERY_S, DRAIN_S = 1.0, 2.0
ARGUMENTS = [
    # name, default, description
    ("bag", None, "the recording: a rosbag2 folder or file"),
    ("out", "replay", "new folder for answers/ (a recording), report.json and report.html"),
    ("rate", "1.0", "recorded seconds per second"),
    ("truth_topic", "", "label images to score against; empty = found by name in the recording"),
    ("against", "", "report.json of an earlier replay, to compare with frame by frame"),
]


def generate_launch_description():
    """Declare the arguments; what they lead to is decided when their values are known."""
    declared = [DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS]
    node = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(HERE / "uois_sam.launch.py")))
    return LaunchDescription([*declared, OpaqueFunction(function=check), node, OpaqueFunction(function=replay)])


def check(context):
    """Refuse before anything is started.

    Raises:
        FileNotFoundError, FileExistsError: no such recording; a result is in ``out`` already.
    """
    bag, out = (Path(context.launch_configurations[name]).expanduser() for name in ("bag", "out"))
    if not bag.exists():
        raise FileNotFoundError(f"bag: expected a recording, got no such file or folder: {bag}")
    if (out / "answers").exists():
        raise FileExistsError(f"out: expected a folder without answers, got {out}; name another one with out:=")
    out.mkdir(parents=True, exist_ok=True)


def replay(context):
    """Return player, recorder and report, each bound to the event that it waits for."""
    args = {name: context.launch_configurations[name] for name, *_ in ARGUMENTS}
    bag, out = Path(args["bag"]).expanduser().resolve(), Path(args["out"]).expanduser().resolve()
    names = (context.launch_configurations[name].strip("/") for name in ("namespace", "name"))
    node = "/".join(["", *(name for name in names if name)])
    recorder = ExecuteProcess(cmd=["ros2", "bag", "record", "-o", str(out / "answers"), "--regex",
                                   f"^({node}/(label|detections|objects)|/diagnostics|/.*camera_info)$"],
                              output="screen")
    player = ExecuteProcess(cmd=["ros2", "bag", "play", str(bag), "--rate", args["rate"], "--clock",
                                 "--disable-keyboard-controls"], output="screen")
    report = ExecuteProcess(cmd=[ExecutableInPackage("uois-sam", "uois_sam_ros"),
                                 *report_arguments(args, bag, out, f"{node}/label")], output="screen")
    stop_recorder = EmitEvent(event=ShutdownProcess(process_matcher=matches_action(recorder)))
    return [
        recorder,
        RegisterEventHandler(OnStateTransition(goal_state="active", handle_once=True, entities=[
            TimerAction(period=DISCOVERY_S, actions=[player])])),
        RegisterEventHandler(OnStateTransition(start_state="configuring", goal_state="unconfigured",
                                               entities=stop("the node could not be configured"))),
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[
            TimerAction(period=DRAIN_S, actions=[stop_recorder])])),
        RegisterEventHandler(OnProcessExit(target_action=recorder, on_exit=[report])),
        RegisterEventHandler(OnProcessExit(target_action=report, on_exit=stop(f"the replay is done, see {out}"))),
    ]


def stop(why):
    """Return the actions that say why and end everything."""
    return [LogInfo(msg=why), EmitEvent(event=Shutdown(reason=why))]


def report_arguments(args, bag, out, label_topic):
    """Return what ``uois-sam`` is called with."""
    truth = ["--truth-topic", args["truth_topic"]] if args["truth_topic"] else []
    against = ["--against", args["against"]] if args["against"] else []
    return ["replay", str(bag), "--answers", str(out / "answers"), "--answers-topic", label_topic, *truth, *against,
            "--json", str(out / "report.json"), "--html", str(out / "report.html")]
