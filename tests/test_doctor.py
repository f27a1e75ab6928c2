"""Doctor: what it finds, and that each ailment comes with a remedy."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from uois_sam_ros import cli, doctor, example, machine
from uois_sam_ros.doctor import Check
from uois_sam_ros.errors import ModelError
from uois_sam_ros.example import box_scene
from uois_sam_ros.runtime import manifest


def fake(monkeypatch, *checks: Check) -> None:
    monkeypatch.setattr(doctor, "PROBES", (lambda: list(checks),))


def test_failure_decides_the_exit_code(monkeypatch, capsys):
    fake(monkeypatch, Check("a", "ok", "fine"), Check("b", "warn", "so so", "do this"))
    assert cli.main(["doctor"]) == 0
    fake(monkeypatch, Check("a", "ok", "fine"), Check("b", "fail", "gone", "do that"))
    assert cli.main(["doctor"]) == 1
    table = capsys.readouterr().out
    assert "fail  b  gone" in table and "-> do that" in table
    assert "2 checks, 1 failed, 0 warnings" in table


def test_json(monkeypatch, capsys):
    fake(monkeypatch, Check("a", "fail", "gone", "do that"))
    assert cli.main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"name": "a", "status": "fail", "found": "gone", "remedy": "do that"}]


def test_a_probe_that_raises_is_a_failed_check(monkeypatch):
    def check_stars():
        raise ModelError("stars: expected 7, got 6; wait for the night")

    assert doctor._probe(check_stars) == [
        Check("stars", "fail", "stars: expected 7, got 6", "wait for the night")]

    def check_moon():
        raise RuntimeError

    assert doctor._probe(check_moon)[0].found == "RuntimeError"
    assert doctor._probe(check_moon)[0].remedy


def test_this_machine_passes_the_basic_checks():
    for probe in (doctor.check_python, doctor.check_packages, doctor.check_providers, doctor.check_folder):
        assert {check.status for check in probe()} == {"ok"}


def test_missing_and_old_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "yaml", SimpleNamespace(__version__="3.12"))
    found = {check.name: check for check in doctor.check_packages()}
    assert found["numpy"].status == "ok"
    assert found["onnxruntime"].status == "fail"
    assert found["onnxruntime"].remedy == "pip install 'onnxruntime>=1.18'"
    assert (found["yaml"].status, found["yaml"].found) == ("fail", "3.12")


def test_missing_rosbags(monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.highlevel", None)
    check = doctor.check_packages()[-1]
    assert (check.name, check.status) == ("rosbags", "fail")
    assert "pip install" in check.remedy


def test_optional_packages_only_warn(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    check = doctor.check_optional()[0]
    assert (check.name, check.status) == ("torch (optional)", "warn")
    assert check.remedy == "pip install torch==2.13.0"


def test_missing_models_fail(monkeypatch, tmp_path):
    monkeypatch.setattr(manifest, "_default_places", lambda: [tmp_path])
    check = doctor._probe(doctor.check_models)[0]
    assert (check.name, check.status) == ("models", "fail")
    assert str(tmp_path) in check.found and "uois-sam train export" in check.remedy


def test_corrupt_model_fails(monkeypatch, tmp_path):
    from uois_sam_ros.models.spec import SPECS

    for name in SPECS:
        (tmp_path / f"{name}.onnx").write_bytes(name.encode())
        manifest.write_entry(tmp_path, name, f"{name}.onnx")
    monkeypatch.setattr(manifest, "_default_places", lambda: [tmp_path])
    assert doctor.check_models()[0].status == "ok"
    (tmp_path / "compact_decoder.onnx").write_bytes(b"other_decoder..")
    check = doctor._probe(doctor.check_models)[0]
    assert check.status == "fail" and "sha256" in check.found
    (tmp_path / "compact_decoder.onnx").unlink()
    assert "no such file" in doctor._probe(doctor.check_models)[0].found


def test_little_memory_and_one_core_warn(monkeypatch):
    monkeypatch.setattr(machine, "available_memory_mb", lambda: 300)
    monkeypatch.setattr(machine, "thread_count", lambda _: 1)
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset({"avx"}))
    monkeypatch.setattr(doctor.platform, "machine", lambda: "x86_64")
    checks = [*doctor.check_memory(), *doctor.check_processor()]
    assert [(check.name, check.status) for check in checks] == [
        ("memory", "warn"), ("cores", "warn"), ("vectors", "warn")]
    assert all(check.remedy for check in checks)
    monkeypatch.setattr(machine, "available_memory_mb", lambda: 0)
    assert doctor.check_memory()[0].found == "unknown"


def test_read_only_folder_warns(monkeypatch):
    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    check = doctor.check_folder()[0]
    assert check.status == "warn" and "--out" in check.remedy


@pytest.mark.parametrize(("count", "status"), [(15, "ok"), (0, "fail"), (200, "fail")])
def test_segment_counts_the_boxes(monkeypatch, count, status):
    from uois_sam_ros import pipeline

    small = box_scene(64, 48)
    monkeypatch.setattr(example, "box_scene", lambda: small)
    stub = SimpleNamespace(segment=lambda frame: [None] * count)
    monkeypatch.setattr(pipeline.Segmenter, "from_preset", lambda name: stub)
    assert doctor.check_segment()[0].status == status


def test_machine_facts_are_json():
    facts = machine.describe()
    json.dumps(facts)
    assert facts["cores_usable"] >= 1 and facts["cpu"]
    assert machine.peak_memory_mb() > 10
    assert machine.package_version("no-such-distribution") == ""
