"""What members recall, and how it is put together with what is moved."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from worldmodel.models.decoders import nearest, warp
from worldmodel.models.memory import Memory, cells

FRAMES = np.random.default_rng(0).integers(0, 256, (12, 16, 24, 3), dtype=np.uint8)
REAL = FRAMES.astype(np.float32) / 255
MEMBERS, ASKED = 200, 3


@jax.jit  # once for all tests
def compiled(sureness, expected, kept, seed):
    return Memory(FRAMES, sureness).recall(expected, kept, jax.random.key(seed))


def recalled(sureness, expected, kept, seed=0):
    """The number of the frame that each member recalls at each tick [K, P], of frames and shares that broadcast."""
    shape = (1, MEMBERS, ASKED, 16, 24)
    given = np.broadcast_to(expected, (*shape, 3)), np.broadcast_to(np.float32(kept), (*shape, 1))
    got = np.asarray(compiled(sureness, *given, seed))[0]
    numbers = np.abs(got[..., :2, :2, :][..., None, :, :, :] - REAL[:, :2, :2]).sum((-3, -2, -1)).argmin(-1)
    np.testing.assert_allclose(got, REAL[numbers], atol=1e-6)  # whole frames, and no mixture
    return numbers


def test_a_memory_that_is_sure_recalls_what_is_expected():
    for frames in REAL.reshape(4, ASKED, *REAL.shape[1:]):
        expected = [np.abs(REAL - frame).sum((1, 2, 3)).argmin() for frame in frames]
        np.testing.assert_array_equal(recalled(100.0, frames, 1.0), np.tile(expected, (MEMBERS, 1)))


def test_what_is_kept_decides_and_not_what_is_guessed():
    """Left, the expected picture is frame 3; right, it is frame 7. One is kept, the other a guess."""
    expected = np.concatenate([REAL[3, :, :16], REAL[7, :, 16:]], 1)
    left = (np.arange(24) < 16)[:, None]
    assert (recalled(30.0, expected, left) == 3).all()
    assert (recalled(30.0, expected, ~left) == 7).all()


def test_members_that_know_nothing_recall_each_another_and_stay_with_it():
    found = recalled(0.0, 0.5 * np.ones(3, np.float32), 0.0)
    assert (found == found[:, :1]).all()  # over time
    assert np.bincount(found[:, 0], minlength=12) / MEMBERS == pytest.approx(1 / 12, abs=0.07)


def test_frames_are_drawn_with_the_probabilities_of_their_errors():
    """Softmax over minus half the sum of squared errors in units of what is usual, by Gumbel's maximum."""
    found = np.concatenate([recalled(1.0, REAL[5], 0.5, seed)[:, 0] for seed in range(8)])
    apart = np.square(cells(REAL) - cells(REAL[5])).sum((1, 2, 3)) / (0.04 + 0.2 * 0.5) ** 2
    chances = np.exp(-apart / 2) / np.exp(-apart / 2).sum()
    assert chances.max() > 2 * chances.min()
    np.testing.assert_allclose(np.bincount(found, minlength=12) / len(found), chances, atol=0.05)


def test_the_last_frame_shows_where_it_is_kept_and_else_a_memory_in_the_colours_that_are_expected():
    @jax.jit
    def pictures(expected, moved, kept):
        memory, key = Memory(FRAMES, 100.0), jax.random.key(0)
        return memory.picture(expected, moved, kept, key), memory.recall(expected, kept, key)

    moved, share = REAL[2][None, None, None], np.ones((1, 1, 1, 16, 24, 1), np.float32)
    np.testing.assert_allclose(pictures(moved, moved, share)[0], moved, atol=1e-3)
    expected = np.full_like(moved, 0.3)
    shown, memory = (np.asarray(x) for x in pictures(expected, moved, 0 * share))
    assert np.abs(shown - moved).max() > 0.3
    away, back = (np.abs(cells(x - expected)).mean() for x in (memory, shown))
    assert back < 0.5 * away
    fine = [np.diff(x, axis=-2).std() for x in (shown, memory)]
    assert fine[0] == pytest.approx(fine[1], rel=0.05)  # as sharp


def test_cells_are_means_of_blocks():
    found = cells(REAL)
    assert found.shape == (12, 2, 3, 3)
    np.testing.assert_allclose(found[4, 1, 2], REAL[4, 8:16, 16:24].mean((0, 1)), rtol=1e-5)


def test_a_memory_knows_the_cells_of_its_frames_whatever_their_shape():
    frames = np.random.default_rng(3).integers(0, 256, (3, 16, 24, 3)).astype(np.uint8)
    frames[1] = 255
    np.testing.assert_allclose(Memory(frames, 1.0).seen[...], cells(frames / np.float32(255)), rtol=0, atol=1e-6)
    assert Memory(frames[:0], 1.0).seen[...].shape == (0, 2, 3, 3)


def test_whole_pixels_are_moved_as_they_are():
    both = jax.jit(lambda flow: (nearest(jnp.asarray(REAL), flow), warp(jnp.asarray(REAL), flow)))
    flow = np.broadcast_to(np.float32([2, -3]), (12, 16, 24, 2))
    whole, mean = both(flow)
    np.testing.assert_allclose(whole, mean, atol=2e-3)
    np.testing.assert_array_equal(whole[:, :14, 3:], REAL[:, 2:, :21])
    np.testing.assert_array_equal(both(flow + 0.4)[0], whole)  # no mean of neighbours
    np.testing.assert_array_equal(both(flow + 100)[0], np.broadcast_to(REAL[:, -1:, -1:], REAL.shape))
