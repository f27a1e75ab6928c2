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


def summarise(frames: Sequence[dict[str, Any]], percents: Sequence[int],
              choice: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return the tables as plain data.

    Args:
        frames: see ``paper_chain.score_one``. choice: of all heads, see ``chain_runs.Heads``.
    """
    whole = max(percents)
    return {"ladder": _ladder(frames), "choice": {"prompts": _on_prompts(frames, whole), **{
                str(name): _on_clicks(choice, name) for name in (*percents, CONTROLS[0])}},
            "fractions": [_against(frames, percent, whole) for percent in percents],
            "controls": [_against(frames, name, whole) for name in CONTROLS]}


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


def _on_prompts(frames: Sequence[dict[str, Any]], whole: int) -> dict[str, Any] | None:
    """HDNet's choice among the masks of the prompts of HPG, on test frames with a prompt on an object."""
    names = [name for name in frames[0]["heads"] if name.startswith(f"{whole}/")]
    kept = [frame for frame in frames if all(frame["heads"][name]["choice"] for name in names)]
    return _choice({key: np.array([np.mean([100 * frame["heads"][name]["choice"][theirs] for name in names])
                                   for frame in kept])
                    for key, theirs in (("decoder", "decoder"), ("hdnet", "refined"), ("oracle", "oracle"))}
                   ) if kept else None


def _on_clicks(choice: dict[str, dict[str, np.ndarray]], kind: int | str) -> dict[str, Any]:
    """HDNet's choice among the masks of clicks, on validation frames."""
    runs = [row for name, row in choice.items() if name.startswith(f"{kind}/")]
    return _choice({key: np.mean([row[key] for row in runs], axis=0) for key in runs[0]})


def _choice(iou: dict[str, np.ndarray]) -> dict[str, Any]:
    """Summarise the IoU of the chosen masks, a value a frame: HDNet against the decoder's own score."""
    mean = {key: float(values.mean()) for key, values in iou.items()}
    return {**mean, "frames": len(iou["hdnet"]), "gain": asdict(paired_difference(iou["decoder"], iou["hdnet"])),
            "gap_closed": (mean["hdnet"] - mean["decoder"]) / (mean["oracle"] - mean["decoder"])}


def _against(frames: Sequence[dict[str, Any]], name: int | str, whole: int) -> dict[str, Any]:
    """Compare heads trained in one way, over all seeds, with those that saw all frames."""
    def mean(kind: int | str, key: str) -> list[float]:
        return [float(np.mean([heads[key] for heads in of_kind(frame, kind)])) for frame in frames]

    def of_kind(frame: dict[str, Any], kind: int | str) -> list[dict[str, Any]]:
        return [heads for run, heads in frame["heads"].items() if run.startswith(f"{kind}/")]

    f = [[heads["f"] for heads in of_kind(frame, name)] for frame in frames]
    silent = [heads["prompts"] == 0 for frame in frames for heads in of_kind(frame, name)]
    return {"heads": str(name), **{key: float(np.mean(mean(name, key))) for key in ("f", "bf", "p75")},
            "f_of_seeds": np.mean(f, axis=0).tolist(), "without_prompts": float(np.mean(silent)),
            "against_all": asdict(paired_difference(mean(whole, "f"), mean(name, "f")))}


def print_report(result: dict[str, Any]) -> None:
    """Print the tables."""
    counts = result["counts"]
    print(f"\n{result['preset']}: heads trained on {counts['train']} frames, {counts['test']} test frames, "
          f"{result['plan']['seeds']} seeds; percent, mean over frames and seeds\n")
    rows = [[row["rung"], *_scores(row), *_prompts(row), interval(row.get("gain")), _seeds(row)]
            for row in result["ladder"]]
    print(format_table(("rung", "F", "bF", "%75", "prompts", "P", "R", "F gained [95 %]", "F of each seed"), rows))
    print()
    kinds = {"prompts": "prompts of HPG, test frames", **{kind: f"{heads_name(kind)}, validation clicks"
                                                          for kind in result["choice"] if kind != "prompts"}}
    rows = [[name, *(f"{row[key]:.1f}" for key in ("decoder", "hdnet", "oracle")), f"{100 * row['gap_closed']:.0f} %",
             interval(row["gain"]), str(row["frames"])]
            for name, row in ((name, result["choice"][kind]) for kind, name in kinds.items()) if row]
    head = ("IoU of the chosen mask", "decoder's score", "HDNet", "oracle", "gap closed", "gain [95 %]", "frames")
    print(format_table(head, rows))
    print()
    rows = [[heads_name(row["heads"]), *_scores(row), f"{100 * row['without_prompts']:.0f} %",
             interval(row["against_all"]), _seeds(row)] for row in (*result["fractions"], *result["controls"])]
    print(format_table(("trained on", "F", "bF", "%75", "no prompt", "F against all [95 %]", "F of each seed"), rows))


def heads_name(kind: str) -> str:
    """Return what heads were trained on, in words."""
    return f"{kind} %" if kind.isdigit() else kind


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
