"""docs/adapting.md is executed: every command, on small pictures, with stand-ins in the place of official weights."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("onnxscript", reason="export needs the train extra")
from blockscenes import block_frame, write_block_shards  # noqa: E402
from tinynets import write_tiny_checkpoints  # noqa: E402

from uois_sam_ros.cli import build_parser, main  # noqa: E402
from uois_sam_ros.training.commands import DEFAULTS  # noqa: E402
from uois_sam_ros.training.fit import FitConfig  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "adapting.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for block in re.findall(r"^```bash\n(.*?)^```$", PAGE, re.S | re.M)
            for line in block.splitlines()]
#: What makes a command small enough for a test.
SMALL = {"standins": ["--samples", "2", "--batch", "1"], "hpg": ["--epochs", "1"], "hdnet": ["--epochs", "1"]}


STAND_INS = {"paper": "paper-tiny", "weights/sam_vit_l_0b3195.pth": "weights/sam_tiny.pth",
             "weights/dinov2_vits14_pretrain.pth": "weights/dinov2_tiny.pth"}


def write_frames(folder: Path, seeds: range, *, label: bool = True) -> None:
    """Write block scenes as a folder of pictures."""
    folder.mkdir()
    for seed in seeds:
        frame = block_frame(seed)
        cv2.imwrite(str(folder / f"{seed:02d}_color.png"), frame.color[..., ::-1])
        cv2.imwrite(str(folder / f"{seed:02d}_depth.png"), np.round(frame.depth_m * 1000).astype(np.uint16))
        if label:
            cv2.imwrite(str(folder / f"{seed:02d}_label.png"), frame.label)
    fx, fy, cx, cy = (float(value) for value in frame.intrinsics)
    (folder / "manifest.json").write_text(json.dumps(
        {"depth_scale": 0.001, "intrinsics": {"fx": fx, "fy": fy, "cx": cx, "cy": cy}, "images": []}))


def test_every_command_runs(tmp_path, monkeypatch, capsys):
    if not (ROOT / "engines" / "manifest.json").exists():
        pytest.skip("engines/manifest.json is not there: no trained model to adapt")
    write_frames(tmp_path / "my_frames", range(3))
    write_frames(tmp_path / "my_test_frames", range(10, 12))
    write_frames(tmp_path / "my_pictures", range(20, 21), label=False)
    write_block_shards(tmp_path / "shards", shards=1, frames=3)
    write_tiny_checkpoints(tmp_path / "weights")
    monkeypatch.chdir(tmp_path)
    seen: list[list[str]] = []
    for program, *arguments in COMMANDS:
        assert program == "uois-sam"
        arguments = [STAND_INS.get(word, word) for word in arguments]
        if arguments[0] in ("export", "segment") and arguments[:4] in seen:
            continue  # the same, once more with other stand-ins
        if arguments[0] == "train":
            arguments += SMALL.get(arguments[1], [])
            if arguments[1] in ("hpg", "hdnet") and "--preset" not in arguments:
                arguments += ["--views", "1"]
        assert main(arguments) == 0, (arguments, capsys.readouterr().err)
        seen.append(arguments[:4])
    assert {"segment", "dataset", "eval", "train", "compare", "export"} <= {arguments[0] for arguments in seen}
    assert (tmp_path / "site_models" / "manifest.json").exists() and (tmp_path / "compare.html").exists()
    assert len(list((tmp_path / "out_paper").rglob("*_label.png"))) == 1
    assert main(["eval", "coco:my_coco"]) == 0


def test_the_table_tells_the_defaults():
    rows = dict(re.findall(r"^\| `(--[\w-]+).*?` \| .*? \| (.*?) \|$", PAGE, re.M))
    parser = build_parser().parse_args(["train", "hpg", "--out", "x"])
    for option in ("--fraction", "--sigma", "--workers"):
        assert rows[option].split(";")[0] == f"{getattr(parser, option[2:]):g}"
    assert rows["--clicks"].startswith(f"{parser.clicks} and {parser.background:g};")
    assert rows["--cache"] == f"`RUN/cache`, {parser.cache_gb:g}"
    config = FitConfig()
    images, prompts = DEFAULTS["hpg"][1], DEFAULTS["hdnet"][1]
    assert rows["--epochs"].startswith(f"{config.epochs}, 1e-3, {images} images or {prompts} prompts")
    assert DEFAULTS["hpg"][0] == DEFAULTS["hdnet"][0] == config.lr == 1e-3 and config.weight_decay == 1e-4
