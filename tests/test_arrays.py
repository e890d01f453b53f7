import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodel.arrays import evenly, hold, integral, last_valid, newest, scattered, wrapped

MASKS = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4)


@pytest.mark.parametrize("of", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@settings(max_examples=25, deadline=None)
@given(MASKS)
def test_held_values_are_those_of_a_plain_loop(of, rows):
    mask = np.array(rows)
    values = np.arange(mask.size, dtype=np.float32).reshape(mask.shape)
    held, begun = hold(of(values), of(mask))
    last, any_ = last_valid(of(values), of(mask))
    for b, row in enumerate(mask):
        known = np.flatnonzero(row)
        assert any_[b] == bool(len(known))
        for t in range(len(row)):
            before = known[known <= t]
            assert begun[b, t] == bool(len(before))
            assert newest(of(mask))[b, t] == (before[-1] if len(before) else -1)
            if len(known):
                assert held[b, t] == values[b, before[-1] if len(before) else known[0]]
        if len(known):
            assert last[b] == values[b, known[-1]]


def test_few_of_many_rows_are_evenly_among_them_with_both_ends():
    assert evenly(10, 4).tolist() == [0, 3, 6, 9]
    assert evenly(3, 8).tolist() == [0, 1, 2]
    assert evenly(5, 1).tolist() == [0]


@pytest.mark.parametrize("period", [2, 5, 10, 12])
@pytest.mark.parametrize("stride", [2, 10, 12, 60, 149])
def test_rows_that_are_scattered_see_every_phase_of_what_repeats(stride, period):
    rows = scattered(400 * stride, 400)
    phases = np.bincount(rows % period, minlength=period)
    np.testing.assert_array_equal(rows // stride, np.arange(400))  # one from each stretch
    assert phases.min() > 0.6 * 400 / period
    assert phases.max() < 1.5 * 400 / period


@pytest.mark.parametrize("count", [0, 1, 5, 9, 10, 14, 1000])
def test_as_many_rows_are_scattered_as_are_asked_for_and_there(count):
    rows = scattered(count, 9)
    assert len(rows) == min(count, 9)
    assert len(np.unique(rows)) == len(rows)
    assert all(0 <= row < count for row in rows)
    assert rows.tolist() == sorted(rows)


def test_an_integral_of_lines_is_exact_wherever_it_begins():
    rate = np.array([[1.0, 3.0, -1.0, -1.0]])
    np.testing.assert_allclose(integral(rate, 0.5), [[0, 1, 1.5, 1]])
    np.testing.assert_allclose(integral(rate[..., None])[..., 0], [[0, 2, 3, 2]])


def test_an_angle_is_within_half_a_turn():
    angle = np.linspace(-20, 20, 401)
    np.testing.assert_allclose(np.exp(1j * wrapped(angle)), np.exp(1j * angle))
    assert (np.abs(wrapped(angle)) <= np.pi).all()
