"""The verb ``doctor``: is everything in place on this machine, and what to do where it is not."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter

#: Import name, distribution, oldest version that the package is tested with.
REQUIRED = (("numpy", "numpy", (1, 26)), ("cv2", "opencv-python-headless", (4, 6)),
            ("onnxruntime", "onnxruntime", (1, 18)), ("yaml", "pyyaml", (5, 4)))
#: Import name, what it is for, how to get it.
OPTIONAL = (("torch", "training and the reference backend", "pip install torch==2.13.0"),
            ("mujoco", "synthetic scenes", "pip install mujoco embreex scipy"),
            ("embreex", "synthetic scenes", "pip install mujoco embreex scipy"))
LOW_MEMORY_MB = 1500


@dataclass(frozen=True)
class Check:
    """One row: what was looked at, "ok", "warn" or "fail", what was found, what to do."""

    name: str
    status: str
    found: str
    remedy: str = ""


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "doctor", help="check this machine, the installation and the models",
        description="Check Python, packages, models, processor, memory and what ROS needs, and segment one "
                    "generated frame. Exit code 1 when a check fails; warnings do not count.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.set_defaults(handler=run_doctor)


def run_doctor(args: argparse.Namespace) -> int:
    """Print all checks; 1 when one of them failed."""
    checks = [check for probe in PROBES for check in _probe(probe)]
    if args.json:
        print(json.dumps([asdict(check) for check in checks], indent=2))
    else:
        print(format_checks(checks))
    return 1 if any(check.status == "fail" for check in checks) else 0


def format_checks(checks: list[Check]) -> str:
    """Return one line a check, the remedy below where something is to be done."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        lines.append(f"{check.status:5} {check.name:{width}}  {check.found}")
        if check.remedy:
            lines.append(f"{'':6}{'':{width}}  -> {check.remedy}")
    failed = sum(check.status == "fail" for check in checks)
    warned = sum(check.status == "warn" for check in checks)
    return "\n".join([*lines, "", f"{len(checks)} checks, {failed} failed, {warned} warnings"])


def check_python() -> list[Check]:
    """Python 3.10 or newer."""
    good = sys.version_info >= (3, 10)
    return [Check("python", "ok" if good else "fail", f"{platform.python_version()} {sys.executable}",
                  "" if good else "use Python 3.10 or newer")]


def check_packages() -> list[Check]:
    """Everything on the run path imports and is new enough."""
    return [_package(*row) for row in REQUIRED] + [_rosbags()]


def check_providers() -> list[Check]:
    """The default provider is there; the others are named."""
    import onnxruntime

    names = onnxruntime.get_available_providers()
    good = "CPUExecutionProvider" in names
    return [Check("providers", "ok" if good else "fail", ", ".join(names),
                  "" if good else "pip install onnxruntime")]


def check_models() -> list[Check]:
    """The model folder is found, and every file is the one its manifest vouches for."""
    from .config import preset
    from .runtime.manifest import Manifest, find_models

    manifest = Manifest.load(find_models())
    compact = preset("compact")
    needed = {*compact.encoding.encoders, compact.decoding.decoder, compact.rescoring.rescorer}
    for name in sorted(needed | set(manifest.models)):
        manifest.verify(name)
    size_mb = sum(entry["bytes"] for entry in manifest.models.values()) / 1e6
    return [Check("models", "ok", f"{len(manifest.models)} in {manifest.folder}, {size_mb:.1f} MB, "
                                  "sha256 agree")]


def check_processor() -> list[Check]:
    """Cores that this process may use, and vector instructions."""
    from . import machine

    usable, total = machine.thread_count(0), os.cpu_count() or 1
    few = usable < 2
    checks = [Check("cores", "warn" if few else "ok", f"{usable} of {total} usable, {machine.cpu_model()}",
                    "give the process two cores or more (taskset, container limits)" if few else "")]
    flags = machine.cpu_flags()
    if platform.machine() in ("x86_64", "AMD64") and flags:
        known = [name for name in ("avx", "avx2", "fma", "avx512f") if name in flags]
        slow = "avx2" not in known
        checks.append(Check("vectors", "warn" if slow else "ok", ", ".join(known) or "none",
                            "expect a few times the measured run time without AVX2" if slow else ""))
    return checks


