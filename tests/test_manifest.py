"""The model folder: checksums, refusals and where it is looked for."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest

from uois_sam_ros.errors import ModelError
from uois_sam_ros.runtime import manifest as module
from uois_sam_ros.runtime.manifest import Manifest, find_models, write_entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.onnx").write_bytes(b"weights")
    write_entry(tmp_path, "net", "net.onnx", preset="compact", scores={"f": 0.9})
    return tmp_path


def test_entry_is_written_and_verified(folder):
    manifest = Manifest.load(folder)
    assert manifest.verify("net") == folder / "net.onnx"
    entry = manifest.entry("net")
    assert entry["bytes"] == 7
    assert entry["sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert entry["scores"] == {"f": 0.9}
    assert list(folder.glob("*.tmp")) == []


def test_second_entry_keeps_the_first_and_rewriting_updates(folder):
    (folder / "other.onnx").write_bytes(b"other")
    write_entry(folder, "other", "other.onnx")
    (folder / "net.onnx").write_bytes(b"new weights")
    write_entry(folder, "net", "net.onnx")
    manifest = Manifest.load(folder)
    assert sorted(manifest.models) == ["net", "other"]
    assert manifest.verify("net").read_bytes() == b"new weights"
    assert "scores" not in manifest.entry("net")


def test_changed_byte_is_refused(folder):
    Manifest.load(folder).verify("net")
    (folder / "net.onnx").write_bytes(b"weightz")
    with pytest.raises(ModelError, match=r"net\.onnx: expected sha256 .*corrupt.*train export"):
        Manifest.load(folder).verify("net")


def test_truncated_file_is_refused(folder):
    (folder / "net.onnx").write_bytes(b"wei")
    with pytest.raises(ModelError, match="expected 7 bytes, got 3"):
        Manifest.load(folder).verify("net")


def test_missing_file_is_refused(folder):
    (folder / "net.onnx").unlink()
    with pytest.raises(ModelError, match="no such file; install the package again"):
        Manifest.load(folder).verify("net")


def test_unknown_name_lists_the_known(folder):
    with pytest.raises(ModelError, match="expected an entry 'nets' .* got net;"):
        Manifest.load(folder).verify("nets")


@pytest.mark.parametrize(("text", "message"), [
    ("{", "expected readable JSON"),
    ("[]", "expected an object with 'format' and 'models'"),
    ('{"format": 1}', "expected an object with 'format' and 'models'"),
    ('{"format": 7, "models": {}}', "expected manifest format 1, got 7"),
    ('{"models": {}}', "expected manifest format 1, got None"),
    ('{"format": 1, "models": {"a": {"file": "a.onnx"}}}', "expected 'file', 'sha256' and 'bytes'"),
    ('{"format": 1, "models": {"a": 3}}', "expected 'file', 'sha256' and 'bytes'"),
    ('{"format": 1, "models": {"a": {"file": "../a", "sha256": "0", "bytes": 1}}}',
     "expected a plain file name"),
    ('{"format": 1, "models": {"a": {"file": "/etc/a", "sha256": "0", "bytes": 1}}}',
     "expected a plain file name"),
])
def test_bad_manifest_is_refused(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        Manifest.load(tmp_path)


def test_missing_manifest_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"expected manifest\.json in it, got none"):
        Manifest.load(tmp_path)


def test_write_entry_refuses_missing_file_and_odd_facts(tmp_path):
    with pytest.raises(ModelError, match="expected a file to describe"):
        write_entry(tmp_path, "net", "net.onnx")
    (tmp_path / "net.onnx").write_bytes(b"x")
    with pytest.raises(ModelError, match="expected JSON values"):
        write_entry(tmp_path, "net", "net.onnx", seed={1, 2})
    assert not (tmp_path / "manifest.json").exists()


def test_file_is_hashed_once(folder, monkeypatch):
    manifest = Manifest.load(folder)
    manifest.verify("net")
    monkeypatch.setattr(module.hashlib, "sha256", lambda: pytest.fail("hashed again"))
    manifest.verify("net")


def test_explicit_folder_is_the_only_place(folder, tmp_path):
    assert find_models(str(folder)) == folder
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ModelError, match=f"{empty}; got none; set model_dir"):
        find_models(str(empty))


@pytest.fixture
def no_source_tree(tmp_path, monkeypatch):
    """Pretend that the package is installed in ``tmp_path/lib``, with nothing around it."""
    monkeypatch.setattr(module, "__file__", str(tmp_path / "lib/pkg/runtime/manifest.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    return tmp_path


def put_manifest(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"format": 1, "models": {}}))
    return folder


@pytest.mark.parametrize("prefix", ["prefix", "lib", ".", "overlay"])
def test_installed_places(no_source_tree, monkeypatch, prefix):
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{no_source_tree / 'none'}:{no_source_tree / 'overlay'}")
    expected = put_manifest(no_source_tree / prefix / "share/uois_sam_ros/engines")
    assert find_models("") == expected


def test_source_tree_is_found(no_source_tree):
    (no_source_tree / "lib" / "setup.py").parent.mkdir()
    (no_source_tree / "lib" / "setup.py").touch()
    expected = put_manifest(no_source_tree / "lib/engines")
    assert find_models("") == expected


def test_nowhere_lists_the_places(no_source_tree, monkeypatch):
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(no_source_tree / "overlay"))
    with pytest.raises(ModelError) as caught:
        find_models("")
    assert str(no_source_tree / "prefix/share/uois_sam_ros/engines") in str(caught.value)
    assert str(no_source_tree / "overlay/share/uois_sam_ros/engines") in str(caught.value)


def test_weights_in_a_second_file_are_vouched_for_too(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"graph")
    (tmp_path / "net.onnx.data").write_bytes(b"weights")
    entry = write_entry(tmp_path, "net", "net.onnx", data_file="net.onnx.data")
    assert (entry["data"]["file"], entry["data"]["bytes"]) == ("net.onnx.data", 7)
    assert Manifest.load(tmp_path).verify("net") == tmp_path / "net.onnx"
    (tmp_path / "net.onnx.data").write_bytes(b"wei9hts")
    with pytest.raises(ModelError, match="net.onnx.data: expected sha256"):
        Manifest.load(tmp_path).verify("net")
    (tmp_path / "net.onnx.data").unlink()
    with pytest.raises(ModelError, match="net.onnx.data: expected it beside manifest.json, got no such file"):
        Manifest.load(tmp_path).verify("net")
    with pytest.raises(ModelError, match="net.onnx.data: expected a file to describe"):
        write_entry(tmp_path, "net", "net.onnx", data_file="net.onnx.data")


def test_a_missing_network_names_the_command_that_makes_it(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"graph")
    write_entry(tmp_path, "net", "net.onnx")
    with pytest.raises(ModelError, match="got net; make it with 'uois-sam export --preset PRESET .*and pass --model-dir"):
        Manifest.load(tmp_path).entry("sam_vit_l_encoder")
    with pytest.raises(ModelError, match="uois-sam train export"):
        Manifest.load(tmp_path).entry("compact_encoder")
