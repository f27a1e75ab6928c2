"""What the doctor says about ROS, buffers and clocks; each ailment with its remedy."""

from __future__ import annotations

import ctypes

import pytest

from uois_sam_ros import doctor
from uois_sam_ros.ros import api, bridge, checks


def test_this_machine_is_looked_at():
    names = [check.name for check in doctor.check_ros()]
    assert names == ["ros", "socket buffers", "cv_bridge", "clock source", "clock"]


@pytest.mark.parametrize(("text", "status"), [("212992\n", "warn"), ("8388608\n", "ok"), ("", "ok")])
def test_socket_buffers(tmp_path, text, status):
    limit = tmp_path / "rmem_max"
    limit.write_text(text)
    check = checks.check_buffers(limit)
    assert check.status == status and ("sysctl" in check.remedy) == (status == "warn")
    assert checks.check_buffers(tmp_path / "none").status == "ok"


@pytest.mark.parametrize(("name", "status"), [("tsc", "ok"), ("hpet", "warn")])
def test_clock_source(tmp_path, name, status):
    (tmp_path / "clock").write_text(f"{name}\n")
    assert checks.check_clock_source(tmp_path / "clock").status == status
    assert checks.check_clock_source(tmp_path / "none").status == "ok"


@pytest.mark.parametrize(("state", "status", "text"), [(0, "ok", "synchronised"), (5, "warn", "not synchronised"),
                                                        (-1, "ok", "does not tell")])
def test_clock_sync(monkeypatch, state, status, text):
    class Library:
        def adjtimex(self, _):
            return state

    monkeypatch.setattr(ctypes, "CDLL", lambda *args, **kwargs: Library())
    check = checks.check_clock_sync()
    assert check.status == status and text in check.found and bool(check.remedy) == (status == "warn")


@pytest.mark.parametrize(("state", "status"), [("sound", "ok"), ("missing", "ok"), ("unsound", "warn")])
def test_cv_bridge(monkeypatch, state, status):
    monkeypatch.setattr(bridge, "probe_cv_bridge", lambda: bridge.Probe(state, "it says so"))
    check = checks.check_cv_bridge()
    assert check.status == status and bool(check.remedy) == (status == "warn")


def test_middleware(monkeypatch):
    monkeypatch.setattr(api, "STANDALONE", False)
    found = checks.check_middleware({"ROS_DISTRO": "jazzy", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}).found
    assert "jazzy" in found and "rmw_cyclonedds_cpp" in found and "domain 0" in found
    monkeypatch.setattr(api, "STANDALONE", True)
    monkeypatch.setattr(checks, "package_version", lambda name: "11.0.1")
    assert "domain 7" in checks.check_middleware({"ROS_DOMAIN_ID": "7"}).found
    monkeypatch.setattr(checks, "package_version", lambda name: "")
    check = checks.check_middleware({})
    assert check.status == "warn" and "[dds]" in check.remedy
