"""What encoders make of missing frames and samples."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from worldmodel.models.encoders import RECENT, VideoEncoder, differences


def test_a_frame_that_is_not_there_changes_nothing_whatever_it_holds():
    encoder = VideoEncoder((8, 16), 4, 6, dtype=jnp.float32, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    frames, other = rng.uniform(size=(2, 1, 2, 8, 16, 3)).astype(np.float32)
    for mask in ([False, True], [True, False], [False, False]):
        there = np.array([mask])
        shown = np.where(there[..., None, None, None], frames, other)
        tokens, (vote, weight) = encoder(jnp.asarray(frames), there)
        again, (same, equal) = encoder(jnp.asarray(shown), there)
        np.testing.assert_array_equal(tokens, again)
        np.testing.assert_array_equal(vote, same)
        np.testing.assert_array_equal(weight, equal)
    seen, _ = encoder(jnp.asarray(frames), np.array([[True, True]]))
    assert (seen != tokens).any()


def test_differences_of_samples_where_a_missing_one_repeats_the_one_before():
    """Two samples a tick of three features, over more ticks than are looked at and over fewer."""
    rng = np.random.default_rng(0)
    for ticks in (30, 5):
        values, mask = rng.normal(size=(2, ticks, 6)).astype(np.float32), rng.uniform(size=(2, ticks, 6)) < 0.7
        values[~mask] = 0
        first, second = differences(jnp.asarray(values), jnp.asarray(mask), 3)
        assert first.shape == second.shape == (2, RECENT, 3)
        for b, f in np.ndindex(2, 3):
            held, last = [], values[b, 0, f]
            for sample in range(2 * ticks):
                tick, column = sample // 2, 3 * (sample % 2) + f
                last = values[b, tick, column] if mask[b, tick, column] else last
                held.append(last)
            steps = np.diff([held[0]] * (RECENT + 2) + held)
            np.testing.assert_allclose(first[b, :, f], steps[-RECENT:], atol=1e-6)
            np.testing.assert_allclose(second[b, :, f], np.diff(steps)[-RECENT:], atol=1e-6)
