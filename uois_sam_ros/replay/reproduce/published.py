"""Published figures to stand beside ours, in percent. Every row says where it was read; nothing is from hearsay.

A figure that could not be traced to one of the four origins is left out, and so is the rest of such a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

#: The order of columns: overlap and boundary precision, recall, F, and the share of objects found with Dice > 0.75.
COLUMNS = ("P", "R", "F", "bP", "bR", "bF", "%75")


class Origin(Enum):
    """Where a row was read; the value is its word in tables."""

    PAPER = "paper"
    CODE = "code"
    ARRAYS = "arrays"
    TEXT = "text"


MEANING = {
    Origin.PAPER: "the tables of arXiv 2409.15481",
    Origin.CODE: "code or README of the method's repository",
    Origin.ARRAYS: "means of per-image arrays that a repository publishes",
    Origin.TEXT: "a later text that quotes it",
}


@dataclass(frozen=True)
class Published:
    """One row of a comparison.

    Attributes:
        method: as its authors call it.
        input: RGB, depth or RGB-D.
        figures: in the order of ``COLUMNS``, percent; ``None`` where not known.
        origin: where it was read.
        place: the paper's own table needs none; else the file or repository.
    """

    method: str
    input: str
    figures: tuple[float | None, ...]
    origin: Origin
    place: str = ""


_PLOTS = "tools/plot_bar_charts.py of YoungSean/UnseenObjectsWithMeanShift"
_ARRAYS = "results of rcao-hk/UOISGraspNet"


def _f(overlap: float | None, boundary: float | None = None, found: float | None = None) -> tuple[float | None, ...]:
    """A row of which only the three means are known."""
    return (None, None, overlap, None, None, boundary, found)


#: Data set -> rows, the paper's own method first.
COMPARISONS: dict[str, tuple[Published, ...]] = {
    "ocid": (
        Published("UOIS-SAM", "RGB", (85.8, 81.0, 79.9, 78.1, 75.2, 72.5, 78.3), Origin.PAPER),
        Published("UCN, refined", "RGB", (59.1, 74.0, 61.1, 40.8, 55.0, 43.8, 58.2), Origin.PAPER),
        Published("UOAIS-Net", "RGB", (66.5, 83.1, 67.9, 62.1, 70.2, 62.3, 73.1), Origin.PAPER),
        Published("MSMFormer", "RGB", (70.2, 84.4, 70.5, 64.5, 74.9, 64.9, 75.3), Origin.PAPER),
        Published("MSMFormer, refined", "RGB", (73.9, 67.1, 66.3, 64.6, 52.9, 54.8, 52.8), Origin.PAPER),
        Published("MSMFormer", "RGB", (72.0, 67.3, 66.8, 60.3, 55.2, 55.3, 51.2), Origin.ARRAYS, _ARRAYS),
        Published("GDS v0.3.1 (GroundingDINO, SAM)", "RGB", (65.1, 83.2, 65.1, 63.4, 81.5, 64.8, 78.1), Origin.ARRAYS,
                  _ARRAYS),
        Published("GDS v0.3.3 (GroundingDINO, SAM)", "RGB", (76.5, 84.8, 75.7, 72.4, 81.6, 72.0, 79.9), Origin.ARRAYS,
                  _ARRAYS),
        Published("Mask R-CNN", "depth", _f(84.7, 78.8, 72.7), Origin.CODE, _PLOTS),
        Published("Mask R-CNN", "RGB-D", _f(78.0, 69.2), Origin.TEXT),
        Published("PointGroup", "RGB-D", _f(80.1, 71.7), Origin.TEXT),
        Published("UOIS-Net-2D", "RGB-D", _f(81.7, 71.4, 69.1), Origin.CODE, _PLOTS),
        Published("UOIS-Net-3D", "RGB-D", _f(86.4, 76.2, 77.2), Origin.CODE, _PLOTS),
        Published("UCN (early version)", "RGB-D", _f(87.8, 82.3, 85.6), Origin.CODE, _PLOTS),
        Published("MSMFormer + zoom", "RGB-D", _f(None, 87.3), Origin.CODE, "README of its repository"),
        Published("ZISVFM", "RGB-D", _f(None, 78.5), Origin.TEXT),
    ),
    "osd": (
        Published("UOIS-SAM", "RGB", (75.4, 84.8, 78.9, 58.3, 81.3, 66.1, 82.5), Origin.PAPER),
        Published("UOAIS-Net", "RGB", (84.2, 83.7, 83.8, 72.2, 72.8, 72.1, 76.7), Origin.PAPER),
        Published("GDS v0.3.2 (GroundingDINO, SAM)", "RGB", (73.7, 88.7, 79.8, 59.4, 86.2, 68.9, 86.8), Origin.ARRAYS,
                  _ARRAYS),
        Published("Mask R-CNN", "depth", _f(80.6, 54.6, 77.6), Origin.CODE, _PLOTS),
        Published("Mask R-CNN", "RGB-D", _f(74.1, 53.8), Origin.TEXT),
        Published("PointGroup", "RGB-D", _f(78.8, 65.4), Origin.TEXT),
        Published("UOIS-Net-2D", "RGB-D", _f(79.9, 65.6, 71.9), Origin.CODE, _PLOTS),
        Published("UOIS-Net-3D", "RGB-D", _f(83.3, 71.2, 73.8), Origin.CODE, _PLOTS),
        Published("UOIS-Net-3D, refiner on OpenImages", "RGB-D", _f(None, 77.3), Origin.TEXT),
        Published("UCN + zoom-in", "RGB-D", _f(87.4, 69.4, 83.2), Origin.CODE, _PLOTS),
        Published("ZISVFM", "RGB-D", _f(None, 42.7), Origin.TEXT),
    ),
    "phocal": (
        Published("UOIS-SAM", "RGB", (78.3, 83.6, 78.5, 68.9, 71.2, 68.2, 77.4), Origin.PAPER),
        Published("UOAIS-Net", "RGB-D", (68.6, 81.6, 71.8, 45.1, 54.4, 46.9, 73.6), Origin.PAPER),
        Published("MSMFormer", "RGB", _f(None, 49.6), Origin.TEXT),
        Published("MSMFormer", "RGB-D", _f(None, 15.9), Origin.TEXT),
    ),
    "housecat6d": (
        Published("UOIS-SAM", "RGB", (62.5, 85.3, 70.0, 61.2, 76.8, 66.2, 84.8), Origin.PAPER),
        Published("MSMFormer", "RGB", (58.7, 84.8, 67.3, 51.0, 69.9, 57.6, 80.4), Origin.PAPER),
    ),
}

#: Rung of the ladder -> overlap F, boundary F, %75 on OCID.
LADDER: dict[str, tuple[float, float, float]] = {
    "grid": (26.5, 19.9, 35.3),
    "+ foreground": (39.2, 24.0, 25.6),
    "+ heatmap": (51.2, 36.6, 41.8),
    "+ HDNet": (79.9, 72.5, 78.3),
}

#: Percent of the training data -> overlap F on OCID.
FRACTIONS: dict[int, float] = {1: 77.4, 5: 78.7, 10: 79.9, 50: 79.1, 100: 80.0}
