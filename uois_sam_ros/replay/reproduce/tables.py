"""Which table compares what on which data, and where that data is to be had."""

from __future__ import annotations

from dataclasses import dataclass

COMPARISON, LADDER, FRACTIONS = "comparison", "ladder", "fractions"


@dataclass(frozen=True)
class Table:
    """One table of the paper.

    Attributes:
        title: number and subject.
        kind: ``COMPARISON``, ``LADDER`` or ``FRACTIONS``.
        datasets: names of the readers that it needs.
    """

    title: str
    kind: str
    datasets: tuple[str, ...]


TABLES = {
    "table2": Table("Table II: comparison on OCID and OSD", COMPARISON, ("ocid", "osd")),
    "table3": Table("Table III: comparison on PhoCAL and HouseCat6D", COMPARISON, ("phocal", "housecat6d")),
    "table4": Table("Table IV: what each stage earns, on OCID", LADDER, ("ocid",)),
    "table5": Table("Table V: share of the training data, on OCID", FRACTIONS, ("ocid",)),
}

#: Data set -> what to download.
DOWNLOADS = {
    "ocid": "'OCID-dataset' from https://www.acin.tuwien.ac.at/en/vision-for-robotics/software-tools/"
            "object-clutter-indoor-dataset/",
    "osd": "'OSD-0.2-depth' from https://www.acin.tuwien.ac.at/vision-for-robotics/software-tools/osd/",
    "phocal": "PhoCAL from https://www.campar.in.tum.de/public_datasets/2022_cvpr_wang/",
    "housecat6d": "HouseCat6D from https://sites.google.com/view/housecat6d/dataset",
}
