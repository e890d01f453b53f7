"""Checkpoints: what was saved is there, and a full disk takes nothing away."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from worldmodel.errors import WorldModelError
from worldmodel.training import checkpoints as module
from worldmodel.training.checkpoints import Checkpoints
from worldmodel.training.state import TrainState


def state(step: int) -> TrainState:
    numbers = {"a": np.arange(6.0, dtype=np.float32).reshape(2, 3) + step, "b": np.float32(step)}
    numbers["none"] = np.zeros((0, 4), np.float32)  # as of a log without low-dimensional readings
    zero, errors = np.float64(0.1), np.array([1.0, np.nan])
    return TrainState(numbers, (numbers, ()), np.int64(step), zero, zero, errors, np.float64(np.inf), np.int64(3))


def same(one: TrainState, two: TrainState) -> None:
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)


def test_the_newest_state_comes_back_whole(tmp_path):
    with Checkpoints(tmp_path / "a", 2) as one:
        assert one.restore(state(0)) is None
        for step in (1, 2, 3):
            one.save(step, state(step))
    with Checkpoints(tmp_path / "a", 2) as two:
        same(two.restore(state(0)), state(3))
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["2", "3"]


def test_a_full_disk_is_told_and_the_checkpoint_before_it_is_kept(tmp_path, monkeypatch):
    with Checkpoints(tmp_path / "a", 2) as checkpoints:
        checkpoints.save(1, state(1))
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: SimpleNamespace(free=60))
        with pytest.raises(WorldModelError, match=r"the disk is full[\s\S]*whole before are kept"):
            checkpoints.save(2, state(2))
        same(checkpoints.restore(state(0)), state(1))


def test_a_write_that_fails_on_the_way_is_told_as_well(tmp_path, monkeypatch):
    """As beyond a quota, which the room on the disk does not show."""
    with Checkpoints(tmp_path / "a", 2) as checkpoints:
        checkpoints.save(1, state(1))

        def fail(*_, **__):
            raise ValueError("RESOURCE_EXHAUSTED: [OS error 122: Disk quota exceeded]")

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints._manager, "save", fail)
            with pytest.raises(WorldModelError, match="the disk is full"):
                checkpoints.save(2, state(2))
        same(checkpoints.restore(state(0)), state(1))
