"""Official weight files: the list, the check, and downloads from a server on this machine."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest

from uois_sam_ros.cli import main
from uois_sam_ros.errors import InputError, ModelError
from uois_sam_ros.models.official import OFFICIAL, official_file
from uois_sam_ros.weights.fetch import fetch
from uois_sam_ros.weights.verify import identify, refuse_impostor

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture
def entry(monkeypatch):
    """An official file of 3 MB that takes the place of SAM ViT-B's."""
    entry = replace(official_file("sam_vit_b"), bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    monkeypatch.setitem(OFFICIAL, "sam_vit_b", entry)
    return entry


@pytest.fixture
def server():
    """``server.url`` serves ``server.content``; ``ranges`` understood or not, ``cut`` after so many bytes."""
    state = SimpleNamespace(content=CONTENT, ranges=True, cut=None, status=200, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            state.asked.append(wanted)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else state.status)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.wfile.write(body if state.cut is None else body[:state.cut])
            except OSError:
                pass  # the client has seen enough
            self.close_connection = True

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_address[1]}/file.pth"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def test_list_names_every_file(capsys):
    assert main(["weights", "list"]) == 0
    text = capsys.readouterr().out
    for entry in OFFICIAL.values():
        for word in (entry.name, entry.url, entry.licence, entry.sha256, entry.home):
            assert word in text
    assert set(OFFICIAL) == {"sam_vit_b", "sam_vit_l", "sam_vit_h", "dinov2_vits14"}
    assert {len(entry.sha256) for entry in OFFICIAL.values()} == {64}


def test_fetch_downloads_verifies_and_keeps(server, entry, tmp_path, capsys):
    assert main(["weights", "fetch", "sam_vit_b", "--out", str(tmp_path / "w"), "--url", server.url]) == 0
    assert (tmp_path / "w" / entry.file).read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "w").iterdir()] == [entry.file]
    assert "SAM ViT-B, sha256 agrees, licence Apache-2.0" in capsys.readouterr().out
    fetch(entry, tmp_path / "w", url=server.url)
    assert server.asked == [None]  # what is there is not downloaded again


def test_a_broken_download_is_continued(server, entry, tmp_path):
    server.cut = 1_200_000
    with pytest.raises(InputError, match="expected 3000000 bytes, got 1200000 .*run the same command again"):
        fetch(entry, tmp_path, url=server.url, progress=False)
    assert not (tmp_path / entry.file).exists()
    server.cut = None
    assert fetch(entry, tmp_path, url=server.url, progress=False).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1200000-"]


def test_a_server_without_ranges_starts_anew(server, entry, tmp_path):
    (tmp_path / f"{entry.file}.part").write_bytes(b"x" * 1000)
    server.ranges = False
    assert fetch(entry, tmp_path, url=server.url, progress=False).read_bytes() == CONTENT


def test_a_complete_part_needs_no_connection(entry, tmp_path):
    (tmp_path / f"{entry.file}.part").write_bytes(CONTENT)
    assert fetch(entry, tmp_path, url="http://127.0.0.1:1/x").read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "words"), [
    (CONTENT[:-1] + b"!", "expected sha256 .* of SAM ViT-B, got .*it was removed"),
    (CONTENT + b"more", "expected 3000000 bytes of SAM ViT-B, got 3000004; it was removed"),
])
def test_other_content_gets_no_name(server, entry, tmp_path, content, words):
    server.content = content
    with pytest.raises(ModelError, match=words):
        fetch(entry, tmp_path, url=server.url, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("url", "words"), [
    ("http://127.0.0.1:1/x", "expected 3000000 bytes, got 0 and then: .*refused.*or download by hand"),
    ("nonsense", "--url: expected an address such as https://dl.fbaipublicfiles.com"),
])
def test_no_connection(entry, tmp_path, url, words):
    with pytest.raises(InputError, match=words):
        fetch(entry, tmp_path, url=url, progress=False)


def test_refusal_of_the_server(server, entry, tmp_path):
    server.status = 403
    with pytest.raises(InputError, match="got 0 and then: HTTP Error 403|got 0 and then: Forbidden"):
        fetch(entry, tmp_path, url=server.url, progress=False)


def test_full_disk(server, entry, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(InputError, match="expected 3000000 bytes of free space, got 10"):
        fetch(entry, tmp_path, url=server.url)
    assert server.asked == []


def test_a_wrong_file_in_the_way_is_not_overwritten(server, entry, tmp_path):
    (tmp_path / entry.file).write_bytes(b"mine")
    with pytest.raises(ModelError, match="expected 3000000 bytes of SAM ViT-B, got 4; move it away"):
        fetch(entry, tmp_path, url=server.url)
    assert (tmp_path / entry.file).read_bytes() == b"mine"


def test_unknown_name(capsys):
    assert main(["weights", "fetch", "sam_vit_x"]) == 2
    assert "expected one of sam_vit_b, sam_vit_l, sam_vit_h, dinov2_vits14, got 'sam_vit_x'" in capsys.readouterr().err


def test_identify(entry, tmp_path):
    right, wrong = tmp_path / "renamed.pth", tmp_path / entry.file
    right.write_bytes(CONTENT)
    assert identify(right) is entry and refuse_impostor(right) is entry
    wrong.write_bytes(CONTENT[:-1])
    assert identify(wrong) is None
    with pytest.raises(ModelError, match="get it again with 'uois-sam weights fetch sam_vit_b', or give your own"):
        refuse_impostor(wrong)


def test_check(entry, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    from uois_sam_ros.models.heads import build_head, save_head
    from uois_sam_ros.models.sam import build_sam

    files = {name: tmp_path / f"{name}.pth" for name in ("official", "own", "head", "cut", "other", "none")}
    files["official"].write_bytes(CONTENT)
    torch.save(build_sam("tiny").state_dict(), files["own"])
    save_head(files["head"], "sam_tiny_hdnet", build_head("sam_tiny_hdnet"))
    files["cut"].write_bytes(files["own"].read_bytes()[:100_000])
    torch.save({"a": torch.zeros(1)}, files["other"])
    assert main(["weights", "check", *map(str, files.values())]) == 1
    lines = capsys.readouterr().out.splitlines()
    expected = ("ok .*SAM ViT-B, the official file", "ok .*SAM tiny, readable and complete, but not an official file",
                "ok .*sam_tiny_hdnet, readable", "FAIL .*it is truncated or no checkpoint",
                "FAIL .*got an unknown network with 1 entries", "FAIL .*expected a file, got none")
    assert len(lines) == len(expected)
    for line, words in zip(lines, expected):
        assert re.match(words, line), line
    assert main(["weights", "check", str(files["own"]), str(files["head"])]) == 0


def test_check_without_torch_knows_official_files(entry, tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("uois_sam_ros.models.")]:
        if "official" not in name and "spec" not in name:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    (tmp_path / "a.pth").write_bytes(CONTENT)
    (tmp_path / "b.pth").write_bytes(b"other")
    assert main(["weights", "check", str(tmp_path / "a.pth")]) == 0
    assert main(["weights", "check", str(tmp_path / "b.pth")]) == 1
    assert "torch, which could tell what it is, is not installed" in capsys.readouterr().out
