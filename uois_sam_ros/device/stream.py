"""Double buffering: a batch is uploaded and encoded while the one before is painted, downloaded and described."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..errors import FrameError
from ..types import Frame, Instances
from .segmenter import DeviceSegmenter, instances_of


def segment_stream(segmenter: DeviceSegmenter, frames: Iterable[Frame]) -> Iterator[Instances]:
    """Segment one camera's frames in order; a frame is asked for before the result of the one before is given out.

    On a GPU two lanes of buffers, each with its own stream, take turns. On a processor the results are the same, and
    nothing overlaps.

    Raises:
        FrameError: as ``DeviceSegmenter.segment``, when the frame's turn comes.
    """
    for (result,) in segment_batches(segmenter, ([frame] for frame in frames)):
        if isinstance(result, FrameError):
            raise result
        yield result


def segment_batches(segmenter: DeviceSegmenter,
                    batches: Iterable[Sequence[Frame]]) -> Iterator[list[Instances | FrameError]]:
    """As ``segment_stream``, for several cameras together; results as of ``DeviceSegmenter.segment_batch``."""
    under_way = None
    for turn, batch in enumerate(batches):
        try:
            lane = segmenter.begin(batch, turn % 2)
        except FrameError:
            if under_way is not None:  # a bad batch does not cost the one before
                yield [instances_of(result) for result in segmenter.finish(under_way)]
            raise
        if under_way is not None:
            yield [instances_of(result) for result in segmenter.finish(under_way)]
        under_way = lane
    if under_way is not None:
        yield [instances_of(result) for result in segmenter.finish(under_way)]
