"""Start the node for one camera: ``ros2 launch uois_sam_ros uois_sam.launch.py camera:=realsense rviz:=true``.

``--show-args`` lists every argument. An argument that is left empty leaves the matter to ``params_file``,
and then to the node's own default.
"""

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch_ros.actions import LifecycleNode, Node

HERE = Path(__file__).resolve().parent
PACKAGE = "uois_sam_ros"
#: What each driver publishes with its own defaults, below ``prefix``; ``raw_depth`` is not aligned to colour.
CAMERAS = {
    "realsense": {  # realsense2_camera 4.55 and newer
        "prefix": "/camera/camera", "color": "color/image_raw", "camera_info": "color/camera_info",
        "depth": "aligned_depth_to_color/image_raw",
        "raw_depth": "depth/image_rect_raw", "raw_depth_info": "depth/camera_info",
        "frame": "camera_color_optical_frame", "driver": "start the driver with align_depth.enable:=true",
    },
    "orbbec": {  # orbbec_camera, v1 and v2
        "prefix": "/camera", "color": "color/image_raw", "camera_info": "color/camera_info",
        "depth": "depth/image_raw", "raw_depth": "depth/image_raw", "raw_depth_info": "depth/camera_info",
        "frame": "camera_color_optical_frame", "driver": "start the driver with depth_registration:=true",
    },
    "azure_kinect": {  # azure_kinect_ros_driver, branch humble
        "prefix": "", "color": "rgb/image_raw", "camera_info": "rgb/camera_info",
        "depth": "depth_to_rgb/image_raw", "raw_depth": "depth/image_raw", "raw_depth_info": "depth/camera_info",
        "frame": "rgb_camera_link", "driver": "the driver aligns depth by itself",
    },
    "zed": {  # zed_wrapper 5.1 and newer; before that colour was rgb/image_rect_color
        "prefix": "/zed/zed_node", "color": "rgb/color/rect/image",
        "camera_info": "rgb/color/rect/camera_info", "depth": "depth/depth_registered",
        "frame": "zed_left_camera_frame_optical", "driver": "the driver aligns depth by itself",
    },
    "custom": {},  # the topics come from color_topic, depth_topic, camera_info_topic, or from params_file
}
ARGUMENTS = [
    # name, default, choices, description
    ("camera", "realsense", list(CAMERAS),
     "whose topic names to use; custom: name the topics below or in params_file"),
    ("camera_prefix", "", None, "what the driver's topics begin with, for example /wrist/d405; empty = its default"),
    ("color_topic", "", None, "colour images, raw or .../compressed; empty = as camera says"),
    ("depth_topic", "", None, "depth images, raw or .../compressedDepth; empty = as camera says"),
    ("camera_info_topic", "", None, "CameraInfo of the colour camera; empty = as camera says"),
    ("ignore_topic", "", None, "mono8 mask of what is never an object, such as the robot's own arm; empty = none"),
    ("register_depth", "false", ["true", "false"],
     "align depth here, with depth_image_proc; depth_topic then is the driver's unaligned depth"),
    ("depth_info_topic", "", None, "CameraInfo of unaligned depth, for register_depth; empty = as camera says"),
    ("namespace", "", None, "namespace of the node; one for each camera"),
    ("name", "uois_sam", None, "name of the node; its topics are NAMESPACE/NAME/label and so on"),
    ("params_file", "", None, "YAML file with parameters; see params.yaml beside this file"),
    ("preset", "", None, "configuration to start from: compact, geometry, ...; empty = compact"),
    ("depth", "", ["", "auto", "require", "off"],
     "auto: use depth when it is there; require: wait for it; off: colour only"),
    ("slop", "", None, "seconds; colour and depth further apart than this are no pair"),
    ("track", "", ["", "true", "false"], "keep the ids of objects from frame to frame"),
    ("autostart", "true", ["true", "false"],
     "configure and activate at start; false leaves that to a lifecycle manager"),
    ("use_sim_time", "false", ["true", "false"], "take the time from /clock, for recordings and simulators"),
    ("rviz", "false", ["true", "false"], "open RViz on the results"),
    ("rviz_frame", "", None, "fixed frame of RViz; empty = colour frame of the camera"),
    ("log_level", "info", ["debug", "info", "warn", "error"], "of the node"),
]


