"""A film's clock against a gyro's: a camera that is turned over a pattern of spots."""

import numpy as np
import pytest

from tests.logs.health.build import one, record, said, sensor
from worldmodel.logs.health.flow import shifts
from worldmodel.types import StreamSpec

FILM = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 30.0, "camera", size=(32, 32))
GYRO = sensor("gyro", "xyz", ["rad/s"] * 3, 200.0)
FRAMES = np.arange(300) / 30
PIXELS_A_RAD = 40.0


def turn(seconds):
    """An angle and its rate, of a hand that turns a camera to and fro."""
    frequencies, sizes = np.array([0.31, 0.83, 1.7])[:, None], np.array([0.5, 0.2, 0.08])[:, None]
    phase = 2 * np.pi * frequencies * seconds
    return (sizes * np.sin(phase)).sum(0), (sizes * 2 * np.pi * frequencies * np.cos(phase)).sum(0)


def film(shift, axis=1):
    """Pictures of a pattern of spots, moved by pixels [M] along an axis."""
    pattern = np.random.default_rng(0).uniform(0, 255, (32, 160))
    pattern = (pattern + np.roll(pattern, 1, 0) + np.roll(pattern, 1, 1) + np.roll(pattern, (1, 1), (0, 1))) / 4
    places = 64 + np.arange(32.0) - np.asarray(shift)[:, None]
    pictures = np.stack([[np.interp(at, np.arange(160), row) for row in pattern] for at in places])
    pictures = pictures if axis == 1 else pictures.swapaxes(1, 2)
    return np.repeat(pictures.astype(np.uint8)[..., None], 3, -1)


@pytest.mark.parametrize("axis", [0, 1])
def test_shifts_are_those_of_the_picture(axis):
    moved = np.cumsum([0.0, 0.7, 1.4, -2.2, 0.0, 3.1])
    np.testing.assert_allclose(shifts(film(moved, axis), len(moved))[:, 1 - axis], np.diff(moved), atol=0.2)


def recording(lag_s, axis=1, gyro=turn):
    time = np.arange(2000) / 200
    rates = np.zeros((2000, 3))
    rates[:, 2] = gyro(time)[1]
    return record((GYRO, time, rates), (FILM, FRAMES, film(-PIXELS_A_RAD * turn(FRAMES - lag_s)[0], axis)))


@pytest.mark.parametrize(("lag_s", "axis"), [(0.3, 1), (-0.25, 0)])
def test_a_film_that_is_later_or_earlier_than_the_gyro_is_told(lag_s, axis):
    finding = one(recording(lag_s, axis), "clock: offset")
    assert (finding.stream, finding.severity) == ("camera", "warn")
    assert float(finding.remedy.split()[-5]) == pytest.approx(lag_s, abs=0.02)


def test_what_agrees_or_does_not_move_alike_says_nothing():
    def unlike(seconds):
        return turn(1.37 * seconds + 3)

    assert said(recording(0.0), "clock: offset") == []
    assert said(recording(0.3, gyro=unlike), "clock: offset") == []
