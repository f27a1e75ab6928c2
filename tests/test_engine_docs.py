"""docs/engines.md, docs/jetson.md, the issue template: commands exist, links lead somewhere, figures are the code's."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from uois_sam_ros.cli import build_parser
from uois_sam_ros.config import PRESETS, RuntimeConfig, check, update
from uois_sam_ros.runtime.parity_report import GATES
from uois_sam_ros.runtime.tensorrt_backend import TensorRtBackend

ROOT = Path(__file__).parents[1]
PAGES = ("docs/engines.md", "docs/jetson.md", ".github/ISSUE_TEMPLATE/bench.md")
TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
COMMANDS = [(page, line.split("#")[0].split("[")[0].strip()) for page, text in TEXTS.items()
            for block in re.findall(r"```\n(.*?)```", text, re.S) for line in block.splitlines()
            if line.strip().startswith("uois-sam")]


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_exist(page, command):
    build_parser().parse_args(shlex.split(command)[1:])


def test_there_are_commands():
    assert len(COMMANDS) >= 8 and {page for page, _ in COMMANDS} == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", TEXTS[page]):
        assert (ROOT / page).parent.joinpath(target).resolve().exists(), target


def test_gate_table_is_the_gate():
    same, int8 = GATES["fp32"], GATES["int8"]
    assert GATES["fp16"] == same
    for what, word, name in (("mean IoU", "at least", "mask_iou"), ("mean difference", "at most", "score_error"),
                             ("overlap F", "at least", "instance_f")):
        (row,) = [line for line in TEXTS["docs/engines.md"].splitlines() if line.startswith("| ") and f"{what} of" in line]
        assert f"| {word} {getattr(same, name):g} | {word} {getattr(int8, name):g} |" in row


def test_settings_and_presets_exist():
    known = {spec.name for spec in fields(RuntimeConfig)}
    for page in PAGES[:2]:
        assert set(re.findall(r"`runtime\.(\w+)", TEXTS[page])) <= known
    backends = re.findall(r"^\| `(\w+)`(?: \(default\))? \| (?:proc|Jetson|RTX|the)", TEXTS["docs/engines.md"], re.M)
    assert len(backends) == 5
    for backend in backends:
        check(update(RuntimeConfig(), {"backend": backend}))
    rows = re.findall(r"^\| `([\w-]+)`[^|]*\| [\d.]+ [MG]B", TEXTS["docs/jetson.md"], re.M)
    assert len(rows) == 5 and set(rows) <= set(PRESETS)


def test_what_was_not_measured_is_said():
    assert "has not been measured on a GPU here" in TEXTS["docs/engines.md"].replace("\n", " ")
    assert "**Nothing on this page has been measured on a Jetson.**" in TEXTS["docs/jetson.md"]
    assert TensorRtBackend.versions == (10, 11)
