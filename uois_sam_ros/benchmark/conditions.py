"""What a measurement depends on besides the machine's name: clocks, governor, load, GPU state, power mode."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

#: What ``nvidia-smi`` is asked for -> name in the report.
GPU_FACTS = {"name": "name", "driver_version": "driver", "pstate": "pstate", "clocks.sm": "sm_mhz",
             "clocks.mem": "memory_mhz", "clocks.max.sm": "sm_max_mhz", "power.draw": "power_w",
             "power.limit": "power_limit_w", "temperature.gpu": "temperature_c", "memory.total": "memory_total_mb"}
TIMEOUT_S = 20


def conditions(root: str | Path = "/") -> dict[str, Any]:
    """Return the state of processor, GPUs and board at this moment as JSON values; what nobody tells is left out.

    Args:
        root: of the file system that is asked.
    """
    root = Path(root)
    facts: dict[str, Any] = {
        "cpu_mhz": cpu_mhz(root),
        "governor": "/".join(sorted({_read(path) for path in root.glob(
            "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")})),
        "scheduling": scheduling(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "gpus": gpus(),
        "power_mode": power_mode(),
    }
    return {name: value for name, value in facts.items() if value}


def cpu_mhz(root: Path) -> list[int]:
    """Return the slowest and the fastest core's present clock, MHz; nothing where the system does not tell."""
    clocks = [int(_read(path) or 0) // 1000
              for path in root.glob("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")]
    if not clocks:
        told = re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _read(root / "proc/cpuinfo"), re.M)
        clocks = [int(float(value)) for value in told]
    return [min(clocks), max(clocks)] if clocks else []


def scheduling() -> str:
    """Return how this process is preferred to others, "" when it is not."""
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        return f"real-time priority {os.sched_getparam(0).sched_priority}"
    return f"nice {os.nice(0)}" if os.nice(0) else ""


def gpus() -> list[dict[str, str]]:
    """Return the facts of every GPU that ``nvidia-smi`` shows."""
    rows = _run(["nvidia-smi", f"--query-gpu={','.join(GPU_FACTS)}", "--format=csv,noheader,nounits"]).splitlines()
    return [dict(zip(GPU_FACTS.values(), (value.strip() for value in row.split(",")))) for row in rows if row.strip()]


def gpu_memory_mb() -> float | None:
    """Return the memory in use on all GPUs together, by whatever process, MB; ``None`` without ``nvidia-smi``."""
    rows = _run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]).split()
    numbers = [float(value) for value in rows if re.fullmatch(r"[\d.]+", value)]
    return sum(numbers) if numbers else None


def power_mode() -> str:
    """Return the power mode of a Jetson, "" on other boards."""
    found = re.search(r"Power Mode\s*:\s*(.+)", _run(["nvpmodel", "-q"]))
    return found.group(1).strip() if found else ""


def _run(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
