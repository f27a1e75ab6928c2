"""Every TensorRT and CUDA name that is used exists: in the bindings that are installed, else in recorded ones.

``tensorrt_names.json`` was read from the real wheels tensorrt-cu12-bindings 10.3.0 and 10.16.1.11,
tensorrt-cu13-bindings 11.4.0.106, tensorrt-rtx-cu13 1.7.1.116 and cuda-bindings 12.9.8 and 13.5.0. To record others:
python tests/test_tensorrt_names.py MODULE >> names (the bindings of TensorRT import without TensorRT when its three
libraries are replaced by ones that define the nine functions which ``nm -D --undefined-only tensorrt.so`` lists).
"""

from __future__ import annotations

import ast
import importlib
import json
import sys
from enum import Enum
from pathlib import Path

import fakegpu
import pytest

from uois_sam_ros.runtime import cuda_device, tensorrt_api, tensorrt_builder, tensorrt_runner
from uois_sam_ros.runtime.tensorrt_api import NAMES, RTX_NAMES

pytestmark = pytest.mark.tensorrt_names
RECORDED = json.loads((Path(__file__).parent / "tensorrt_names.json").read_text())
CLASSES = sorted({*NAMES, *RTX_NAMES})


def members(module) -> dict[str, list[str]]:
    """Return the public members of the classes that are used, or of the module where it has no such classes."""
    if not hasattr(module, "Builder"):
        return {"module": sorted(name for name in cuda_device.NAMES if hasattr(module, name))}
    return {name: sorted(member for member in dir(getattr(module, name)) if not member.startswith("_"))
            for name in CLASSES if hasattr(module, name)}


def bindings() -> dict[str, dict[str, list[str]]]:
    found = dict(RECORDED)
    for name in ("tensorrt", "tensorrt_rtx", "cuda.bindings.runtime"):
        try:
            module = importlib.import_module(name)
        except Exception:  # not installed, or its libraries are missing
            continue
        label = f"{name.removesuffix('.bindings.runtime')} {getattr(module, '__version__', '')} (installed)"
        found[label] = members(module)
    return found


BINDINGS = bindings()


@pytest.mark.parametrize("version", [name for name in BINDINGS if name.startswith("tensorrt")])
def test_names_of_tensorrt(version):
    wanted = {name: set(used) for name, used in NAMES.items()}
    if version.startswith("tensorrt_rtx"):
        wanted = {name: wanted.get(name, set()) | set(RTX_NAMES.get(name, ())) for name in CLASSES}
    missing = {name: sorted(used - set(BINDINGS[version].get(name, ()))) for name, used in wanted.items()}
    assert not {name: rest for name, rest in missing.items() if rest}


@pytest.mark.parametrize("version", [name for name in BINDINGS if name.startswith("cuda")])
def test_names_of_cuda(version):
    assert set(cuda_device.NAMES) <= set(BINDINGS[version]["module"])


def test_both_major_versions_are_recorded():
    majors = {name.split()[1].split(".")[0] for name in RECORDED if name.startswith("tensorrt ")}
    assert majors == {"10", "11"} and any(name.startswith("tensorrt_rtx 1.") for name in RECORDED)


def test_names_that_version_11_dropped_are_not_used():
    used = {name for members in NAMES.values() for name in members} | set(NAMES)
    assert not used & {"EXPLICIT_BATCH", "FP16", "BF16", "INT8", "FP8", "IInt8Calibrator", "set_calibration_profile",
                       "platform_has_fast_fp16", "device_memory_size", "num_bindings", "execute_v2"}


@pytest.mark.parametrize("module", [tensorrt_builder, tensorrt_runner, tensorrt_api])
def test_everything_that_is_used_is_declared(module):
    """Attributes of the objects that come from TensorRT, read from the source."""
    owners = {"trt": set(NAMES), "module": set(NAMES), "builder": NAMES["Builder"],
              "network": NAMES["INetworkDefinition"], "parser": NAMES["OnnxParser"], "error": NAMES["ParserError"],
              "profile": NAMES["IOptimizationProfile"],
              "config": (*NAMES["IBuilderConfig"], *RTX_NAMES["IBuilderConfig"]), "cache": NAMES["ITimingCache"],
              "context": NAMES["IExecutionContext"], "_context": NAMES["IExecutionContext"], "item": NAMES["ITensor"],
              "engine": (*NAMES["ICudaEngine"], "plan", "read_plan", "profiles"), "_engine": NAMES["ICudaEngine"],
              "_runtime": NAMES["Runtime"]}
    seen = 0
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if not isinstance(node, ast.Attribute):
            continue
        base = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
        if base == "trt" and node.attr == "ComputeCapability":
            continue
        if base in owners and node.attr != "__version__":
            assert node.attr in owners[base], f"{base}.{node.attr} is not declared in tensorrt_api.NAMES"
            seen += 1
    assert seen


def test_the_pretended_gpu_offers_no_more():
    trt = fakegpu.make_tensorrt(fakegpu.CudaRuntime(), "10.3.0")
    for name, made in vars(trt).items():
        if not isinstance(made, type):
            continue
        offered = made.__members__ if issubclass(made, Enum) else [key for key in vars(made) if not key.startswith("_")]
        assert set(offered) - {"name", "shape"} <= set(NAMES[name]), name
    own = {"enqueue", "allocated"}
    assert {name for name in vars(fakegpu.CudaRuntime) if not name.startswith("_")} - own <= set(cuda_device.NAMES)


if __name__ == "__main__":
    chosen = importlib.import_module(sys.argv[1])
    print(json.dumps(members(chosen)))