def check_memory() -> list[Check]:
    """Memory for the pipeline."""
    from . import machine

    available = machine.available_memory_mb()
    if available == 0:
        return [Check("memory", "warn", "unknown", f"{LOW_MEMORY_MB} MB should be available")]
    low = available < LOW_MEMORY_MB
    return [Check("memory", "warn" if low else "ok", f"{available} MB available",
                  f"close programs until {LOW_MEMORY_MB} MB are available" if low else "")]


def check_optional() -> list[Check]:
    """Packages that only some verbs need; nothing is imported."""
    checks = []
    for module, purpose, remedy in OPTIONAL:
        there = module not in sys.modules or sys.modules[module] is not None
        there = there and importlib.util.find_spec(module) is not None
        checks.append(Check(f"{module} (optional)", "ok" if there else "warn",
                            "found" if there else f"not installed; only for {purpose}",
                            "" if there else remedy))
    return checks


def check_folder() -> list[Check]:
    """Results can be written here."""
    folder = os.getcwd()
    try:
        with tempfile.TemporaryFile(dir=folder):
            return [Check("folder", "ok", f"{folder} is writable")]
    except OSError as error:
        return [Check("folder", "warn", f"{folder}: {error.strerror}", "write results elsewhere with --out")]


def check_ros() -> list[Check]:
    """Middleware, socket buffers, clocks and cv_bridge, for the node."""
    from .ros import checks

    return checks.check_ros()


def check_segment() -> list[Check]:
    """The whole pipeline on one generated frame."""
    from .example import box_scene
    from .pipeline import Segmenter

    frame, _ = box_scene()
    segmenter = Segmenter.from_preset("compact")
    segmenter.segment(frame)
    begin = perf_counter()
    result = segmenter.segment(frame)
    elapsed_ms = 1000 * (perf_counter() - begin)
    good = 10 <= len(result) <= 20
    return [Check("segment", "ok" if good else "fail",
                  f"{len(result)} of 15 boxes, {frame.width}x{frame.height} in {elapsed_ms:.0f} ms",
                  "" if good else "install the package again; the models do not work on this machine")]


PROBES: tuple[Callable[[], list[Check]], ...] = (
    check_python, check_packages, check_providers, check_models, check_processor, check_memory,
    check_optional, check_folder, check_ros, check_segment)


def _probe(probe: Callable[[], list[Check]]) -> list[Check]:
    """Run one probe; whatever it raises is a failed check, so that the others still run."""
    try:
        return probe()
    except Exception as error:  # a doctor reports every ailment
        found, _, remedy = " ".join(str(error).split()).rpartition("; ")
        return [Check(probe.__name__.removeprefix("check_"), "fail", found or remedy or type(error).__name__,
                      remedy if found else "install the package again")]


def _package(module: str, distribution: str, oldest: tuple[int, ...]) -> Check:
    remedy = f"pip install '{distribution}>={'.'.join(map(str, oldest))}'"
    try:
        version = str(importlib.import_module(module).__version__)
    except Exception as error:  # a broken binary raises anything
        return Check(module, "fail", f"does not import: {error}", remedy)
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    return Check(module, "ok", version) if numbers >= oldest else Check(module, "fail", version, remedy)


def _rosbags() -> Check:
    from .machine import package_version

    try:
        importlib.import_module("rosbags.highlevel")
    except Exception as error:
        return Check("rosbags", "fail", f"does not import: {error}", "pip install 'rosbags>=0.11'")
    return Check("rosbags", "ok", package_version("rosbags"))
