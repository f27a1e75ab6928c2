"""The store of engines: what is written is found again, and everything else is refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from uois_sam_ros.errors import BackendError, ModelError
from uois_sam_ros.runtime import engine_store
from uois_sam_ros.runtime.engine_lock import hold
from uois_sam_ros.runtime.engine_store import EngineError, EngineIdentity, EngineStore, default_cache, write_atomically
from uois_sam_ros.runtime.parity_report import ParityReport

ORIN = EngineIdentity("compact_encoder", "ab" * 32, "fp16", "tensorrt", "10.3.0", "Orin", "8.7",
                      (("optimization_level", 3), ("tf32", True), ("workspace_mb", 0)))
PROFILES = {"M": (1, 32, 64), "h": (96, 240, 448)}
GOOD = ParityReport("fp16", 0.999, 0.001, 0.99, 4)


@pytest.fixture
def store(tmp_path) -> EngineStore:
    store = EngineStore(tmp_path / "cache")
    store.prepare()
    store.set_parity(store.write(ORIN, b"the plan", PROFILES, {"seconds": 12.5}), GOOD)
    return store


def test_what_is_written_is_found(store):
    engine = store.find(ORIN)
    assert engine.read_plan() == b"the plan"
    assert engine.identity == ORIN and engine.profiles == PROFILES and engine.build["seconds"] == 12.5
    assert engine.require_parity() == GOOD
    assert not list(store.folder.glob("*.part"))


@pytest.mark.parametrize(("change", "words"), [
    ({"gpu": "Orin Nano"}, "for Orin Nano .* got one with GPU Orin instead of Orin Nano"),
    ({"compute_capability": "8.9", "gpu": "RTX 4090"}, "compute capability 8.7 instead of 8.9"),
    ({"version": "10.16.1"}, "library version 10.3.0 instead of 10.16.1"),
    ({"onnx_sha256": "cd" * 32}, "ONNX file abab.* instead of cdcd"),
    ({"precision": "fp32"}, "precision fp16 instead of fp32"),
    ({"options": (("optimization_level", 5), ("tf32", True), ("workspace_mb", 0))}, "options .*: 3.* instead of"),
    ({"network": "compact_decoder"}, "got none; run 'uois-sam engines build', or set runtime.build: missing"),
    ({"backend": "tensorrt_rtx"}, "got none"),
])
def test_foreign_engines_are_refused_by_name(store, change, words):
    with pytest.raises(EngineError, match=words):
        store.find(replace(ORIN, **change))


def test_the_nearest_of_several_is_named(store):
    store.write(replace(ORIN, gpu="Thor", version="10.13.0"), b"x", PROFILES, {})
    with pytest.raises(EngineError, match="got one with library version 10.3.0 instead of 10.4.0;"):
        store.find(replace(ORIN, version="10.4.0"))


def test_engine_under_the_name_of_another_is_refused(store):
    wanted = replace(ORIN, gpu="RTX 4090", compute_capability="8.9")
    for suffix in (".json", ".plan"):
        (store.folder / f"{ORIN.key}{suffix}").rename(store.folder / f"{wanted.key}{suffix}")
    with pytest.raises(EngineError, match="got one with GPU Orin instead of RTX 4090, compute capability 8.7"):
        store.find(wanted)


def test_cut_changed_and_missing_plans_are_refused(store):
    engine = store.find(ORIN)
    engine.plan.write_bytes(b"the pla")
    with pytest.raises(EngineError, match=r"expected 8 bytes, got 7 \(cut or replaced\)"):
        engine.read_plan()
    engine.plan.write_bytes(b"the plaN")
    with pytest.raises(EngineError, match=r"expected sha256 .* \(changed\)"):
        engine.read_plan()
    engine.plan.unlink()
    with pytest.raises(EngineError, match="No such file"):
        engine.read_plan()


def edit(store, change):
    path = store.folder / f"{ORIN.key}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("change", [
    lambda content: content["parity"].update(mask_iou=1.0),
    lambda content: content["identity"].update(gpu="RTX 4090"),
    lambda content: content.update(sha256="0" * 64),
    lambda content: content.update(digest="0"),
    lambda content: content.pop("digest"),
])
def test_tampered_sidecar_is_refused(store, change):
    edit(store, change)
    with pytest.raises(EngineError, match="expected the sidecar as it was written, got a changed one"):
        store.find(ORIN)


def test_sidecar_of_another_format_and_no_json(store):
    edit(store, lambda content: content.update(format=9))
    with pytest.raises(EngineError, match="expected sidecar format 1, got 9"):
        store.find(ORIN)
    for text in ("{", "[]"):
        (store.folder / f"{ORIN.key}.json").write_text(text)
        with pytest.raises(EngineError, match="expected a readable sidecar"):
            store.find(ORIN)
    good, bad = store.engines()
    assert good == [] and len(bad) == 1


def test_engine_without_or_below_parity_is_refused(store):
    engine = store.write(ORIN, b"new", PROFILES, {})
    with pytest.raises(EngineError, match="expected figures that compare it with the fp32 .*, got none") as caught:
        engine.require_parity()
    assert caught.value.rebuild
    engine = store.set_parity(engine, replace(GOOD, mask_iou=0.8, worst="compact_encoder, Softmax 'n', off by 9 %"))
    with pytest.raises(EngineError, match="IoU 0.8000.*worst compact_encoder, Softmax.*--precision fp32") as caught:
        store.find(ORIN).require_parity()
    assert not caught.value.rebuild, "building the same again would not help"
    engine = store.set_parity(engine, replace(GOOD, precision="fp32", mask_iou=float("nan")))
    with pytest.raises(EngineError, match="mask IoU nan.*report it with the log"):
        store.find(ORIN).require_parity()


def test_a_new_plan_is_not_vouched_for_by_the_old_sidecar(store, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(EngineStore, "_write_sidecar", die)
    with pytest.raises(KeyboardInterrupt):
        store.write(ORIN, b"half a build", PROFILES, {})
    with pytest.raises(EngineError, match="got none"):
        store.find(ORIN)


def test_folder_that_cannot_be_written_is_told_at_once(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="expected a folder that can be written, got: Not a directory; choose"):
        EngineStore(tmp_path / "file" / "cache").prepare()


def test_full_disk_is_told_at_once(store, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(engine_store.shutil, "disk_usage", lambda _: usage(100, 100, 90 << 20))
    store.prepare(10 << 20)
    with pytest.raises(BackendError, match="expected 264 MB of free space, got 90 MB; run 'uois-sam engines clean'"):
        store.prepare(200 << 20)


def test_disk_that_fills_up_leaves_the_old_file(tmp_path):
    """The process may write 64 kB to a file and no more, as on a full disk."""
    code = ("import resource, sys; from pathlib import Path\n"
            "from uois_sam_ros.errors import BackendError\n"
            "from uois_sam_ros.runtime.engine_store import write_atomically\n"
            "path = Path(sys.argv[1]); write_atomically(path, b'old')\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))\n"
            "try: write_atomically(path, b'x' * (1 << 20))\n"
            "except BackendError as error: print(error)\n")
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.plan")], capture_output=True, text=True,
                         timeout=60, check=True, cwd=Path(__file__).parents[1])
    assert "expected 1.0 MB to be written, got: File too large" in run.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["a.plan"]
    assert (tmp_path / "a.plan").read_bytes() == b"old"


def test_clean_spares_what_is_kept_or_being_built(store):
    other = replace(ORIN, network="compact_decoder")
    store.write(other, b"other", PROFILES, {})
    (store.folder / "notes.txt").touch()
    write_atomically(store.timing_path(ORIN), b"timing")
    with hold(store.lock_path(other)):
        deleted = store.clean()
    assert {path.name for path in deleted} == {f"{ORIN.key}.json", f"{ORIN.key}.plan", "tensorrt-10.3.0-Orin.timing"}
    assert store.find(other).read_plan() == b"other" and (store.folder / "notes.txt").exists()
    store.clean(keep=frozenset({other.key}))
    assert store.find(other)
    store.clean()
    assert [path.name for path in store.folder.iterdir()] == ["notes.txt"]


def test_default_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert EngineStore().folder == default_cache() == tmp_path / "uois_sam_ros"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "uois_sam_ros"
    assert EngineStore(tmp_path / "none").engines() == ([], []) and EngineStore(tmp_path / "none").clean() == []


def test_report_reads_what_it_wrote():
    for report in (GOOD, replace(GOOD, mask_iou=float("nan"), worst="x")):
        again = ParityReport.from_json(json.loads(json.dumps(report.to_json())))
        assert str(again) == str(report) and again.passed == report.passed
    assert str(GOOD) == "passed fp16: mask IoU 0.9990, score error 0.0010, instance F 0.9900 on 4 frames"


@pytest.mark.parametrize("values", [None, {}, {**GOOD.to_json(), "extra": 1}, {**GOOD.to_json(), "frames": "many"},
                                    {**GOOD.to_json(), "precision": "fp4"}])
def test_odd_reports_are_refused(values):
    with pytest.raises(ModelError, match="parity: expected"):
        ParityReport.from_json(values)


@pytest.mark.parametrize(("change", "passed"), [
    ({}, True), ({"mask_iou": 0.98}, False), ({"score_error": 0.02}, False), ({"instance_f": 0.9}, False),
    ({"frames": 0}, False), ({"score_error": float("nan")}, False), ({"precision": "int8", "mask_iou": 0.95}, True)])
def test_every_figure_counts(change, passed):
    assert replace(GOOD, **change).passed is passed


def test_safer_precisions():
    assert [replace(GOOD, precision=name).safer for name in ("int8", "fp16", "fp32")] == ["fp16", "fp32", ""]
