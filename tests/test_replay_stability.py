"""Matching of label images and tracks of true objects, on hand-made pictures."""

from __future__ import annotations

import numpy as np
import pytest

from uois_sam_ros.replay.metrics import score_frame
from uois_sam_ros.replay.playback.matching import is_cut, match_labels
from uois_sam_ros.replay.playback.stability import Sightings, follow_objects


def picture(**boxes):
    """uint16[12, 20]; ``o7=(x0, x1)`` paints columns x0..x1 with id 7."""
    label = np.zeros((12, 20), np.uint16)
    for name, (x0, x1) in boxes.items():
        label[:, x0:x1] = int(name[1:])
    return label


def test_matches_and_their_iou():
    found = match_labels(picture(o3=(0, 10), o9=(12, 16)), picture(o5=(0, 5), o2=(5, 12), o7=(18, 20)))
    assert (found.first_ids, found.second_ids) == ((3, 9), (2, 5, 7))
    assert found.pairs == {3: (5, 0.5)}  # Dice 10/15 beats 10/17
    assert found.mean_iou() == pytest.approx(0.5 / 3)


@pytest.mark.parametrize(("first", "second", "mean"), [
    ({}, {}, 1.0), ({"o1": (0, 4)}, {}, 0.0), ({}, {"o1": (0, 4)}, 0.0),
    ({"o1": (0, 4), "o2": (4, 8)}, {"o8": (0, 4), "o1": (4, 8)}, 1.0),  # ids play no part
])
def test_mean_iou_at_the_edges(first, second, mean):
    assert match_labels(picture(**first), picture(**second)).mean_iou() == mean


def test_each_object_has_one_match_at_most():
    found = match_labels(picture(o1=(0, 10)), picture(o1=(0, 4), o2=(4, 8)))
    assert len(found.pairs) == 1
    with pytest.raises(ValueError, match="equal shapes"):
        match_labels(picture(), picture()[:5])


def test_found_is_what_the_metric_counts():
    """A share of found objects above Dice 0.75 here and in %75; 6 of 10 pixels is exactly the limit, not above."""
    truth = picture(o1=(0, 10), o2=(10, 20))
    for answer in (picture(o1=(0, 6), o2=(10, 17)), picture(o1=(0, 7), o2=(10, 17)), picture(o1=(0, 6), o2=(10, 16))):
        tracks = follow_objects([Sightings.of(0, 0, match_labels(truth, answer))])
        assert np.mean([track.found_share for track in tracks]) == score_frame(answer, truth).detected_75


@pytest.mark.parametrize(("before", "after", "cut"), [
    ({"o1": (0, 8), "o2": (10, 14)}, {"o1": (1, 9), "o2": (11, 15)}, False),  # the camera moves
    ({"o1": (0, 8), "o2": (10, 14)}, {"o1": (10, 18), "o2": (0, 4)}, True),  # equal ids lie elsewhere
    ({"o1": (0, 8)}, {"o2": (0, 8)}, True),  # no id stays
    ({"o1": (0, 8)}, {}, False), ({}, {"o1": (0, 8)}, False), ({}, {}, False),  # nothing to tell from
])
def test_cut(before, after, cut):
    assert is_cut(picture(**before), picture(**after)) == cut


def test_another_size_is_a_cut():
    assert is_cut(picture(o1=(0, 8)), picture(o1=(0, 8))[:6])


def sightings(*frames, scene=0, start=0):
    return [Sightings(start + k, scene, objects) for k, objects in enumerate(frames)]


def test_track_of_an_object():
    (track,) = follow_objects(sightings({4: (1, 0.9)}, {4: (0, 0.0)}, {4: (2, 0.5)}, {4: (1, 0.8)}, {4: (3, 0.8)}))
    assert (track.scene, track.id, track.frames) == (0, 4, (0, 1, 2, 3, 4))
    assert track.ious == (0.9, 0.0, 0.5, 0.8, 0.8)
    assert (track.found_share, track.mean_iou) == pytest.approx((3 / 5, 0.6))
    assert track.jitter == pytest.approx((0.9 + 0.5 + 0.3 + 0.0) / 4)
    assert (track.longest_gap, track.id_switches) == (2, 1)  # 1 -> 3; a gap between is no switch


def test_frames_that_do_not_show_it_do_not_count():
    (track,) = follow_objects(sightings({4: (1, 0.9)}, {}, {4: (1, 0.9)}))
    assert (track.frames, track.found_share, track.longest_gap, track.jitter) == ((0, 2), 1.0, 0, 0.0)


def test_scenes_are_kept_apart():
    tracks = follow_objects(sightings({1: (1, 0.9)}, {1: (1, 0.9)}) + sightings({1: (7, 0.1)}, scene=1, start=2))
    assert [(t.scene, t.id, t.found_share, t.id_switches) for t in tracks] == [(0, 1, 1.0, 0), (1, 1, 0.0, 0)]
    assert follow_objects([]) == ()