def generate_launch_description():
    """Declare the arguments; what they lead to is decided when their values are known."""
    declared = [DeclareLaunchArgument(name, default_value=default, choices=choices, description=description)
                for name, default, choices, description in ARGUMENTS]
    return LaunchDescription([*declared, OpaqueFunction(function=start)])


def start(context):
    """Return the actions for the values of the arguments.

    Raises:
        ValueError: arguments that do not go together.
    """
    args = {name: context.launch_configurations[name] for name, *_ in ARGUMENTS}
    node = "/".join(["", *(part for part in (args["namespace"].strip("/"), args["name"]) if part)])
    topics = camera_topics(args)
    actions = []
    if args["register_depth"] == "true" and args["depth"] != "off":
        registered = f"{node}/registered_depth/image_rect"
        actions.append(register_depth(args, topics, registered))
        topics["depth"] = registered
    elif "driver" in topics and args["depth"] != "off":
        actions.append(LogInfo(msg=f"camera:={args['camera']}: {topics['driver']}"))
    parameters = [args["params_file"]] if args["params_file"] else []
    actions.append(LifecycleNode(
        package=PACKAGE, executable="uois_sam_node", name=args["name"], namespace=args["namespace"], output="screen",
        parameters=[*parameters, node_parameters(args, topics)],
        ros_arguments=["--log-level", f"{node[1:].replace('/', '.')}:={args['log_level']}"]))
    if args["rviz"] == "true":
        outputs = ("label", "detections", "objects", "cloud", "overlay", "heatmap")
        actions.append(Node(
            package="rviz2", executable="rviz2", name="rviz", namespace=args["namespace"], output="log",
            arguments=["-d", str(HERE / "uois_sam.rviz"),
                       *(["-f", topics["frame"]] if topics.get("frame") else [])],
            remappings=[(f"/uois_sam/{output}", f"{node}/{output}") for output in outputs],
            parameters=[{"use_sim_time": args["use_sim_time"] == "true"}]))
    return actions


def camera_topics(args):
    """Return the topics of the camera by role, with what the arguments name put in."""
    camera = CAMERAS[args["camera"]]
    prefix = (args["camera_prefix"] or camera.get("prefix", "")).rstrip("/")
    topics = {role: value if role in ("frame", "driver") else f"{prefix}/{value}"
              for role, value in camera.items() if role != "prefix"}
    if args["register_depth"] == "true":
        topics["depth"] = topics.get("raw_depth", "")
    named = {"color": args["color_topic"], "depth": args["depth_topic"], "camera_info": args["camera_info_topic"],
             "raw_depth_info": args["depth_info_topic"], "frame": args["rviz_frame"]}
    return {**topics, **{role: value for role, value in named.items() if value}}


def register_depth(args, topics, registered):
    """Return the node that publishes depth as the colour camera sees it."""
    missing = [role for role, name in (("depth_topic", "depth"), ("depth_info_topic", "raw_depth_info"),
                                       ("camera_info_topic", "camera_info")) if not topics.get(name)]
    if missing:
        raise ValueError(f"register_depth: expected the topics of unaligned depth, got none with "
                         f"camera:={args['camera']}; set {', '.join(missing)}, or leave register_depth out "
                         "when depth is aligned already")
    return Node(
        package="depth_image_proc", executable="register_node", name=f"{args['name']}_register_depth",
        namespace=args["namespace"], output="screen",
        parameters=[{"use_sim_time": args["use_sim_time"] == "true"}],
        remappings=[("depth/image_rect", topics["depth"]), ("depth/camera_info", topics["raw_depth_info"]),
                    ("rgb/camera_info", topics["camera_info"]), ("depth_registered/image_rect", registered),
                    ("depth_registered/camera_info", registered.replace("image_rect", "camera_info"))])


def node_parameters(args, topics):
    """Return the parameters that the arguments decide; what they leave empty is not among them."""
    values = {"color_topic": topics.get("color", ""), "depth_topic": topics.get("depth", ""),
              "camera_info_topic": topics.get("camera_info", ""), "ignore_topic": args["ignore_topic"],
              "preset": args["preset"], "encoding.depth": args["depth"]}
    values = {name: value for name, value in values.items() if value}
    if args["slop"]:
        values["slop_s"] = float(args["slop"])
    if args["track"]:
        values["track"] = args["track"] == "true"
    if args["depth"] == "off":
        values["depth_topic"] = ""
    return {**values, "autostart": args["autostart"] == "true", "use_sim_time": args["use_sim_time"] == "true"}
