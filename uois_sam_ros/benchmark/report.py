"""The report of ``measure`` and ``run_sweep`` as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Share of a frame from which a stage's own work, outside its networks, is pointed at.
LOUD = 0.2


def format_report(report: Mapping[str, Any]) -> str:
    """Return a run as text: what ran where, a row a stage, throughput, memory, the opponent."""
    lines = [*_heading(report),
             f"{report['frames']} frames of {report['input']}, {report['objects_mean']} objects and "
             f"{report['prompts_mean']} prompts a frame; copies {report['copies']}", ""]
    percentiles = list(next(iter(report["stages_ms"].values())))
    shares = ("networks", "rest", "rest/all") if report["profile"] else ()
    lines.append(f"{'ms':12}" + "".join(f"{name:>9}" for name in (*percentiles, *shares)))
    for stage, values in report["stages_ms"].items():
        line = f"{stage:12}" + "".join(f"{value:9.2f}" for value in values.values())
        if stage in report["profile"]:
            part = report["profile"][stage]
            line += f"{part['networks_ms']:9.2f}{part['rest_ms']:9.2f}{part['rest_share']:9.1%}"
        lines.append(line)
    lines += ["", f"{report['frames_per_second']} frames/s (median), {report['throughput']} over the whole run; peak "
                  f"memory {report['peak_memory_mb']:.0f} MB" + _gpu_memory(report)]
    loud = [stage for stage, part in report["profile"].items() if part["rest_share"] > LOUD]
    if loud:
        lines.append(f"outside the networks over {LOUD:.0%} of a frame: {', '.join(loud)}")
    if "startup_ms" in report:
        start = report["startup_ms"]
        lines.append(f"fresh process: start {start['start']:.0f} ms, load {start['load']:.0f}, first frame "
                     f"{start['first_frame']:.0f}; configure to first mask {start['configure_to_first_mask']:.0f} ms")
    if "against" in report:
        lines += _against(report["against"])
    return "\n".join(lines)


def format_sweeps(report: Mapping[str, Any]) -> str:
    """Return the sweeps as text: one table each."""
    lines = _heading(report)
    for name, sweep in report["sweeps"].items():
        rows = sweep["rows"]
        percentiles = [key for key in rows[0]["total_ms"] if key != "mean"]
        stages = list(rows[0]["stages_ms"])
        lines += ["", f"{name}: {sweep['unit']}, {report['rounds']} frames each, ms",
                  f"{'':>10}" + "".join(f"{key:>9}" for key in percentiles)
                  + f"{'ratio':>7}{'objects':>8}{'prompts':>8}" + "".join(f"{stage:>11}" for stage in stages)]
        lines += [f"{row['label']:>10}" + "".join(f"{row['total_ms'][key]:9.2f}" for key in percentiles)
                  + f"{row['ratio']:7.2f}{row['objects_mean']:8.1f}{row['prompts_mean']:8.1f}"
                  + "".join(f"{row['stages_ms'][stage]:11.2f}" for stage in stages) for row in rows]
        pair = sweep["pair"]
        lines.append(f"{pair['from']} -> {pair['to']}: {pair['ratio']:.2f} times the time")
    return "\n".join(lines)


def _heading(report: Mapping[str, Any]) -> list[str]:
    machine, state = report["machine"], dict(report["conditions"])
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    gpus = state.pop("gpus", [])
    seen = [f"{name.replace('_', ' ')} {'-'.join(map(str, value)) if isinstance(value, list) else value}"
            for name, value in state.items()]
    path = f" ({report['frame_path']} frame path)" if report.get("frame_path", "host") != "host" else ""
    return [f"{report['preset']}, {report['backend']}{path}, {report['threads']} threads, "
            f"{report['picture'] + ', ' if 'picture' in report else ''}weights {report['weights']}",
            f"{machine['cpu']}, {machine['cores_usable']} cores, Python {machine['python']}, {versions}, revision "
            f"{machine['git_revision'] or 'unknown'}",
            "; ".join([*seen, *(f"{gpu['name']}, {gpu['sm_mhz']} of {gpu['sm_max_mhz']} MHz, {gpu['power_w']} of "
                                f"{gpu['power_limit_w']} W, driver {gpu['driver']}" for gpu in gpus)])]


def _gpu_memory(report: Mapping[str, Any]) -> str:
    return f", GPU {report['gpu_memory_mb']:.0f} MB" if "gpu_memory_mb" in report else ""


def _against(other: Mapping[str, Any]) -> list[str]:
    lines = ["", f"in turns with {other['what']}" + (f", on {other['device']}" if "device" in other else "")
             + (f", weights {other['weights']}" if "weights" in other else ""),
             f"{'ms, p50':12}{'here':>10}{other['name']:>11}{'ratio':>9}"]
    lines += [f"{stage:12}{row['configured_ms']['p50']:10.2f}{row['against_ms']['p50']:11.2f}{row['ratio_median']:9.2f}"
              for stage, row in other["stages"].items()]
    return lines
