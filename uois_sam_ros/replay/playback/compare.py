"""Compare two replays of one recording frame by frame; pure."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import InputError
from ..bootstrap import MIN_FRAMES, Interval, paired_difference
from ..sources import Sample
from .report import ReplayFrame, ReplayReport

#: What is compared of the scores, with its heading; in percent.
SCORE_NAMES = {"overlap_f": "overlap F", "boundary_f": "boundary F", "detected_75": "%75",
               "over_segmentation": "over-segmentation", "merges": "merged"}


@dataclass(frozen=True)
class Change:
    """One figure in both replays, over the frames that have it in both.

    Attributes:
        name: what it is, with its unit.
        frames: how many.
        before, after: means.
        difference: of after - before, 95 % interval.
        lower_is_better: decides which direction is a gain.
    """

    name: str
    frames: int
    before: float
    after: float
    difference: Interval
    lower_is_better: bool

    @property
    def gap(self) -> str:
        """Return the difference with its interval as text."""
        gap = self.difference
        return f"{gap.mean:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}]"

    @property
    def verdict(self) -> str:
        """Return "better", "worse", "no difference shown" when the interval includes zero, or "too few frames"."""
        if self.frames < MIN_FRAMES:
            return "too few frames"
        if not self.difference.excludes_zero:
            return "no difference shown"
        return "better" if (self.difference.mean < 0) == self.lower_is_better else "worse"


@dataclass(frozen=True)
class Comparison:
    """Two replays of the same recording.

    Attributes:
        before, after: what to call them.
        changes: one a figure.
        per_frame: (frame name, difference of overlap F in points) of every frame scored in both.
        only_before, only_after: frames answered in one of both.
    """

    before: str
    after: str
    changes: tuple[Change, ...]
    per_frame: tuple[tuple[str, float], ...]
    only_before: int
    only_after: int


def compare(before: ReplayReport, after: ReplayReport, before_name: str = "") -> Comparison:
    """Compare ``after`` with ``before``.

    Raises:
        InputError: they are of different recordings, or share no answered frame.
    """
    check_same_recording(before, after, before_name)
    old = {frame.name: frame for frame in before.processed()}
    new = {frame.name: frame for frame in after.processed()}
    pairs = [(old[name], new[name]) for name in new if name in old]
    if not pairs:
        raise InputError(f"--against {before_name}: expected frames that both replays answered, got none among "
                         f"{len(old)} and {len(new)}")
    scored = [(a, b) for a, b in pairs if a.scores is not None and b.scores is not None]
    changes = [_change(name + ", %", scored, lambda frame, key=key: 100 * getattr(frame.scores, key),
                       key in ("over_segmentation", "merges")) for key, name in SCORE_NAMES.items()] if scored else []
    first, second = _predecessors(before), _predecessors(after)
    matched = [(a, b) for a, b in pairs if a.match_iou is not None and b.match_iou is not None
               and first[a.name] == second[b.name]]
    if matched:
        changes.append(_change("frame-to-frame IoU, %", matched, lambda frame: 100 * frame.match_iou, False))
    shared = [stage for stage in pairs[0][0].stages_ms if all(stage in a.stages_ms and stage in b.stages_ms
                                                             for a, b in pairs)]
    changes += [_change(f"{stage}, ms", pairs, lambda frame, stage=stage: frame.stages_ms[stage], True)
                for stage in shared]
    return Comparison(
        _title(before), _title(after), tuple(changes),
        tuple((b.name, 100 * (b.scores.overlap_f - a.scores.overlap_f)) for a, b in scored),
        len(set(old) - set(new)), len(set(new) - set(old)))


def check_same_recording(before: ReplayReport, after: ReplayReport, before_name: str = "") -> None:
    """Raise unless frames of equal name have equal stamps.

    Raises:
        InputError: other stamps, or no frame in common.
    """
    old = {frame.name: frame.stamp_ns for frame in before.frames}
    common = [frame for frame in after.frames if frame.name in old]
    if not common:
        raise InputError(f"--against {before_name}: expected a replay of '{after.setup.recording}', got one of "
                         f"'{before.setup.recording}' with no frame in common; replay the same recording")
    other = next((frame for frame in common if old[frame.name] != frame.stamp_ns), None)
    if other is not None:
        raise InputError(_other_recording(before, after.setup.recording, before_name, other.name, other.stamp_ns))


def require_same_start(before: ReplayReport, first: Sample, recording: str, before_name: str) -> None:
    """Refuse early, by the first image of the recording, what ``check_same_recording`` would refuse in the end.

    Raises:
        InputError: that frame has another stamp in the earlier report.
    """
    stamps = {frame.name: frame.stamp_ns for frame in before.frames}
    if stamps.get(first.name, first.stamp_ns) != first.stamp_ns:
        raise InputError(_other_recording(before, recording, before_name, first.name, first.stamp_ns))


def _other_recording(before: ReplayReport, recording: str, before_name: str, frame: str, stamp_ns: int) -> str:
    stamps = {frame.name: frame.stamp_ns for frame in before.frames}
    return (f"--against {before_name}: expected a replay of '{recording}', got one of '{before.setup.recording}': "
            f"frame {frame} has stamp {stamps[frame]} there and {stamp_ns} here; replay the same recording")


def _predecessors(report: ReplayReport) -> dict[str, str]:
    """Return frame name -> name of the answered frame before it."""
    names = [frame.name for frame in report.processed()]
    return dict(zip(names, ["", *names]))


def _change(name: str, pairs: list[tuple[ReplayFrame, ReplayFrame]], value, lower_is_better: bool) -> Change:
    before, after = [value(a) for a, _ in pairs], [value(b) for _, b in pairs]
    return Change(name, len(pairs), sum(before) / len(before), sum(after) / len(after),
                  paired_difference(before, after), lower_is_better)


def _title(report: ReplayReport) -> str:
    setup = report.setup
    rate = f" at rate {setup.rate:g}" if setup.mode == "live" else ""
    return f"{setup.preset}, depth {setup.depth}, {setup.mode}{rate}"
