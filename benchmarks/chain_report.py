"""Tables of ``paper_chain.py``: means, and gains paired over test frames with 95 % bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from uois_sam_ros.replay.bootstrap import paired_difference
from uois_sam_ros.replay.ladder import GEOMETRY
from uois_sam_ros.replay.report import format_table

CONTROLS = ("shuffled iou", "shuffled labels")


def summarise(frames: Sequence[dict[str, Any]], percents: Sequence[int], quality: dict[str, dict[str, float]]) -> dict:
    """Return the tables as plain data.

    Args:
        frames: see ``paper_chain.score_one``. quality: of every HDNet on validation clicks.
    """
    whole = max(percents)
    return {"ladder": _ladder(frames), "choice": _choice(frames, whole, quality),
            "fractions": [_against(frames, percent, whole, quality) for percent in percents],
            "controls": [_against(frames, name, whole, quality) for name in CONTROLS]}


def _ladder(frames: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    seeds = list(frames[0]["rungs"])
    rows, above = [], None
    for rung in frames[0]["rungs"][seeds[0]]:
        table = {key: np.array([[frame["rungs"][seed][rung][key] for seed in seeds] for frame in frames])
                 for key in ("f", "bf", "p75")}
        row: dict[str, Any] = {"rung": rung, **{key: float(values.mean()) for key, values in table.items()},
                               "f_of_seeds": table["f"].mean(0).tolist()}
        prompts = [frame["rungs"][seed][rung].get("prompts") for frame in frames for seed in seeds]
        if prompts[0]:
            row["prompts"] = {key: float(np.mean([p[key] for p in prompts])) for key in prompts[0]}
        mean = table["f"].mean(1)
        if above is not None and rung != GEOMETRY:
            row["gain"] = asdict(paired_difference(above, mean))
        above = None if rung == GEOMETRY else mean
        rows.append(row)
    return rows


def _choice(frames: Sequence[dict[str, Any]], whole: int, quality: dict[str, dict[str, float]]) -> dict[str, Any]:
    """HDNet's choice among a prompt's masks: on the prompts of HPG (test frames), on clicks (validation frames)."""
    names = [name for name in frames[0]["heads"] if name.startswith(f"{whole}/")]
    kept = [frame for frame in frames if all(frame["heads"][name]["choice"] for name in names)]
    if not kept:
        return {"prompts": None, "clicks": _clicks(names, quality)}
    iou = {key: np.array([np.mean([100 * frame["heads"][name]["choice"][key] for name in names]) for frame in kept])
           for key in ("decoder", "refined", "oracle")}
    gap, gain = iou["oracle"] - iou["decoder"], iou["refined"] - iou["decoder"]
    return {"prompts": {**{key: float(values.mean()) for key, values in iou.items()}, "frames": len(kept),
                        "gain": asdict(paired_difference(iou["decoder"], iou["refined"])),
                        "gap_closed": float(gain.mean() / gap.mean())}, "clicks": _clicks(names, quality)}


def _clicks(names: Sequence[str], quality: dict[str, dict[str, float]]) -> dict[str, Any]:
    mean = {key: float(np.mean([100 * quality[name][key] for name in names]))
            for key in ("random", "decoder", "hdnet", "oracle")}
    return {**mean, "count": quality[names[0]]["clicks"],
            "gap_closed": (mean["hdnet"] - mean["decoder"]) / (mean["oracle"] - mean["decoder"])}


def _against(frames: Sequence[dict[str, Any]], name: int | str, whole: int,
             quality: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Compare heads trained in one way, over all seeds, with those that saw all frames."""
    def mean(kind: int | str, key: str) -> list[float]:
        return [float(np.mean([heads[key] for run, heads in frame["heads"].items() if run.startswith(f"{kind}/")]))
                for frame in frames]

    found = [row for run, row in quality.items() if run.startswith(f"{name}/")]
    of_seeds = [float(np.mean([frame["heads"][run]["f"] for frame in frames]))
                for run in frames[0]["heads"] if run.startswith(f"{name}/")]
    return {"heads": str(name), **{key: float(np.mean(mean(name, key))) for key in ("f", "bf", "p75")},
            "f_of_seeds": of_seeds, "against_all": asdict(paired_difference(mean(whole, "f"), mean(name, "f"))),
            "choice_on_clicks": float(np.mean([100 * row["hdnet"] for row in found]))}


