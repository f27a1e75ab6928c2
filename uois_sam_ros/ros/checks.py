"""What robots trip over, for ``uois-sam doctor``: middleware, socket buffers, clocks, cv_bridge."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path

from ..doctor import Check
from ..errors import BackendError
from ..machine import package_version

#: One 640x480 colour image is 0.9 MB in 650 datagrams that arrive at once.
BUFFER_BYTES = 4_000_000
BUFFER_REMEDY = "sudo sysctl -w net.core.rmem_max=8388608 (keep it: a line in /etc/sysctl.d/60-ros.conf)"
#: Clock sources that cost a microsecond a reading, or drift.
SLOW_CLOCKS = ("acpi_pm", "hpet", "jiffies", "pit")
TIME_ERROR = 5


def check_ros() -> list[Check]:
    """All that concerns the node; every row is a warning at most, since the library works without ROS."""
    return [check_middleware(os.environ), check_buffers(Path("/proc/sys/net/core/rmem_max")), check_cv_bridge(),
            check_clock_source(Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")),
            check_clock_sync()]


def check_middleware(environment: Mapping[str, str]) -> Check:
    """Which rclpy the node would run on, and which other nodes it can talk to."""
    try:
        from . import api
    except BackendError as error:
        found, _, remedy = str(error).rpartition("; ")
        return Check("ros", "warn", found, remedy)
    where = f"domain {environment.get('ROS_DOMAIN_ID', '0')}"
    if not api.STANDALONE:
        rmw = environment.get("RMW_IMPLEMENTATION", "the default")
        return Check("ros", "ok", f"rclpy of {environment.get('ROS_DISTRO', 'an unnamed distribution')}, rmw {rmw}, {where}")
    version = package_version("cyclonedds")
    if not version:
        return Check("ros", "warn", "neither rclpy nor cyclonedds; 'uois-sam node' needs one of them",
                     "source a ROS 2 install, or pip install 'uois_sam_ros[dds]'")
    return Check("ros", "ok", f"no rclpy; Cyclone DDS {version} without ROS, {where}; other nodes need "
                              "RMW_IMPLEMENTATION=rmw_cyclonedds_cpp to call its services")


def check_buffers(limit: Path) -> Check:
    """Receive buffers that hold an image; the stock 208 kB lose most of them."""
    try:
        size = int(limit.read_text())
    except (OSError, ValueError):
        return Check("socket buffers", "ok", "the system tells no limit")
    found = f"net.core.rmem_max is {size / 1e6:.1f} MB"
    if size < BUFFER_BYTES:
        return Check("socket buffers", "warn", f"{found}; images get lost", BUFFER_REMEDY)
    return Check("socket buffers", "ok", found)


def check_cv_bridge() -> Check:
    """cv_bridge is needed for Bayer and YUV images alone, and must agree with this NumPy."""
    from .bridge import probe_cv_bridge

    probe = probe_cv_bridge()
    if probe.state == "unsound":
        return Check("cv_bridge", "warn", f"not used: {probe.found}",
                     "nothing to do for RGB cameras; for Bayer or YUV images install one built for this NumPy")
    return Check("cv_bridge", "ok", probe.found if probe.state == "sound" else "not installed; not needed for RGB cameras")


def check_clock_source(current: Path) -> Check:
    """The kernel's clock is a fast one."""
    try:
        name = current.read_text().strip()
    except OSError:
        return Check("clock source", "ok", "the system does not tell")
    slow = name in SLOW_CLOCKS
    return Check("clock source", "warn" if slow else "ok", name, "boot with a stable tsc: time stamps are slow and jitter"
                 if slow else "")


def check_clock_sync() -> Check:
    """The clock is synchronised, so that stamps of other machines' cameras can be compared."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (AttributeError, OSError):
        return Check("clock", "ok", "the system does not tell whether it is synchronised")
    if state == TIME_ERROR:
        return Check("clock", "warn", "not synchronised; stamps of cameras on other machines are off by an unknown skew",
                     "run chrony or systemd-timesyncd, or a PTP client; nothing to do when everything runs on this machine")
    return Check("clock", "ok", "synchronised" if state >= 0 else "the system does not tell whether it is synchronised")
