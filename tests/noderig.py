"""A camera, a consumer and an operator around the real node, which runs in a process of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np

from uois_sam_ros.example import box_scene
from uois_sam_ros.ros import api
from uois_sam_ros.ros.qos import profile

NUMBERS = itertools.count()
SCENE, TRUTH = box_scene(320, 240, boxes=6)
OUTPUTS = {"label": "sensor_msgs/msg/Image", "detections": "vision_msgs/msg/Detection2DArray",
           "objects": "vision_msgs/msg/Detection3DArray", "cloud": "sensor_msgs/msg/PointCloud2",
           "overlay": "sensor_msgs/msg/Image", "heatmap": "sensor_msgs/msg/Image"}


def image(encoding, pixels, stamp_ns, frame_id="camera"):
    """Return an Image message of an array."""
    message = api.message("sensor_msgs/msg/Image")()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
    message.header.frame_id = frame_id
    message.height, message.width = pixels.shape[:2]
    message.encoding, message.step = encoding, pixels[0].nbytes
    message.data = pixels.tobytes()
    return message


def stamp_ns(message):
    """Return the header stamp in nanoseconds."""
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


class Rig:
    """Publishes like a camera driver, subscribes like a grasp planner, calls like an operator.

    Args:
        env: of the graph, from ``rosgraph.loopback_env``; must be in ``os.environ`` already.
        outputs: topics of the node to subscribe to.
        parameters: of the node.
    """

    def __init__(self, env, outputs=("label", "detections"), arguments=(), **parameters):
        self.ns = f"/rig{next(NUMBERS)}"  # several nodes may be in the graph
        settings = {"preset": "geometry", "color_topic": "cam/color", "depth_topic": "cam/depth",
                    "camera_info_topic": "cam/info", "runtime.threads": 1, **parameters}
        given = [part for name, value in settings.items() for part in ("-p", f"{name.replace('__', '.')}:={value}")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uois_sam_ros.cli", "node", "--ros-args", "-r", f"__ns:={self.ns}", *given,
             *arguments],
            env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.log: list[str] = []
        threading.Thread(target=lambda: self.log.extend(self.process.stdout), daemon=True).start()
        self.news = threading.Condition()
        self.got = {name: [] for name in (*outputs, "diagnostics")}
        self.node = api.Node("rig", namespace=self.ns)
        image_type = api.message("sensor_msgs/msg/Image")
        self.color = self.node.create_publisher(image_type, "cam/color", profile("reliable"))
        self.depth = self.node.create_publisher(image_type, "cam/depth", profile("reliable"))
        self.info = self.node.create_publisher(api.message("sensor_msgs/msg/CameraInfo"), "cam/info", profile("latched"))
        for name in outputs:
            self._listen(name, OUTPUTS[name], f"uois_sam/{name}")
        self._listen("diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "/diagnostics")
        self.executor = api.MultiThreadedExecutor(num_threads=2)
        self.executor.add_node(self.node)
        self.spinner = threading.Thread(target=self._spin, daemon=True)
        self.spinner.start()

    def _listen(self, name, kind, topic):
        def take(message):
            if name == "diagnostics" and not message.status[0].name.startswith(f"{self.ns}/"):
                return
            with self.news:
                self.got[name].append(message)
                self.news.notify_all()

        self.node.create_subscription(api.message(kind), topic, take, profile("reliable" if name != "label"
                                      and name not in ("cloud", "overlay", "heatmap") else "sensor_data"))

    def _spin(self):
        with contextlib.suppress(api.ExternalShutdownException):
            self.executor.spin()

    def close(self):
        """End the node and this process's part of the graph; return the node's exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.executor.shutdown()
        self.node.destroy_node()
        return code

    def wait(self, condition, what, seconds=60.0):
        """Wait for a condition on what was received."""
        end = time.monotonic() + seconds
        with self.news:
            while not condition():
                left = end - time.monotonic()
                assert left > 0, f"no {what} within {seconds:g} s; node: {self.values()} {''.join(self.log)[-3000:]}"
                self.news.wait(min(left, 0.1))

    def wait_active(self):
        """Wait until the node is active and this camera is connected to it."""
        self.wait(lambda: self.values().get("state") == "active" and self.color.get_subscription_count() > 0
                  and self.depth.get_subscription_count() > 0, "active node")
        self.send_info()

    def values(self):
        """Return the newest diagnostics as a dictionary."""
        return {pair.key: pair.value for pair in self.got["diagnostics"][-1].status[0].values} if \
            self.got["diagnostics"] else {}

    def counts(self):
        """Return the frame counts of the newest diagnostics."""
        return {key[7:]: int(value) for key, value in self.values().items() if key.startswith("frames_")}

    def send_info(self, scene=SCENE, k=None):
        """Publish (latched) the camera info of a scene."""
        camera = scene.intrinsics
        message = api.message("sensor_msgs/msg/CameraInfo")(height=scene.height, width=scene.width)
        message.k = k or [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
        message.header.frame_id = "camera"
        self.info.publish(message)

    def send(self, scene=SCENE, *, color=None, depth=True, skew_ns=0, stamp=None):
        """Publish a pair of the scene now; return its stamp."""
        stamp = time.time_ns() if stamp is None else stamp
        if depth:
            units = np.round(np.nan_to_num(scene.depth_m) * 1000).astype(np.uint16)
            self.depth.publish(image("16UC1", units, stamp + skew_ns))
        self.color.publish(image("rgb8", scene.color, stamp) if color is None else color(stamp))
        return stamp

    def send_until(self, condition, what, seconds=60.0, **options):
        """Publish pairs at 20 Hz until a condition holds; return the stamps."""
        stamps, end = [], time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, \
                f"no {what} within {seconds:g} s; node: {self.values()} {''.join(self.log)[-3000:]}"
            stamps.append(self.send(**options))
            with self.news:
                self.news.wait(0.05)
        return stamps

    def call(self, kind, name, request=None, seconds=60.0):
        """Call a service and return its response."""
        client = self.node.create_client(api.service(kind), name)
        try:
            assert client.wait_for_service(timeout_sec=seconds), f"no service {name}"
            done = threading.Event()
            future = client.call_async(request or api.service(kind).Request())
            future.add_done_callback(lambda _: done.set())
            assert done.wait(seconds), f"no answer from {name}"
            return future.result()
        finally:
            self.node.destroy_client(client)

    def trigger(self, name):
        """Call a std_srvs/Trigger service of the node."""
        return self.call("std_srvs/srv/Trigger", f"uois_sam/{name}")

    def transition(self, name):
        """Ask for a lifecycle transition by its id; return whether it succeeded."""
        ids = {"configure": 1, "cleanup": 2, "activate": 3, "deactivate": 4}
        request = api.service("lifecycle_msgs/srv/ChangeState").Request()
        request.transition.id = ids[name]
        return self.call("lifecycle_msgs/srv/ChangeState", "uois_sam/change_state", request).success

    def state(self):
        """Return the label of the node's lifecycle state."""
        return self.call("lifecycle_msgs/srv/GetState", "uois_sam/get_state").current_state.label

    def set_parameter(self, name, value):
        """Set one parameter; return (successful, reason)."""
        request = api.service("rcl_interfaces/srv/SetParameters").Request()
        request.parameters = [api.Parameter(name, value=value).to_parameter_msg()]
        result = self.call("rcl_interfaces/srv/SetParameters", "uois_sam/set_parameters", request).results[0]
        return result.successful, result.reason
