"""Ticks that were laid as samples came are those of an intake that had them all at once."""

import dataclasses

import jax
import numpy as np
import pytest

from worldmodel.geo import enu_to_geodetic
from worldmodel.live.intake import Intake
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.odometry import Odometer
from worldmodel.types import StreamSpec

LAYOUT = TickLayout(
    0.1,
    (
        StreamSpec("gps", "gps", ("latitude", "longitude", "altitude"), ("deg", "deg", "m"), 5.0),
        StreamSpec("wheels", "sensor", ("left", "right"), ("m/s",) * 2, 20.0),
        StreamSpec("gyro", "sensor", ("z",), ("rad/s",), 10.0),
        StreamSpec("camera", "video", ("red", "green", "blue"), ("",) * 3, 4.0, size=(1, 1)),
        StreamSpec("drive", "action", ("throttle", "steering"), ("",) * 2, 10.0),
    ),
)
FOLLOWER = Odometer("gps", (3, 4), (5,), 1.0, 1.0, 10, True, 1.0, 0.5)
COUNT, WATERMARK_S, SECONDS = 12, 0.5, 7.0


def drive(rng):
    """(time, stream, value) of a drive on an arc, in order of time: gaps, and columns that are missing."""
    samples = []
    for spec in LAYOUT.streams:
        for time in np.sort(rng.uniform(0, SECONDS, round(SECONDS * spec.rate_hz))):
            if spec.name == "gps":
                place = np.array([[10 * np.sin(time / 5), 10 - 10 * np.cos(time / 5), 0]]) + rng.normal(size=3)
                value = enu_to_geodetic(place, np.array([48.0, 11.0, 500.0]))[0]
                value[2] = value[2] if rng.uniform() < 0.5 else np.nan
            elif spec.name == "camera":
                value = rng.integers(0, 255, (1, 1, 3)).astype(np.uint8)
            else:
                value = {"wheels": np.array([2.0, 2.0]), "gyro": np.array([0.2]), "drive": rng.normal(size=2)}[
                    spec.name
                ]
                value = np.where(rng.uniform(size=value.shape) < 0.2, np.nan, value)
            samples.append((float(time), spec.name, value))
    return sorted(samples, key=lambda sample: sample[0])


def told(known):
    """The ticks, and for each the number of its frame the frame."""
    there = known.ticks.frames[:, 0] >= 0
    return known.ticks._replace(frames=there), known.shown[0][known.ticks.frames[there, 0]]


def intake(phase_s=0.0):
    return Intake(dataclasses.replace(LAYOUT, phase_s=phase_s), COUNT, 0.0, WATERMARK_S, (FOLLOWER,))


@pytest.mark.parametrize("phase_s", [0.0, 0.07])
@pytest.mark.parametrize("seed", range(2))
def test_ticks_are_the_same_however_samples_come_and_whenever_one_asks(seed, phase_s):
    rng = np.random.default_rng(seed)
    samples = drive(rng)
    late = [time + rng.uniform(0, 0.9 * WATERMARK_S) * (rng.uniform() < 0.3) for time, _, _ in samples]
    order, going, followed = np.argsort(late), intake(phase_s), 0
    for step, index in enumerate(order):
        time, name, value = samples[index]
        assert going.push(name, time, value) != "dropped"
        if rng.uniform() < 0.06:
            row = int(going.layout.row(going.newest_s)) - int(rng.integers(0, 3))
            at_once = intake(phase_s)
            for time, name, value in sorted((samples[i] for i in order[: step + 1]), key=lambda sample: sample[0]):
                at_once.push(name, time, value)
            one, two = (each.seen(row, COUNT) for each in (going, at_once))
            for a, b in zip(jax.tree.leaves(told(one)), jax.tree.leaves(told(two)), strict=True):
                np.testing.assert_array_equal(a, b)
            followed += np.isfinite(one.ticks.followed).any()
    assert followed > 10


def test_a_first_fix_that_comes_late_moves_every_tick():
    """What fixes are measured from is the first of all, also where it was not the first to come."""
    first, second = (enu_to_geodetic(np.array([[east, 0.0, 0.0]]), np.array([48.0, 11.0, 500.0]))[0] for east in (0, 7))
    going = intake()
    going.push("gps", 0.35, second)
    assert going.seen(4, COUNT).ticks.values[-1, 0] == 0
    going.push("gps", 0.15, first)
    np.testing.assert_allclose(going.seen(4, COUNT).ticks.values[[-3, -1], 0], [0, 7], atol=1e-5)
