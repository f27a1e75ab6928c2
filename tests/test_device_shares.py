"""Shares of counts from tables: the decisions that the host makes in double precision, for every count."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the device path needs the train extra")

from uois_sam_ros.config import SelectionConfig  # noqa: E402
from uois_sam_ros.device.limits import area_limits  # noqa: E402
from uois_sam_ros.device.shares import OfCount, least_of, most_in_ratio, most_of  # noqa: E402

SHARES = (0.0, 0.02, 0.1, 0.29, 1 / 3, 0.4, 0.55, 0.7, 1.0)
COUNT, PART = np.mgrid[1:300, 0:300]


@pytest.mark.parametrize("share", SHARES)
def test_every_part_of_every_count(share):
    most, least, ratio = (table(share, 299)[COUNT] for table in (most_of, least_of, most_in_ratio))
    np.testing.assert_array_equal(PART > most, PART > share * COUNT)
    np.testing.assert_array_equal(PART < least, PART < share * COUNT)
    np.testing.assert_array_equal(PART > ratio, PART / COUNT > share)


def test_tables_of_a_large_picture():
    """Quotients that rounding moves across the limit lie far apart; all multiples near it are tried."""
    count = np.arange(1, 640 * 480 + 1)
    for share in SHARES:
        found = most_in_ratio(share, count[-1])[1:]
        assert (found / count <= share).all() and ((found + 1) / count > share).all()


def test_lookup():
    table = OfCount(most_of(0.5, 9))
    assert table(torch.tensor([[0, 3], [8, 9]])).tolist() == [[0, 1], [4, 4]]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.001, 0.3), (0.29, 0.29), (0.9, 0.1)])
def test_areas(low, high):
    least, most = area_limits(1000, SelectionConfig(min_area=low, max_area=high))
    areas = np.arange(1001)
    np.testing.assert_array_equal((areas >= least) & (areas <= most), (areas / 1000 >= low) & (areas / 1000 <= high))
