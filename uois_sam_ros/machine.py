"""Facts about this machine and these versions, for ``doctor`` and for every measured table."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from .runtime.base import thread_count

PACKAGES = ("numpy", "opencv-python-headless", "opencv-python", "onnxruntime", "onnxruntime-gpu", "openvino", "tensorrt",
            "tensorrt-rtx-cu13", "segment-anything", "rosbags", "torch")


def cpu_model() -> str:
    """Return the processor's name, or its architecture when the system does not tell."""
    return _proc_value("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def cpu_flags() -> frozenset[str]:
    """Return the instruction set flags; empty where the system does not tell."""
    return frozenset(_proc_value("/proc/cpuinfo", "flags").split())


def available_memory_mb() -> int:
    """Return the memory that new processes may use, MB; 0 when unknown."""
    kilobytes = _proc_value("/proc/meminfo", "MemAvailable").split()
    return int(kilobytes[0]) // 1024 if kilobytes else 0


def peak_memory_mb() -> float:
    """Return the largest resident size of this process so far, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024


def package_version(name: str) -> str:
    """Return the installed version of a distribution, or "" (nothing is imported)."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def git_revision() -> str:
    """Return the short revision of the source tree, "+" appended when changed; "" outside one."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return ""
    try:
        run = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=10",
                              "--exclude=*"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()


def describe() -> dict[str, object]:
    """Return processor, usable cores, memory, system and package versions as JSON values."""
    return {
        "cpu": cpu_model(),
        "cores_usable": thread_count(0),
        "cores_total": os.cpu_count() or 1,
        "memory_available_mb": available_memory_mb(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: package_version(name) for name in PACKAGES if package_version(name)},
        "git_revision": git_revision(),
    }


def _proc_value(path: str, key: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        return ""
    return ""
