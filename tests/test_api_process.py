"""Command line, signals and shutdown of a process, as the node relies on them in ``ros/api.py``."""

from __future__ import annotations

import signal

import pytest
from apirig import TIMEOUT_S
from rosgraph import joined, start_peer  # noqa: F401 (a fixture)

ARGUMENTS = """
import sys
from uois_sam_ros.ros import api
api.init(args=sys.argv)
node = api.LifecycleNode("plain")
node.declare_parameter("rate", 1.0)
node.declare_parameter("stage.size", 1)
node.declare_parameter("names", ["x"])
node.declare_parameter("text", "default")
print(node.get_fully_qualified_name(), node.resolve_topic_name("color"), node.resolve_topic_name("~/label"))
print([node.get_parameter(name).value for name in ("rate", "stage.size", "names", "text")])
api.shutdown()
"""


def test_names_and_parameters_of_the_command_line(joined, tmp_path):
    params = tmp_path / "params.yaml"
    params.write_text("/**:\n  ros__parameters:\n    rate: 2.5\n    stage:\n      size: 7\n"
                      "/cam/renamed:\n  ros__parameters:\n    names: [a, b]\n"
                      "/other:\n  ros__parameters:\n    text: wrong\n")
    process = start_peer(ARGUMENTS, "program", "--ros-args", "-r", "__node:=renamed", "-r", "__ns:=/cam", "-r",
                         "color:=/rgb/image", "-r", "~/label:=masks", "--params-file", str(params), "-p",
                         "rate:=3.5", env=joined)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert out.splitlines() == ["/cam/renamed /rgb/image /cam/masks", "[3.5, 7, ['a', 'b'], 'default']"], err


SIGNALLED = """
from uois_sam_ros.ros import api
api.init(args=[])
node, executor = api.LifecycleNode("signalled"), api.MultiThreadedExecutor(2)
executor.add_node(node)
node.create_timer(0.01, lambda: print("up", flush=True))
try:
    executor.spin()
except api.ExternalShutdownException:
    print("down", api.ok())
executor.shutdown()
node.destroy_node()
api.try_shutdown()
print("end")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signals_end_spinning(joined, number):
    process = start_peer(SIGNALLED, env=joined)
    assert process.stdout.readline().strip() == "up"
    process.send_signal(number)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert [line for line in out.splitlines() if line != "up"] == ["down False", "end"], err
    assert process.returncode == 0


def test_a_second_interrupt_ends_what_hangs(joined):
    script = SIGNALLED.replace('print("down", api.ok())', "pass").replace("executor.shutdown()", """
import time
try:
    print("down", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("enough", flush=True)
""")
    process = start_peer(script, env=joined)
    for line in ("up\n", "down\n"):
        while process.stdout.readline() != line:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert out.splitlines()[-2:] == ["enough", "end"], err


def test_shutdown_ends_spinning(joined):
    script = SIGNALLED.replace('print("up", flush=True)', "api.shutdown()")
    process = start_peer(script, env=joined)
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert out.splitlines() == ["down False", "end"], err
