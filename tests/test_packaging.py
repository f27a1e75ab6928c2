"""The wheel in a fresh environment and the colcon build: what is installed, and that it works there."""

from __future__ import annotations

import json
import os
import re
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from uois_sam_ros import __version__, doctor
from uois_sam_ros.example import box_scene
from uois_sam_ros.models.spec import COMPACT
from uois_sam_ros.runtime.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("setup.py", "setup.cfg", "pyproject.toml", "package.xml", "MANIFEST.in", "LICENSE", "README.md",
           "CHANGELOG.md", "resource", "launch", "engines", "uois_sam_ros")
#: What only training, data generation and tests may need; the fresh environment does not find it.
NOT_AT_RUN_TIME = ("torch", "segment_anything", "onnx", "onnxscript", "mujoco", "embreex", "scipy", "matplotlib",
                   "pytest", "rclpy")
GUARD = f"""
from importlib.machinery import PathFinder
search = PathFinder.find_spec
def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {NOT_AT_RUN_TIME!r} else search(name, path, target)
PathFinder.find_spec = staticmethod(find_spec)
"""
SHIPPED = sorted(path.name for path in (ROOT / "engines").glob("*.onnx"))
LAUNCH_FILES = {path.name for path in (ROOT / "launch").iterdir() if path.is_file() and path.suffix != ".md"}
needs_models = pytest.mark.skipif(not SHIPPED, reason="engines/ holds no models")


def copy_sources(target: Path) -> Path:
    """Copy what a build reads, so that it leaves nothing behind in the source tree."""
    target.mkdir(parents=True)
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, target / name)
    return target


def run(command, **options) -> subprocess.CompletedProcess:
    """Run in an environment that knows nothing of this source tree."""
    environment = {key: value for key, value in os.environ.items()
                   if key not in ("PYTHONPATH", "AMENT_PREFIX_PATH", "PYTHONDONTWRITEBYTECODE")}
    environment.update(options.pop("env", {}))
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                            env=environment, stdin=subprocess.DEVNULL, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_sources(folder / "source")
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", folder / "dist", source])
    (path,) = (folder / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory) -> SimpleNamespace:
    """A virtual environment with the wheel, the run-time packages of this one, and an empty folder."""
    prefix = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(prefix, with_pip=False, symlinks=True)
    python = prefix / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel])
    (packages,) = prefix.glob("lib/python*/site-packages")
    (packages / "run_time_guard.py").write_text(GUARD)  # no sitecustomize: some systems bring their own
    (packages / "here.pth").write_text("\n".join([*site.getsitepackages(), "import run_time_guard"]) + "\n")
    return SimpleNamespace(prefix=prefix, python=python, packages=packages, command=prefix / "bin" / "uois-sam")