def print_report(result: dict[str, Any]) -> None:
    """Print the tables."""
    counts = result["counts"]
    print(f"\n{result['preset']}: heads trained on {counts['train']} frames, {counts['test']} test frames, "
          f"{result['plan']['seeds']} seeds; percent, mean over frames and seeds\n")
    rows = [[row["rung"], *_scores(row), *_prompts(row), interval(row.get("gain")), _seeds(row)]
            for row in result["ladder"]]
    print(format_table(("rung", "F", "bF", "%75", "prompts", "P", "R", "F gained [95 %]", "F of each seed"), rows))
    print()
    choice = result["choice"]
    rows = [[f"{choice['clicks']['count']} validation clicks", *(f"{choice['clicks'][key]:.1f}" for key in
             ("decoder", "hdnet", "oracle")), f"{100 * choice['clicks']['gap_closed']:.0f} %", ""]]
    if choice["prompts"]:
        rows.append([f"prompts of HPG, {choice['prompts']['frames']} frames", *(
            f"{choice['prompts'][key]:.1f}" for key in ("decoder", "refined", "oracle")),
            f"{100 * choice['prompts']['gap_closed']:.0f} %", interval(choice["prompts"]["gain"])])
    head = ("mean IoU of the chosen mask", "decoder's score", "HDNet", "oracle", "gap closed", "gain [95 %]")
    print(format_table(head, rows))
    print()
    rows = [[row["heads"] + (" %" if row["heads"].isdigit() else ""), *_scores(row), f"{row['choice_on_clicks']:.1f}",
             interval(row["against_all"]), _seeds(row)] for row in (*result["fractions"], *result["controls"])]
    print(format_table(("trained on", "F", "bF", "%75", "choice IoU", "F against all [95 %]", "F of each seed"), rows))


def plot_fractions(result: dict[str, Any], path: Path) -> None:
    """Draw overlap F over the share of the training frames: each seed, their mean, and the paper's 2 F below all."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [(int(row["heads"]), row) for row in result["fractions"]]
    figure, axis = pyplot.subplots(figsize=(4.2, 2.8))
    axis.plot([percent for percent, _ in rows], [row["f"] for _, row in rows], linewidth=1, label="mean")
    for percent, row in rows:
        axis.plot([percent] * len(row["f_of_seeds"]), row["f_of_seeds"], ".", color="0.4")
    axis.axhline(rows[-1][1]["f"] - 2, linewidth=1, linestyle=":", color="0.4", label="2 F below all")
    axis.set_xscale("log")
    axis.set_xticks([percent for percent, _ in rows], [f"{percent} %" for percent, _ in rows])
    axis.set_xlabel(f"of {result['counts']['train']} training frames", fontsize=8)
    axis.set_ylabel(f"overlap F, {result['counts']['test']} test frames", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _scores(row: dict[str, Any]) -> list[str]:
    return [f"{row[key]:.1f}" for key in ("f", "bf", "p75")]


def _prompts(row: dict[str, Any]) -> list[str]:
    if "prompts" not in row:
        return ["-"] * 3
    found = row["prompts"]
    return [f"{found['count']:.1f}", f"{100 * found['precision']:.1f}", f"{100 * found['recall']:.1f}"]


def _seeds(row: dict[str, Any]) -> str:
    return " ".join(f"{value:.1f}" for value in row["f_of_seeds"])


def interval(gain: dict[str, float] | None) -> str:
    """Return a difference with its interval; nothing for ``None``."""
    return f"{gain['mean']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}]" if gain else ""
