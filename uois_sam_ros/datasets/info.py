"""What is known of a data set before any of its files is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Said of every reader of published files until somebody has run it on them and the counts agreed.
UNVERIFIED = "unverified on the real files"


@dataclass(frozen=True)
class DatasetInfo:
    """The facts of a data set, for ``uois-sam dataset list`` and ``check``.

    Attributes:
        name: as in ``name:ROOT``.
        title: as its authors write it.
        layout: the files below ROOT.
        follows: the public loader whose layout this is.
        truth: which labels are background, and what else the metric leaves out.
        camera: picture size, where intrinsics and the unit of depth come from.
        published: words -> number of frames; "" is the data set as it is read without words.
        words: what may follow the name (``name@word,word:ROOT``) -> what it does.
        verified: ``UNVERIFIED``, or on what the reader was run.
    """

    name: str
    title: str
    layout: str
    follows: str
    truth: str
    camera: str
    published: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    verified: str = UNVERIFIED
