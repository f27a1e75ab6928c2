"""docs/reproduce.md is followed step by step on stand-in trees: with what the package ships, and with small stand-ins
for SAM and DINOv2 whose heads are trained on the way."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from standintrees import write_housecat6d, write_ocid, write_osd, write_phocal, write_uoais_sim

from uois_sam_ros.cli import build_parser, main
from uois_sam_ros.replay.reproduce.tables import TABLES

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "reproduce.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.S | re.M) for line in block.splitlines()]
#: Verbs that want official weights or a GPU: their arguments are read, nothing more.
NOT_HERE = ("weights", "train", "export")


def test_every_command_is_understood():
    parser = build_parser()
    for line in COMMANDS:
        program, *arguments = shlex.split(line)
        assert program == "uois-sam"
        parser.parse_args(arguments)


def test_folders_are_made_before_they_are_used():
    """What a command reads was written by one above it, or is downloaded data."""
    made = {"models/p1", "models/p100"}  # of the same step with another --fraction, as the page says
    for line in COMMANDS:
        words = shlex.split(line)
        paths = {part for word in words for part in re.split("[=:]", word) if part.startswith(("models/", "runs/"))}
        out = words[words.index("--out") + 1] if "--out" in words else ""
        unknown = {path for path in paths if not any(path.startswith(known) for known in made | {out} - {""})}
        assert not unknown, line
        made.add(out or "-")


def test_the_steps_on_stand_ins(tmp_path, monkeypatch, capsys):
    if not (ROOT / "engines" / "manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to run")
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    write_ocid(data / "OCID-dataset", frames=1)
    write_osd(data / "OSD-0.2-depth")
    write_phocal(data / "PhoCAL")
    write_housecat6d(data / "HouseCat6D")
    (tmp_path / "models").mkdir()
    for name in ("p1", "p10", "p100"):
        (tmp_path / "models" / name).symlink_to(ROOT / "engines")
    for line in COMMANDS:
        arguments = shlex.split(line)[1:]
        if arguments[0] in NOT_HERE:
            continue
        if arguments[0] == "reproduce" and "--preset" not in arguments:
            arguments += ["--preset", "compact" if arguments[1] in ("table4", "table5") else "geometry"]
        expected = 1 if arguments[:2] == ["dataset", "check"] else 0  # stand-ins are not complete
        assert main(arguments) == expected, line
    shown = capsys.readouterr().out
    assert (shown.count("this run: geometry"), shown.count("this run: compact")) == (4, 1)
    assert "not run" in shown and shown.count("NOT COMPARABLE") == 7
    (runs,) = (tmp_path / "reproduction/runs").glob("*/housecat6d.jsonl")
    assert {path.name for path in (tmp_path / "reproduction").glob("*.json")} == {f"{name}.json" for name in TABLES}
    for text in ("run.json", "ocid.jsonl", "phocal/sequence_1/000000_label.png", "phocal/sequence_1/000000.json"):
        assert (runs.parent / text).exists(), "what the page lists is there"
    assert main(["gallery", "osd:data/OSD-0.2-depth", "--labels", str(runs.parent / "osd"), "--out", "kept.html"]) == 0


#: The page's words -> what a test has in their place.
SMALL = {"paper": "paper-tiny", "cuda": "cpu", "weights/sam_vit_l_0b3195.pth": "weights/sam_tiny.pth",
         "weights/dinov2_vits14_pretrain.pth": "weights/dinov2_tiny.pth"}


def test_training_export_and_tables_on_stand_ins(tmp_path, monkeypatch, capsys):
    """Steps 2 and 3 as they are written but for the networks' size; the official files are not fetched."""
    pytest.importorskip("torch", reason="training needs the train extra")
    pytest.importorskip("onnxscript", reason="export needs the train extra")
    from tinynets import write_tiny_checkpoints

    monkeypatch.chdir(tmp_path)
    write_uoais_sim(tmp_path / "data/UOAIS-Sim")
    write_ocid(tmp_path / "data/OCID-dataset", frames=1)
    write_osd(tmp_path / "data/OSD-0.2-depth", frames=1)
    write_phocal(tmp_path / "data/PhoCAL")
    write_housecat6d(tmp_path / "data/HouseCat6D")
    write_tiny_checkpoints(tmp_path / "weights")
    (tmp_path / "small.yaml").write_text("preset: paper-tiny\nprompting: {grid_side: 3}\n")
    ran = []
    for line in COMMANDS:
        arguments = [SMALL.get(word, word) for word in shlex.split(line)[1:]]
        if arguments[0] not in ("train", "export", "reproduce") or "compact" in arguments:
            continue
        if arguments[0] == "train":
            arguments += ["--epochs", "1", "--threads", "1", "--workers", "0"]
        if arguments[0] == "reproduce":
            arguments += ["--config", "small.yaml"]
        assert main(arguments) == 0, (line, capsys.readouterr().err)
        ran.append(arguments[1])
        if arguments[0] == "export":  # the same step with another --fraction, as the page says
            for name in ("p1", "p100"):
                (tmp_path / "models" / name).symlink_to(tmp_path / "models/p10")
    assert ran == ["hpg", "hdnet", "--preset", "table2", "table3", "table4", "table5"]
    shown = capsys.readouterr().out
    assert shown.count("1 frames to train on, 1 to validate with") == 2, "a tenth of the frames that do not validate"
    assert shown.count("this run: small") == 4 and "+ HDNet" in shown
    (run,) = {json.loads(path.read_text())["preset"] for path in (tmp_path / "reproduction/runs").glob("*/run.json")}
    assert run == "small"


def test_tables_of_the_page():
    listed = dict(re.findall(r"^\| `reproduce (\w+)` \| (\w+) \|", PAGE, re.M))
    assert set(listed) == set(TABLES)
    assert all(TABLES[name].title.startswith(f"Table {number}:") for name, number in listed.items())


def test_links():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
