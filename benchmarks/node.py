"""Measure the node over real DDS between processes on loopback.

    python benchmarks/node.py overhead   640x480 at 30 Hz, label and detections subscribed
    python benchmarks/node.py overload   the same input, segmentation that takes 150 ms
    python benchmarks/node.py soak       10,000 frames at full speed: memory, threads, file handles

A source process sends generated pairs, the node runs in a second process, this one subscribes. Every
label is checked against the stamps that were sent; the node's counts must add up. Writes JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from uois_sam_ros import machine
from uois_sam_ros.example import box_scene
from uois_sam_ros.ros import api
from uois_sam_ros.ros.qos import profile

LOOPBACK = """<CycloneDDS><Domain Id="any"><General><Interfaces><NetworkInterface name="lo" multicast="false"/>
</Interfaces><AllowMulticast>false</AllowMulticast></General><Discovery><ParticipantIndex>auto</ParticipantIndex>
<MaxAutoParticipantIndex>30</MaxAutoParticipantIndex><Peers><Peer Address="127.0.0.1"/></Peers></Discovery>
<Internal><SocketReceiveBufferSize max="4MB"/></Internal></Domain></CycloneDDS>"""
TOPICS = {"color": "/bench/color", "depth": "/bench/depth", "info": "/bench/info"}


def main() -> int:
    """Run a measurement, or one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("overhead", "overload", "soak"))
    parser.add_argument("--seconds", type=float, default=30.0, help="of overhead and overload (default 30)")
    parser.add_argument("--frames", type=int, default=10000, help="of soak (default 10000)")
    parser.add_argument("--preset", default="compact", help="of overhead (default compact)")
    parser.add_argument("--compute-ms", type=float, default=150.0, help="of overload (default 150)")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    parser.add_argument("--role", choices=("node", "source"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.role:
        return {"node": run_node, "source": run_source}[args.role](args)
    os.environ["CYCLONEDDS_URI"] = LOOPBACK
    os.environ["ROS_DOMAIN_ID"] = str(random.randrange(1, 100))
    report = measure(args)
    report.update(what=args.what, command="python benchmarks/node.py " + " ".join(sys.argv[1:]), **machine.describe())
    print(json.dumps(report, indent=1))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0


def measure(args: argparse.Namespace) -> dict:
    """Start both processes, listen, and sum up."""
    api.init()
    node = api.Node("listener")
    listener = Listener(node)
    executor = api.MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    threading.Thread(target=spin, args=(executor,), daemon=True).start()
    same = [sys.executable, __file__, *sys.argv[1:]]
    segmenter = subprocess.Popen([*same, "--role", "node"])
    try:
        wait_for(lambda: listener.state() == "active", 60, "an active node")
        with tempfile.TemporaryFile("w+") as told:
            source = subprocess.Popen([*same, "--role", "source"], stdout=told)
            memory = watch_process(segmenter.pid, source, listener)
            told.seek(0)
            sent = json.load(told)
        wait_for(lambda: listener.is_settled(sent["colors"]), 20, "counts that add up")
    finally:
        segmenter.send_signal(signal.SIGINT)
        segmenter.wait(20)
        executor.shutdown()
        node.destroy_node()
        api.try_shutdown()
    return {**listener.report(set(sent["stamps"])), "sent": sent["colors"], "memory": memory}


def spin(executor) -> None:
    """Serve callbacks until the end."""
    with contextlib.suppress(api.ExternalShutdownException):
        executor.spin()


class Listener:
    """Subscribes to what a robot would: label, detections and diagnostics."""

    def __init__(self, node) -> None:
        self.labels, self.latency_ms, self.detections, self.values = [], [], 0, {}
        node.create_subscription(api.message("sensor_msgs/msg/Image"), "/uois_sam/label", self._on_label,
                                 profile("sensor_data"))
        node.create_subscription(api.message("vision_msgs/msg/Detection2DArray"), "/uois_sam/detections",
                                 self._on_detections, profile("reliable"))
        node.create_subscription(api.message("diagnostic_msgs/msg/DiagnosticArray"), "/diagnostics",
                                 self._on_diagnostics, profile("reliable"))

    def _on_label(self, message) -> None:
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        self.labels.append(stamp)
        self.latency_ms.append((time.time_ns() - stamp) / 1e6)

    def _on_detections(self, message) -> None:
        self.detections += 1

    def _on_diagnostics(self, message) -> None:
        if message.status[0].name.startswith("/uois_sam:"):
            self.values = {pair.key: pair.value for pair in message.status[0].values}

    def state(self) -> str:
        return self.values.get("state", "")

    def counts(self) -> dict[str, int]:
        return {key[7:]: int(value) for key, value in self.values.items() if key.startswith("frames_")}

    def is_settled(self, sent: int) -> bool:
        counts = self.counts()
        return counts["waiting"] <= 8 and counts["processed"] >= len(self.labels)

    def report(self, stamps: set[int]) -> dict:
        counts = self.counts()
        outcomes = sum(counts[name] for name in ("processed", "replaced", "unpaired", "refused", "waiting"))
        node_ms = {key: float(value) for key, value in self.values.items() if key.endswith(("_ms_p50", "_ms_p99", "_ms_max"))}
        return {"labels": len(self.labels), "detections": self.detections,
                "labels_with_a_sent_stamp": sum(stamp in stamps for stamp in self.labels),
                "counts": counts, "counts_add_up": outcomes == counts["received"],
                "sent_to_received_ms": percentiles(self.latency_ms), "node": node_ms,
                "degraded": self.values.get("degraded"), "rate_hz": self.values.get("rate_hz")}


def run_node(args: argparse.Namespace) -> int:
    """The node, one inference thread; for overload and soak with a stand-in of known cost for the networks."""
    from uois_sam_ros.ros.node import SegmentNode

    preset = args.preset if args.what == "overhead" else "geometry"
    api.init()
    overrides = {"color_topic": TOPICS["color"], "depth_topic": TOPICS["depth"], "camera_info_topic": TOPICS["info"],
                 "preset": preset, "runtime.threads": 1}
    node = SegmentNode(parameter_overrides=[api.Parameter(name, value=value) for name, value in overrides.items()])
    if args.what != "overhead":
        replace_segmentation(node, args.compute_ms / 1000 if args.what == "overload" else 0.0)
    executor = api.MultiThreadedExecutor(num_threads=2)
    executor.add_node(node)
    node.start()
    try:
        executor.spin()
    except (KeyboardInterrupt, api.ExternalShutdownException):
        pass
    finally:
        executor.shutdown()
        node.destroy_node()
        api.try_shutdown()
    return 0


def replace_segmentation(node, seconds: float) -> None:
    """Have the node's pipeline answer with one known result after a known time."""
    from uois_sam_ros.pipeline import Segmenter

    frame, _ = box_scene()
    known = Segmenter.from_preset("geometry").stages(frame)

    def stages(self, frame):
        time.sleep(seconds)
        return known

    Segmenter.stages = stages


def run_source(args: argparse.Namespace) -> int:
    """Send pairs at 30 Hz (soak: as fast as the node takes them) and print what was sent."""
    api.init()
    node = api.Node("source")
    frame, _ = box_scene()
    kinds = {"color": "sensor_msgs/msg/Image", "depth": "sensor_msgs/msg/Image", "info": "sensor_msgs/msg/CameraInfo"}
    publishers = {name: node.create_publisher(api.message(kind), TOPICS[name], profile("reliable"))
                  for name, kind in kinds.items()}
    messages = build_messages(frame)
    wait_for(lambda: all(p.get_subscription_count() for p in publishers.values()), 20, "subscribers")
    stamps, period = [], 1 / 30 if args.what != "soak" else 1 / 120
    number = args.frames if args.what == "soak" else round(args.seconds * 30)
    start = time.monotonic()
    for k in range(number):
        time.sleep(max(0.0, start + k * period - time.monotonic()))
        stamp = time.time_ns()
        for name, message in messages.items():
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            publishers[name].publish(message)
        stamps.append(stamp)
    time.sleep(1.5)
    print(json.dumps({"colors": number, "stamps": stamps}))
    node.destroy_node()
    api.try_shutdown()
    return 0


def build_messages(frame) -> dict:
    """Return colour, depth and camera info messages of a frame."""
    from array import array

    image = api.message("sensor_msgs/msg/Image")
    depth = np.round(np.nan_to_num(frame.depth_m) * 1000).astype(np.uint16)
    messages = {}
    for name, encoding, pixels in (("color", "rgb8", frame.color), ("depth", "16UC1", depth)):
        message = image(height=frame.height, width=frame.width, encoding=encoding, step=pixels[0].nbytes)
        message.data = array("B", pixels.tobytes())
        messages[name] = message
    k = frame.intrinsics
    messages["info"] = api.message("sensor_msgs/msg/CameraInfo")(
        height=frame.height, width=frame.width, k=[k.fx, 0.0, k.cx, 0.0, k.fy, k.cy, 0.0, 0.0, 1.0])
    for message in messages.values():
        message.header.frame_id = "camera"
    return messages


def watch_process(pid: int, until: subprocess.Popen, listener: Listener) -> list[dict]:
    """Sample memory, threads and file handles of the node every second until the source ends."""
    rows = []
    while until.poll() is None:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        rows.append({"processed": listener.counts().get("processed", 0),
                     "rss_mb": round(int(status["VmRSS"].split()[0]) / 1024, 2), "threads": int(status["Threads"]),
                     "files": len(os.listdir(f"/proc/{pid}/fd"))})
        time.sleep(1.0)
    return rows[:: max(1, len(rows) // 40)] + rows[-1:]


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p99 and the largest."""
    if not values:
        return {}
    return {"p50": round(float(np.percentile(values, 50)), 2), "p99": round(float(np.percentile(values, 99)), 2),
            "max": round(float(max(values)), 2)}


def wait_for(condition, seconds: float, what: str) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"expected {what} within {seconds:g} s")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
