"""What each stage earns: the same network and post-processing, one more stage a rung.

grid -> + foreground (grid points on foreground only) -> + heatmap (HPG peaks) -> + foreground score
(mean foreground inside a mask weighs its score) -> + HDNet -> + depth selection (support-plane veto
and metric size limits) -> + focus (a first look finds the part of the picture to segment). A preset whose prompts or scores use depth shows each depth term as a rung: + depth
foreground, + depth score, + plane veto, + metric size. The learning-free geometry baseline is a row of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ..config import SegmenterConfig, preset, update
from ..errors import ConfigError, FrameError
from .evaluate import BySource, track
from .metrics import FrameScores, score_frame
from .sources import Input, Sample
from .stage_metrics import PromptScores, SelectionScores, score_prompts, score_selection

GEOMETRY = "geometry"
_NO_DEPTH_TERMS = {"plane_veto": False, "min_size_m": 0.0, "max_size_m": 10.0}


@dataclass(frozen=True)
class LadderFrame:
    """One labelled frame with its result on every rung; a rung that refused it is missing.

    ``selection`` compares hypotheses on the last rung that has the rescorer.
    """

    source: str
    name: str
    scores: dict[str, FrameScores]
    prompts: dict[str, PromptScores]
    selection: SelectionScores | None = None


@dataclass(frozen=True)
class LadderResult(BySource):
    """All frames, the rungs in order, and what was refused by all rungs."""

    rungs: tuple[str, ...]
    frames: tuple[LadderFrame, ...]
    refused: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"rungs": list(self.rungs), "frames": [asdict(frame) for frame in self.frames],
                "refused": [{"frame": name, "reason": reason} for name, reason in self.refused],
                "notes": list(self.notes)}


def rungs_of(config: SegmenterConfig) -> dict[str, SegmenterConfig]:
    """Return the rungs of a preset, the baseline first.

    Raises:
        ConfigError: the preset has no network whose stages could be taken away.
    """
    if config.method != "network":
        raise ConfigError(f"ladder: expected a preset with networks, got method '{config.method}'; "
                          "use --preset compact")
    weight, prior = config.rescoring.foreground_weight, config.prompting.depth_prior
    focus = config.encoding.focus
    off: dict[str, Any] = {"encoding": {"focus": "off"}, "prompting": {"depth_prior": 0.0}, "selection": _NO_DEPTH_TERMS,
                           "rescoring": {"strategy": "decoder", "foreground_weight": 0.0, "depth_weight": 0.0}}
    rung = update(config, off)
    rungs = {GEOMETRY: update(preset(GEOMETRY), {"encoding": {"depth": config.encoding.depth}})}
    for name, changes in (
            ("grid", {"prompting": {"strategy": "grid"}}), ("+ foreground", {"prompting": {"strategy": "foreground"}}),
            ("+ heatmap", {"prompting": {"strategy": "hpg"}}),
            ("+ foreground score", {"rescoring": {"foreground_weight": weight}}),
            ("+ HDNet", {"rescoring": {"strategy": "hdnet"}}),
            *_depth_steps(config, prior), ("+ focus", {"encoding": {"focus": focus}})):
        if (name == "+ foreground score" and weight == 0) or (name == "+ focus" and focus == "off"):
            continue
        rung = rungs[name] = update(rung, changes)
    return rungs


def _depth_steps(config: SegmenterConfig, prior: float) -> list[tuple[str, dict[str, Any]]]:
    selection = {name: getattr(config.selection, name) for name in _NO_DEPTH_TERMS}
    if prior == 0 and config.rescoring.depth_weight == 0:
        return [("+ depth selection", {"selection": selection})]
    veto = selection.pop("plane_veto")
    return [("+ depth foreground", {"prompting": {"depth_prior": prior}}),
            ("+ depth score", {"rescoring": {"depth_weight": config.rescoring.depth_weight}}),
            ("+ plane veto", {"selection": {"plane_veto": veto}}), ("+ metric size", {"selection": selection})]


def run_rungs(config: SegmenterConfig, samples: Input | Iterable[Sample], *, progress: bool = True,
              make_segmenter: Callable[[SegmenterConfig], Any] | None = None) -> LadderResult:
    """Run every rung over every labelled frame.

    Args:
        make_segmenter: config -> object with ``stages(frame)``; default: ``Segmenter``.

    Raises:
        ConfigError: see ``rungs_of``.
    """
    if make_segmenter is None:
        from ..pipeline import Segmenter as make_segmenter
    segmenters = {name: make_segmenter(rung) for name, rung in rungs_of(config).items()}
    frames, refused, notes = [], [], []
    for sample in track(samples, "ladder", progress):
        where = f"{sample.source}/{sample.name}"
        if sample.frame is None:
            refused.append((where, sample.error or "unreadable"))
        elif sample.truth is not None:
            frame, problems = _run_frame(segmenters, sample)
            notes += [f"{rung} left out {where}: {problem}" for rung, problem in problems.items()]
            if frame.scores:
                frames.append(frame)
            else:
                refused.append((where, next(iter(problems.values()))))
    return LadderResult(tuple(segmenters), tuple(frames), tuple(refused), tuple(notes))


def _run_frame(segmenters: dict[str, Any], sample: Sample) -> tuple[LadderFrame, dict[str, str]]:
    scores, prompts, problems, selection = {}, {}, {}, None
    for rung, segmenter in segmenters.items():
        try:
            stages = segmenter.stages(sample.frame)
        except FrameError as error:
            problems[rung] = str(error)
            continue
        scores[rung] = score_frame(stages.instances.label, sample.truth, sample.ignore)
        if stages.prompts is not None:
            grid = stages.features.grid
            prompts[rung] = score_prompts(stages.prompts, grid, sample.truth, sample.ignore)
            if rung == "+ HDNet":
                selection = score_selection(stages.mask_set, grid, sample.truth, sample.ignore)
    return LadderFrame(sample.source, sample.name, scores, prompts, selection), problems
