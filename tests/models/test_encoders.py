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
    """Two samples a tick of three features, over more ticks than are looked at and over fewer.

    Before the first sample stands that one: nothing jumps when it comes.
    """
    rng = np.random.default_rng(0)
    for ticks in (30, 5):
        values, mask = rng.normal(size=(2, ticks, 6)).astype(np.float32), rng.uniform(size=(2, ticks, 6)) < 0.7
        values[~mask] = 0
        first, second, known = differences(jnp.asarray(values), jnp.asarray(mask), 3)
        assert first.shape == second.shape == known.shape == (2, RECENT, 3)
        for b, f in np.ndindex(2, 3):
            places = [(sample // 2, 3 * (sample % 2) + f) for sample in range(2 * ticks)]
            came = [i for i, (tick, column) in enumerate(places) if mask[b, tick, column]]
            last = values[b, *places[came[0]]]
            held = []
            for tick, column in places:
                last = values[b, tick, column] if mask[b, tick, column] else last
                held.append(last)
            begun = np.array([False] * (RECENT + 2) + [i >= came[0] for i in range(2 * ticks)])
            np.testing.assert_array_equal(known[b, :, f], begun[-RECENT - 2 : -2])
            steps = np.diff([held[0]] * (RECENT + 2) + held)
            np.testing.assert_allclose(first[b, :, f], steps[-RECENT:], atol=1e-6)
            np.testing.assert_allclose(second[b, :, f], np.diff(steps)[-RECENT:], atol=1e-6)
