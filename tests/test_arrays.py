import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worldmodel.arrays import evenly, hold, last_valid, newest

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
