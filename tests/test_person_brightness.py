"""Brightness of a person as one channel: one scale a clip, nothing of the background."""

from __future__ import annotations

import numpy as np
import pytest

from motionqa.data.person_brightness import LEAST, MIDDLE, SPAN, relative_brightness
from motionqa.data.schema import InputError

Array = np.ndarray


def film(low: int = 60, high: int = 180) -> tuple[Array, Array]:
    """Grey noise between two values over a coloured background."""
    rng = np.random.default_rng(0)
    mask = np.zeros((4, 20, 16), bool)
    mask[:, 4:18, 5:12] = True
    pictures = np.full((*mask.shape, 3), (250, 0, 90), np.uint8)
    pictures[mask] = rng.integers(low, high + 1, (mask.sum(), 1))
    return pictures, mask


def test_the_background_is_zero_and_the_middle_of_the_person_is_where_depth_has_it() -> None:
    pictures, mask = film()
    seen = relative_brightness(pictures, mask)
    assert (seen[~mask] == 0).all()
    assert (seen[mask] >= LEAST).all()
    assert np.median(seen[mask]) == pytest.approx(MIDDLE, abs=0.01)
    assert np.diff(np.percentile(seen[mask], [5, 95]))[0] == pytest.approx(SPAN, abs=0.02)
    other = pictures.copy()
    other[~mask] = 7
    assert np.array_equal(relative_brightness(other, mask), seen)


def test_one_frame_in_the_shade_stays_darker_than_the_others() -> None:
    pictures, mask = film()
    pictures[2] //= 2
    seen = relative_brightness(pictures, mask)
    assert seen[2][mask[2]].mean() < seen[1][mask[1]].mean() - 0.1


def test_dark_clothes_are_not_stretched_to_the_whole_range() -> None:
    pictures, mask = film(10, 14)
    seen = relative_brightness(pictures, mask)
    assert np.ptp(seen[mask]) < 0.05


def test_nobody_in_the_clip_is_said() -> None:
    pictures, mask = film()
    with pytest.raises(InputError, match="mask is empty"):
        relative_brightness(pictures, np.zeros_like(mask))