def test_wheel_contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("dist-info/METADATA")]
        text = archive.read(metadata).decode()
    data = f"uois_sam_ros-{__version__}.data/data/share"
    assert f"{data}/ament_index/resource_index/packages/uois_sam_ros" in names
    assert f"{data}/uois_sam_ros/package.xml" in names
    assert not [name for name in names if name.startswith("tests")]
    packages = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "uois_sam_ros").rglob("__init__.py")}
    assert packages <= {str(Path(name).parent) for name in names if name.endswith("__init__.py")}
    for name in [*SHIPPED, *(["manifest.json"] if SHIPPED else [])]:
        assert f"{data}/uois_sam_ros/engines/{name}" in names
    assert "uois_sam_ros/demo/tabletop.mcap" in names
    assert {f"{data}/uois_sam_ros/launch/{name}" for name in LAUNCH_FILES} <= set(names)
    assert len([name for name in names if "/launch/" in name]) == len(LAUNCH_FILES)
    always = [line for line in text.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert len(always) == 6
    for _, distribution, oldest in doctor.REQUIRED:
        assert any(line.endswith(f" {distribution}>={'.'.join(map(str, oldest))}") for line in always), distribution
    assert not re.search("|".join(NOT_AT_RUN_TIME[:-2]), "\n".join(always).replace("onnxruntime", ""))
    assert "Apache-2.0" in text


def test_guard_is_in_force(fresh, tmp_path):
    """Without it the tests below would prove nothing about missing packages."""
    code = ("import importlib.util as u, numpy\n"
            f"found = [name for name in {NOT_AT_RUN_TIME!r} if u.find_spec(name)]\n"
            "assert not found, found")
    run([fresh.python, "-c", code], cwd=tmp_path)


def test_every_module_imports_without_training_packages(fresh, tmp_path):
    """Whatever lies on the run path imports with the run-time packages alone."""
    code = ("import importlib, pkgutil, pathlib, uois_sam_ros as p\n"
            f"assert pathlib.Path(p.__file__).is_relative_to({str(fresh.prefix)!r}), p.__file__\n"
            "for m in pkgutil.walk_packages(p.__path__, 'uois_sam_ros.'):\n"
            "    parts = m.name.split('.')\n"
            "    if parts[1] in ('training', 'synthetic', 'models', 'device') or parts[1:] == ['benchmark', 'reference']:\n"
            "        continue\n"
            "    importlib.import_module(m.name)\n"
            "import uois_sam_ros.models.spec")
    run([fresh.python, "-c", code], cwd=tmp_path)


def test_command_is_installed(fresh, tmp_path):
    assert run([fresh.command, "--version"], cwd=tmp_path).stdout.split() == ["uois-sam", __version__]


def test_geometry_preset_from_an_empty_folder(fresh, tmp_path):
    frame, _ = box_scene(320, 240)
    cv2.imwrite(str(tmp_path / "c.png"), frame.color[..., ::-1])
    cv2.imwrite(str(tmp_path / "d.png"), np.round(frame.depth_m * 1000).astype(np.uint16))
    k = frame.intrinsics
    run([fresh.command, "segment", "--preset", "geometry", "--color", "c.png", "--depth-image", "d.png",
         "--depth-scale", "0.001", "--intrinsics", f"{k.fx},{k.fy},{k.cx},{k.cy}", "--out", "out"], cwd=tmp_path)
    (label,) = (tmp_path / "out").rglob("*_label.png")
    picture = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    assert picture.dtype == np.uint16 and picture.shape == (240, 320)
    assert picture.max() >= 8


@needs_models
def test_bundled_recording_from_an_empty_folder(fresh, tmp_path):
    recording = fresh.packages / "uois_sam_ros" / "demo" / "tabletop.mcap"
    run([fresh.command, "segment", recording, "--max-frames", "2", "--out", "out", "--overlay"], cwd=tmp_path)
    assert len(list((tmp_path / "out").rglob("*_label.png"))) == 2
    assert len(list((tmp_path / "out").rglob("*_overlay.png"))) == 2
    for path in (tmp_path / "out").rglob("*.json"):
        assert json.loads(path.read_text())


@needs_models
def test_doctor_is_content(fresh, tmp_path):
    checks = json.loads(run([fresh.command, "doctor", "--json"], cwd=tmp_path).stdout)
    found = {check["name"]: check for check in checks}
    assert str(fresh.prefix / "share") in found["models"]["found"]
    assert found["segment"]["status"] == "ok"
    assert found["torch (optional)"]["status"] == "warn"


@needs_models
def test_ten_lines_of_python(fresh, tmp_path):
    code = ("from uois_sam_ros import Segmenter\nfrom uois_sam_ros.example import box_scene\n"
            "result = Segmenter.from_preset('compact').segment(box_scene()[0])\n"
            "assert len(result) > 5 and result.label.shape == (480, 640)")
    run([fresh.python, "-c", code], cwd=tmp_path)


def test_colcon_build(tmp_path):
    if shutil.which("colcon") is None:
        pytest.skip("colcon is not installed; .ci/colcon installs it, builds and tests")
    copy_sources(tmp_path / "src" / "uois_sam_ros")
    system_first = f"/usr/bin{os.pathsep}{os.environ['PATH']}"
    run(["colcon", "build", "--event-handlers", "console_direct+"], cwd=tmp_path, env={"PATH": system_first})
    prefix = tmp_path / "install" / "uois_sam_ros"
    share = prefix / "share" / "uois_sam_ros"
    assert (prefix / "share/ament_index/resource_index/packages/uois_sam_ros").is_file()
    assert (share / "package.xml").is_file()
    assert (share / "engines").is_dir() or not SHIPPED
    assert {path.name for path in (share / "launch").iterdir()} == LAUNCH_FILES
    (package,) = prefix.rglob("uois_sam_ros/cli.py")
    for name in ("uois-sam", "uois_sam_node"):
        script = prefix / "lib" / "uois_sam_ros" / name
        assert os.access(script, os.X_OK)
        assert script.read_text().startswith("#!/usr/bin/env python3\n"), "an active virtual environment is used"
    done = run([sys.executable, script.with_name("uois-sam"), "--version"], cwd=tmp_path,
               env={"PYTHONPATH": str(package.parents[1])})
    assert done.stdout.split() == ["uois-sam", __version__]


def test_the_networks_are_shipped():
    """A source tree without them would pass every test that skips for their absence."""
    manifest = Manifest.load(ROOT / "engines")
    names = [spec.name for spec in COMPACT]
    assert set(manifest.models) == set(names)
    files = [manifest.verify(name) for name in names]
    assert sorted(file.name for file in files) == SHIPPED
    assert sum(file.stat().st_size for file in files) <= 20e6
    assert sum(manifest.entry(name)["parameters"] for name in names) <= 5e6


def test_facts_agree():
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    assert manifest.get("format") == "3"
    assert manifest.findtext("name") == "uois_sam_ros"
    assert manifest.findtext("version") == __version__
    assert manifest.findtext("license") == "Apache-2.0"
    assert manifest.findtext("export/build_type") == "ament_python"
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    naming = [path for path in (ROOT / "uois_sam_ros").rglob("*.py") if "torch==" in path.read_text()]
    pins = {path: set(re.findall(r"torch==[\d.]*\d", path.read_text()))
            for path in (ROOT / "setup.py", ROOT / "README.md", *naming)}
    assert len(set.union(*pins.values())) == 1, pins


@pytest.mark.parametrize("target", ["demo", "test", "bench", "clean"])
def test_make_knows_the_target(target):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    run(["make", "--dry-run", target], cwd=ROOT)


def test_make_refuses_an_old_python(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.8.1" && exit 0\nexit 1\n')
    old.chmod(0o755)
    result = subprocess.run(["make", "demo", f"PYTHON={old}", f"RUN={tmp_path / 'env'}"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "expected 3.10 or newer, got Python 3.8.1" in result.stderr
    assert not (tmp_path / "env").exists()
