"""Ids that last: matching, loss and return, numbering and its end."""

from __future__ import annotations

import numpy as np
import pytest

from uois_sam_ros.errors import FrameError
from uois_sam_ros.ros.track import IouTracker

LEFT, MIDDLE, RIGHT = (2, 2, 8, 8), (10, 2, 16, 8), (18, 2, 24, 8)


def picture(*boxes, shape=(12, 40)):
    """A label image with box k painted k + 1."""
    label = np.zeros(shape, np.uint16)
    for number, (x0, y0, x1, y1) in enumerate(boxes, start=1):
        label[y0:y1, x0:x1] = number
    return label


def follow(frames, **options):
    """Feed frames, each a tuple of boxes; return the ids of each and check that the picture shows them."""
    tracker, found = IouTracker(**options), []
    for boxes in frames:
        label, ids = tracker.update(picture(*boxes), len(boxes))
        assert label.dtype == np.uint16
        for number, (x0, y0, x1, y1) in zip(ids, boxes):
            assert (label[y0:y1, x0:x1] == number).all()
        assert set(np.unique(label)) == {0, *ids}
        found.append(ids)
    return found


def shifted(box, by):
    return (box[0] + by, box[1], box[2] + by, box[3])


@pytest.mark.parametrize(("frames", "ids"), [
    ([(LEFT, RIGHT), (RIGHT, LEFT)], [(1, 2), (2, 1)]),  # the order of the masks does not matter
    ([(LEFT,), (shifted(LEFT, 3),)], [(1,), (1,)]),  # half its width: IoU 1/3
    ([(LEFT,), (shifted(LEFT, 4),)], [(1,), (2,)]),  # IoU 1/5: another object
    ([(LEFT, RIGHT), (MIDDLE, RIGHT)], [(1, 2), (3, 2)]),
    ([(LEFT, MIDDLE), (MIDDLE,), (LEFT, MIDDLE)], [(1, 2), (2,), (1, 2)]),  # out of sight for a frame
    ([(LEFT,), (), (), (LEFT,)], [(1,), (), (), (1,)]),
    ([(), (LEFT,)], [(), (1,)]),
    # two candidates: the better one wins, though the other comes first
    ([(LEFT,), (shifted(LEFT, 3), (2, 2, 5, 8))], [(1,), (2, 1)]),
    # one mask takes the place of two: it gets one id, the other is kept for what may come back
    ([((2, 2, 6, 8), (6, 2, 12, 8)), ((2, 2, 12, 8),), ((2, 2, 6, 8), (6, 2, 12, 8))], [(1, 2), (2,), (1, 2)]),
])
def test_ids(frames, ids):
    assert follow(frames) == ids


def test_first_frame_is_not_copied():
    label = picture(LEFT, RIGHT)
    assert IouTracker().update(label, 2)[0] is label


@pytest.mark.parametrize(("gap", "last"), [(0, 1), (3, 1), (4, 3)])
def test_lost_objects_are_kept_for_some_frames(gap, last):
    frames = [(LEFT, RIGHT), *[(RIGHT,)] * gap, (LEFT, RIGHT)]
    assert follow(frames, keep_frames=3)[-1] == (last, 2)


def test_nothing_is_kept_when_told_so():
    assert follow([(LEFT,), (), (LEFT,)], keep_frames=0) == [(1,), (), (2,)]


def test_numbers_begin_again_past_those_in_use():
    frames = [(LEFT,), (LEFT, MIDDLE), (LEFT, RIGHT), (LEFT, MIDDLE), (LEFT, RIGHT), (LEFT, MIDDLE, RIGHT)]
    assert follow(frames, keep_frames=0, max_id=3) == [(1,), (1, 2), (1, 3), (1, 2), (1, 3), (1, 2, 3)]


def test_without_a_free_number_the_longest_lost_gives_its_own():
    frames = [(LEFT,), (MIDDLE,), (RIGHT,), (RIGHT, LEFT)]
    assert follow(frames, keep_frames=9, max_id=2) == [(1,), (2,), (1,), (1, 2)]


def test_ids_run_to_65535_and_begin_again():
    tracker = IouTracker(keep_frames=0)
    tracker._last_id = 65534
    assert tracker.update(picture(LEFT, MIDDLE, RIGHT), 3)[1] == (65535, 1, 2)
    label, ids = tracker.update(picture(RIGHT, MIDDLE, LEFT), 3)
    assert ids == (2, 1, 65535) and label[3, 3] == 65535


def test_another_size_forgets_objects_but_no_numbers():
    tracker = IouTracker()
    tracker.update(picture(LEFT, RIGHT), 2)
    assert tracker.update(picture(LEFT, shape=(12, 50)), 1)[1] == (3,)


def test_large_pictures_are_sampled():
    tracker = IouTracker()
    boxes = [(100 * k + 11, 203, 100 * k + 68, 291) for k in range(10)]
    tracker.update(picture(*boxes, shape=(720, 1280)), 10)
    moved = [(x0 + 9, y0 - 5, x1 + 9, y1 - 5) for x0, y0, x1, y1 in reversed(boxes)]
    label, ids = tracker.update(picture(*moved, shape=(720, 1280)), 10)
    assert ids == tuple(range(10, 0, -1))
    assert (label == 10).sum() == 57 * 88 and label[203, 925] == 10


def test_more_objects_than_ids():
    with pytest.raises(FrameError, match="at most 2 objects, got 3; switch track off"):
        IouTracker(max_id=2).update(picture(LEFT, MIDDLE, RIGHT), 3)
