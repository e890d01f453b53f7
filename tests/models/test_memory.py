"""What members recall, and how it is put together with what is moved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from worldmodel.models.decoders import nearest, warp
from worldmodel.models.memory import Memory, cells

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (12, 16, 24, 3), dtype=np.uint8)
REAL = jnp.asarray(FRAMES, jnp.float32) / 255


def kept(share, asked=1, members=1):
    return jnp.full((1, members, asked, 16, 24, 1), share)


def which(recalled):
    """The number of each recalled frame [B, K, P, ...]."""
    apart = np.abs(np.asarray(recalled)[..., None, :, :, :] - np.asarray(REAL)).max((-3, -2, -1))
    assert apart.min(-1).max() < 1e-6  # one of them, and no mixture
    return apart.argmin(-1)


def test_a_memory_that_is_sure_recalls_what_is_expected():
    expected = REAL[None, None]
    got = Memory(FRAMES, 100.0).recall(expected, kept(1.0, len(FRAMES)), jax.random.key(0))
    np.testing.assert_array_equal(which(got)[0, 0], np.arange(len(FRAMES)))


def test_what_is_kept_decides_and_not_what_is_guessed():
    """Left, the expected picture is frame 3 and is kept; right, it is frame 7 and a guess."""
    expected = jnp.concatenate([REAL[3, :, :16], REAL[7, :, 16:]], 1)[None, None, None]
    left = jnp.where(jnp.arange(24) < 16, 1.0, 0.0)[:, None] * kept(1.0)
    for share, frame in ((left, 3), (1 - left, 7)):
        assert which(Memory(FRAMES, 30.0).recall(expected, share, jax.random.key(0))).item() == frame


def test_members_that_know_nothing_recall_each_another_and_stay_with_it():
    expected = jnp.full((1, 200, 3, 16, 24, 3), 0.5)
    found = which(Memory(FRAMES, 0.0).recall(expected, kept(0.0, 3, 200), jax.random.key(0)))[0]
    assert (found == found[:, :1]).all()  # over time
    shares = np.bincount(found[:, 0], minlength=len(FRAMES)) / 200
    assert shares == pytest.approx(1 / 12, abs=0.07)


def test_frames_are_drawn_with_the_probabilities_of_their_errors():
    """Softmax over minus half the sum of squared errors in units of what is usual, by Gumbel's maximum."""
    memory, expected = Memory(FRAMES, 0.005), REAL[5][None, None, None]
    many = jnp.broadcast_to(expected, (1, 2000, 1, 16, 24, 3))
    found = which(memory.recall(many, kept(0.5, 1, 2000), jax.random.key(1)))
    apart = np.square(np.asarray(cells(REAL) - cells(REAL[5]))).sum((1, 2, 3)) * 0.005 / (0.04 + 0.2 * 0.5) ** 2
    chances = np.exp(-apart / 2) / np.exp(-apart / 2).sum()
    np.testing.assert_allclose(np.bincount(found.ravel(), minlength=12) / 2000, chances, atol=0.04)


def test_the_last_frame_shows_where_it_is_kept_and_else_a_memory_in_the_colours_that_are_expected():
    memory, moved, key = Memory(FRAMES, 100.0), REAL[2][None, None, None], jax.random.key(0)
    np.testing.assert_allclose(memory.picture(moved, moved, kept(1.0), key), moved, atol=1e-3)
    expected = jnp.full_like(moved, 0.3)
    shown = memory.picture(expected, moved, kept(0.0), key)
    recalled = memory.recall(expected, kept(0.0), key)
    assert np.abs(shown - moved).max() > 0.3
    away, back = (np.abs(cells(x - expected)).mean() for x in (recalled, shown))
    assert back < 0.5 * away
    fine = [np.diff(np.asarray(x), axis=-2).std() for x in (shown, recalled)]
    assert fine[0] == pytest.approx(fine[1], rel=0.05)  # as sharp


def test_cells_are_means_of_blocks():
    found = cells(REAL)
    assert found.shape == (12, 2, 3, 3)
    np.testing.assert_allclose(found[4, 1, 2], REAL[4, 8:16, 16:24].mean((0, 1)), rtol=1e-5)


def test_whole_pixels_are_moved_as_they_are():
    flow = jnp.broadcast_to(jnp.array([2.0, -3.0]), (12, 16, 24, 2))
    np.testing.assert_allclose(nearest(REAL, flow), warp(REAL, flow), atol=2e-3)
    np.testing.assert_array_equal(nearest(REAL, flow)[:, :14, 3:], REAL[:, 2:, :21])
    between = nearest(REAL, flow + 0.4)
    np.testing.assert_array_equal(between, nearest(REAL, flow))  # no mean of neighbours
    np.testing.assert_array_equal(nearest(REAL, flow + 100.0), jnp.broadcast_to(REAL[:, -1:, -1:], REAL.shape))
