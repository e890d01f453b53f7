"""Errors of angles that wrap are alike whichever way these point."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models.experts.pendulum import recorded
from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.circles import Circles
from worldmodel.models.experts.left_out import LeftOut

MEAN, STD = np.array([0.1, 0.3, 2.0, 5.0]), np.array([0.6, 0.7, 3.0, 1.0])
CIRCLES = Circles(np.array([-1, 1, 0, 0]), -MEAN / STD, 1 / STD)


def normal(angle, *others):
    """Normalised sine, cosine and two other columns."""
    columns = np.broadcast_arrays(np.sin(angle), np.cos(angle), *others)
    return (np.stack(columns, -1) - MEAN) / STD


def angle_of(readings):
    sine, cosine = np.moveaxis(readings[..., :2] * STD[:2] + MEAN[:2], -1, 0)
    return np.arctan2(sine, cosine)


@given(st.floats(-7, 7), st.floats(-7, 7), st.floats(-2, 2))
def test_an_error_that_is_turned_goes_as_far_along_the_circle(at, then, off):
    error = normal(at + off, 1.0, 4.0) - normal(at, 3.0, 2.0)
    turned = CIRCLES.back(CIRCLES.along(error, normal(at, 3.0, 2.0)), normal(then, 0.0, 0.0))
    found = angle_of(normal(then, 0.0, 0.0) + turned)
    assert np.cos(found - then - off) == pytest.approx(1, abs=1e-9)
    np.testing.assert_allclose(turned[2:], error[2:])
    np.testing.assert_allclose(
        CIRCLES.back(CIRCLES.along(error, normal(at, 0, 0)), normal(at, 0, 0)), error, atol=1e-12
    )


def test_what_points_nowhere_keeps_its_errors_and_no_circle_changes_nothing():
    middle, error = normal(0.0, 1.0, 1.0), np.array([0.5, -0.2, 1.0, 2.0])
    middle[:2] = -MEAN[:2] / STD[:2]
    np.testing.assert_allclose(CIRCLES.along(error, middle), error * [*STD[:2], 1, 1])
    none = Circles(np.zeros(0, int), np.zeros(0), np.zeros(0))
    assert all(each is error for each in (none.along(error, middle), none.back(error, middle), none.even(error)))


def test_jax_says_the_same():
    rng = np.random.default_rng(0)
    error, mean, scale = rng.normal(size=(5, 4)), rng.normal(size=(5, 4)), rng.uniform(1, 2, (5, 4))
    with jax.enable_x64(True):
        for each, args in ((CIRCLES.along, (error, mean)), (CIRCLES.back, (error, mean)), (CIRCLES.even, (scale,))):
            np.testing.assert_allclose(jax.jit(each)(*args), each(*args), rtol=1e-12)


def test_they_are_those_of_a_log():
    wraps, straight = (Circles.of(recorded(wraps)[1]) for wraps in (True, False))
    np.testing.assert_array_equal(wraps.sign, [-1, 1, 0, 0])
    assert not straight.sign.any()
    _, lens = recorded(True)
    there = lens.normal(np.array([0.6, 0.8, 3.0, 0.0]))
    assert np.linalg.norm((there - wraps.middle)[:2] / wraps.radius[:2]) == pytest.approx(1)


@pytest.mark.parametrize("points", [0.0, 0.8, np.pi / 2])
def test_members_of_an_angle_lie_as_far_apart_as_it_errs(points):
    """Learned from angles all around, so that sine and cosine err alike on average."""
    rng, windows, horizon, off = np.random.default_rng(1), 2000, 3, 0.1
    angle = rng.uniform(-np.pi, np.pi, (windows, 1)).repeat(horizon, 1)
    said = normal(angle, 2.0, 5.0)
    came = normal(angle + off * rng.normal(size=angle.shape), 2.0 + rng.normal(size=angle.shape), 5.0)
    there, groups = np.ones(came.shape, bool), np.arange(windows) % 10
    left_out = LeftOut(
        np.zeros((windows, 2), int), groups, came, there, np.zeros(came.shape), np.zeros((windows, horizon, 1)),
        said[:, 0], said[None], np.ones((1, windows, 0, 1)),
    )  # fmt: skip
    blend = Blend.fit(left_out, (), np.zeros(4, int), CIRCLES)
    asked = normal(np.full((1, horizon), points), 2.0, 5.0)
    mean, scale, _ = blend.mix(asked[None], np.ones((1, 1, 0, 1)))
    members = blend.members(mean, scale, blend.drawn(1, 400, 0))
    assert (angle_of(members) - points).std() == pytest.approx(off, rel=0.15)
    assert members[..., 2].std() * STD[2] == pytest.approx(1, rel=0.15)
