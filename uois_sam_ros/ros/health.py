"""What goes to /diagnostics: one status in words and numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .counts import Counts
from .notices import ERROR, Notice
from .stats import Summary

OK, WARN, FAULT = 0, 1, 2


@dataclass(frozen=True)
class Health:
    """One diagnostic status.

    Attributes:
        level: ``OK``, ``WARN`` or ``FAULT``; the values of diagnostic_msgs/DiagnosticStatus.
        message: one sentence.
        values: key -> text.
    """

    level: int
    message: str
    values: Mapping[str, str]


def assess(state: str, counts: Counts, summary: Summary, notices: Mapping[str, Notice],
           facts: Mapping[str, str]) -> Health:
    """Sum up.

    Args:
        state: of the lifecycle, "active" or another.
        facts: backend, models, preset and modes.
    """
    values = {"state": state, **facts, "rate_hz": f"{summary.rate_hz:.1f}", "objects": str(summary.objects)}
    values.update({f"frames_{name}": str(number) for name, number in counts.as_dict().items()})
    for name, (median, worst) in summary.stages_ms.items():
        values[f"{name}_ms_p50"], values[f"{name}_ms_p99"] = f"{median:.2f}", f"{worst:.2f}"
    values["skew_ms_p50"], values["skew_ms_max"] = (f"{value:.2f}" for value in summary.skew_ms)
    values["valid_depth"] = f"{summary.valid_depth:.3f}"
    values["degraded"] = "; ".join(sorted(notices)) or "no"
    values.update({f"notice_{key}": f"{n.text} ({n.count} times)" for key, n in sorted(notices.items())})
    if notices:
        worst = max(notices.values(), key=lambda notice: (notice.level == ERROR, notice.last))
        return Health(FAULT if worst.level == ERROR else WARN, worst.text, values)
    if state != "active":
        return Health(OK, state, values)
    if summary.samples == 0:
        return Health(OK, "active, no pair processed yet", values)
    return Health(OK, f"{summary.rate_hz:.1f} Hz, {summary.objects} objects in the newest frame", values)
