"""The command: verbs, exit codes and one-line refusals."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from uois_sam_ros import cli
from uois_sam_ros.errors import FrameError

VERBS = ("segment", "eval", "ladder", "replay", "play", "bench", "synth", "train", "doctor")


def run(monkeypatch, action, *arguments):
    """Run a verb whose handler is ``action``."""

    def register(verbs: argparse._SubParsersAction) -> None:
        parser = verbs.add_parser("try")
        parser.set_defaults(handler=action)

    monkeypatch.setattr(cli, "AREAS", (argparse.Namespace(register=register),))
    return cli.main([*arguments, "try"])


def raising(error):
    def action(_):
        raise error

    return action


@pytest.mark.parametrize("code", [0, 1])
def test_exit_code_is_the_handlers(monkeypatch, code):
    assert run(monkeypatch, lambda _: code) == code


def test_refusal_is_one_line_and_exit_code_2(monkeypatch, capsys):
    assert run(monkeypatch, raising(FrameError("depth: expected\n  metres, got feet"))) == 2
    captured = capsys.readouterr()
    assert captured.err == "uois-sam: error: depth: expected metres, got feet\n"
    assert captured.out == ""


@pytest.mark.parametrize("after", [False, True])
def test_debug_shows_the_traceback(monkeypatch, capsys, after):
    if after:
        monkeypatch.setattr(sys, "argv", ["uois-sam", "try", "--debug"])
        monkeypatch.setattr(cli, "AREAS", (argparse.Namespace(register=lambda verbs: verbs.add_parser(
            "try").set_defaults(handler=raising(FrameError("bad"))),),))
        assert cli.main() == 2
    else:
        assert run(monkeypatch, raising(FrameError("bad")), "--debug") == 2
    assert "Traceback" in capsys.readouterr().err


def test_operating_system_errors_are_refusals(monkeypatch, capsys):
    assert run(monkeypatch, raising(PermissionError(13, "Permission denied", "/out"))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("uois-sam: error: ")
    assert "expected files that can be read and written, got: [Errno 13] Permission denied: '/out'; check" in line


def test_programming_errors_are_not_hidden(monkeypatch):
    with pytest.raises(KeyError):
        run(monkeypatch, raising(KeyError("x")))
    with pytest.raises(ModuleNotFoundError):
        run(monkeypatch, raising(ModuleNotFoundError("no", name="uois_sam_ros.nothing")))


def test_missing_package_names_it(monkeypatch, capsys):
    monkeypatch.setitem(cli.EXTRAS, "try", "synth")
    assert run(monkeypatch, raising(ModuleNotFoundError("no", name="mujoco.viewer"))) == 2
    assert "expected the package 'mujoco.viewer', got none; in the source tree: pip install '.[synth]'" in (
        capsys.readouterr().err)


def test_interrupt(monkeypatch, capsys):
    assert run(monkeypatch, raising(KeyboardInterrupt())) == 130
    assert "what was written stays" in capsys.readouterr().err


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([verb, "--help"])
    assert caught.value.code == 0
    assert f"uois-sam {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["sing"], ["segment", "--no-such-option"], ["segment", "x"]])
def test_bad_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: uois-sam" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    code = ("import sys\nfrom uois_sam_ros.cli import main\n"
            "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
            "heavy = {'cv2', 'onnxruntime', 'torch', 'rosbags', 'mujoco', 'scipy', 'matplotlib', 'yaml'}\n"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)")
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "examples:" in result.stdout


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    from uois_sam_ros import __version__

    assert capsys.readouterr().out.strip() == f"uois-sam {__version__}"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--workers", "-1"], "--workers: expected 0"),
    (["--scenes", "0"], "scenes: expected a whole number of at least 1, got 0"),
    (["--preview", "no/such/folder/a.png"], "--preview: expected a .png file in a folder that exists"),
    (["--preview", "a.jpg"], "--preview: expected a .png file"),
])
def test_synth_refusals(arguments, message, tmp_path, capsys):
    base = ["synth", "--out", str(tmp_path / "out"), "--scenes", "1", "--seed", "0"]
    assert cli.main([*base, *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_synth_generates_and_previews(tmp_path, monkeypatch, capsys):
    pytest.importorskip("mujoco", reason="synthetic scenes need the synth extra")
    pytest.importorskip("embreex", reason="synthetic scenes need the synth extra")
    preview = tmp_path / "montage.png"
    assert cli.main(["synth", "--out", str(tmp_path / "out"), "--scenes", "1", "--seed", "3", "--views", "1",
                     "--width", "80", "--height", "64", "--preview", str(preview)]) == 0
    assert "1 frames" in capsys.readouterr().out
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert preview.read_bytes()[1:4] == b"PNG"
