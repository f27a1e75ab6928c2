"""Time a configuration, alone and in turns with an opponent, as JSON values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from .. import machine
from ..config import SegmenterConfig
from ..models.spec import model_spec
from ..runtime.base import Model, thread_count
from ..types import Frame
from .conditions import conditions, gpu_memory_mb
from .opponents import Opponent
from .timing import WARM_UP, Side, Timed, TimedSegmenter, in_turns, summary

#: ``ModelSpec.kind`` -> the stage that runs such a network.
STAGE_OF = {"encoder": "encoding", "head": "encoding", "decoder": "decoding", "rescorer": "rescoring"}
COPIES = "included: a frame in numpy arrays goes in, a label image in a numpy array comes out"


def measure(config: SegmenterConfig, frames: Sequence[Frame], count: int, against: Opponent | None = None, *,
            points: int = 0, models: Mapping[str, Model] | None = None,
            gpu_before_mb: float | None = None) -> dict[str, Any]:
    """Time ``count`` frames, then again in turns with an opponent.

    Args:
        points: decode that many evenly spread points a frame; 0 = those that the prompter finds.
        models: as ``timed_models`` loads them, which is the default.
        gpu_before_mb: memory in use on the GPUs before anything was loaded; ``None`` without a GPU.

    Returns:
        JSON values: "stages_ms" (name -> p50, p90, p99, mean), "profile" (stage -> what is inside and outside the
        networks; empty on the device frame path), "frames_per_second" (of the median), "throughput" (frames by the
        time of the whole run), "objects_mean", "prompts_mean", "peak_memory_mb", "gpu_memory_mb" where there is a GPU,
        "machine", "conditions", "threads", and "against".
    """
    side = TimedSegmenter(config, models, points=points)
    warm_up = min(WARM_UP, count)
    begin = perf_counter()
    (timed,) = in_turns([_frame_by_frame(side, frames)], count, warm_up)
    elapsed = perf_counter() - begin
    stages = {name: summary([one.ms[name] for one in timed]) for name in timed[0].ms}
    one_by_one = config.runtime.frame_path == "host"  # elsewhere nobody stands between the networks
    if one_by_one:
        stages["networks"] = summary([sum(one.networks_ms.values()) for one in timed])
    report: dict[str, Any] = {
        "picture": f"{frames[0].width}x{frames[0].height}",
        "frames": count,
        "threads": thread_count(config.runtime.threads),
        "backend": config.runtime.backend,
        "frame_path": config.runtime.frame_path,
        "copies": COPIES,
        "injected_points": points,
        "stages_ms": stages,
        "profile": profile(timed) if one_by_one else {},
        "frames_per_second": round(1000 / stages["total"]["p50"], 2),
        "throughput": round((warm_up + count) / elapsed, 2),
        "objects_mean": round(float(np.mean([one.objects for one in timed])), 1),
        "prompts_mean": round(float(np.mean([one.prompts for one in timed])), 1),
        "peak_memory_mb": round(machine.peak_memory_mb(), 1),
        "conditions": conditions(),
        "machine": machine.describe(),
    }
    if gpu_before_mb is not None:
        report["gpu_memory_mb"] = round((gpu_memory_mb() or gpu_before_mb) - gpu_before_mb, 1)
    if against is not None:
        report["against"] = _compare(side, against, frames, count)
    return report


def profile(timed: Sequence[Timed]) -> dict[str, dict[str, float]]:
    """Return for every stage the milliseconds inside its networks and outside, and the latter's share of the frame.

    Medians over frames; "other" is what lies between the stages.
    """
    rows: dict[str, list[tuple[float, float, float]]] = {}
    for one in timed:
        inside = dict.fromkeys(one.ms, 0.0)
        for name, spent in one.networks_ms.items():
            inside[STAGE_OF[model_spec(name).kind]] += spent
        total = one.ms["total"]
        parts = {name: (inside[name], spent - inside[name]) for name, spent in one.ms.items() if name != "total"}
        parts["other"] = 0.0, total - sum(map(sum, parts.values()))
        for name, (network, rest) in parts.items():
            rows.setdefault(name, []).append((network, rest, rest / total))
    medians = {name: np.median(values, axis=0) for name, values in rows.items()}
    return {name: {"networks_ms": round(float(network), 2), "rest_ms": round(float(rest), 2),
                   "rest_share": round(float(share), 3)} for name, (network, rest, share) in medians.items()}


def _frame_by_frame(side: Side, frames: Sequence[Frame]) -> Callable[[int], Timed]:
    return lambda turn: side(frames[turn % len(frames)])


def _compare(side: Side, against: Opponent, frames: Sequence[Frame], count: int) -> dict[str, Any]:
    """Alternate both sides; a ratio above 1 says that the configured one is faster."""
    other, facts = against.make()
    steps = [_frame_by_frame(side, frames), _frame_by_frame(other, frames)]
    ours, theirs = in_turns(steps, count, min(against.warm_up, count))
    rows = {name: _ratio([one.ms[name] for one in ours], [one.ms[name] for one in theirs])
            for name in ours[0].ms if name in theirs[0].ms}
    if ours[0].networks_ms and theirs[0].networks_ms:
        rows["networks"] = _ratio(*([sum(one.networks_ms.values()) for one in timed] for timed in (ours, theirs)))
    return {"name": against.name, **facts,
            "objects_mean": round(float(np.mean([one.objects for one in theirs])), 1),
            "prompts_mean": round(float(np.mean([one.prompts for one in theirs])), 1),
            "peak_memory_of_both_mb": round(machine.peak_memory_mb(), 1), "stages": rows}


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    pairs = [other / max(own, 1e-6) for own, other in zip(ours, theirs)]
    return {"configured_ms": summary(ours), "against_ms": summary(theirs),
            "ratio_median": round(float(np.median(pairs)), 2)}
