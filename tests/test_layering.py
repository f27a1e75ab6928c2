"""The direction of imports, read from the sources; and what a bare import loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "uois_sam_ros"
#: A layer may import the layers before it. ``models`` and ``runtime`` know no stage.
LAYERS = ("errors", "types", "example", "config", "geometry", "replay.assignment", "replay.boundary", "replay.metrics",
          "models.spec", "models", "runtime", "encoding", "prompting", "decoding", "rescoring", "selection", "baseline",
          "engines", "device", "pipeline")
RUN_PATH_LIBRARIES = {"numpy", "cv2", "yaml", "onnxruntime"}
#: The network definitions and what optional backends need, which no other layer imports at its top.
OFF_THE_RUN_PATH = ("models", "device", "runtime.torch_backend", "runtime.openvino_backend", "runtime.cuda_device")
#: Verbs may import everything.
VERBS = ("engines.commands",)


def modules():
    """Yield (dotted name inside the package, path) of every layer's modules."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        if layer(name) is not None and name not in VERBS:
            yield name, path


def layer(name):
    """Return the index of the layer a module belongs to, or None."""
    found = [k for k, known in enumerate(LAYERS) if name == known or name.startswith(known + ".")]
    return max(found, key=lambda k: len(LAYERS[k])) if found else None


@cache
def imports(name, path):
    """Return pairs of ("own", dotted name inside the package) and ("library", top-level name)."""
    return tuple(_read_imports(name, path))


def _read_imports(name, path):
    parts = name.split(".")
    package = parts if path.name == "__init__.py" else parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _classify(alias.name)
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                yield _classify(node.module)
                continue
            base = package[:len(package) - (node.level - 1)]
            target = base + (node.module.split(".") if node.module else [])
            for alias in node.names:
                inner = PACKAGE.joinpath(*target, alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").exists()
                yield "own", ".".join(target + [alias.name] if is_module else target)


def _classify(name):
    first, _, rest = name.partition(".")
    return ("own", rest) if first == "uois_sam_ros" else ("library", first)


MODULES = dict(modules())
RUN_PATH = [name for name in MODULES
            if name in ("models", "models.spec") or not name.startswith(OFF_THE_RUN_PATH)]


def test_all_layers_exist():
    assert {LAYERS[layer(name)] for name in MODULES} == set(LAYERS)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    own = layer(name)
    for kind, target in imports(name, MODULES[name]):
        if kind != "own" or not target:
            continue
        assert layer(target) is not None, f"{name} imports {target}, which no layer may"
        assert layer(target) <= own, f"{name} imports {target}, which lies above it"


@pytest.mark.parametrize("name", RUN_PATH)
def test_libraries_of_the_run_path(name):
    for kind, target in imports(name, MODULES[name]):
        if kind != "library" or target in sys.stdlib_module_names:
            continue
        assert target in RUN_PATH_LIBRARIES, f"{name} imports {target}"


@pytest.mark.parametrize("statement, absent", [
    ("import uois_sam_ros", {"cv2", "onnxruntime", "torch", "yaml"}),
    ("from uois_sam_ros import Frame, Intrinsics, load_config", {"cv2", "onnxruntime", "torch"}),
    ("from uois_sam_ros import Segmenter", {"onnxruntime", "torch"}),
    ("from uois_sam_ros import Segmenter; Segmenter.from_preset('geometry')", {"onnxruntime", "torch"}),
])
def test_import_is_light(statement, absent):
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                            cwd=PACKAGE.parent).stdout.split()
    assert "uois_sam_ros" in loaded
    assert not absent & set(loaded)


@pytest.mark.parametrize(("library", "home"), [("rclpy", "ros/api.py"), ("cyclonedds", "ros/standalone/"),
                                               ("cv_bridge", "ros/bridge.py")])
def test_each_middleware_has_one_home(library, home):
    found = set()
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        if ("library", library) in imports(name, path):
            found.add(str(path.relative_to(PACKAGE)))
    assert found and all(place.startswith(home) for place in found)
