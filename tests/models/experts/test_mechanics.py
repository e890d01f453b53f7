"""Mechanics against what is known: energy, numpy, a pendulum's own equation; and what may have no influence."""

import dataclasses
import io
import re

import jax
import numpy as np
import pytest

from tests.models.experts.pendulum import (
    DAMPING,
    DT,
    INERTIA,
    WEIGHT,
    examples,
    layout,
    lens_of,
    recorded,
    sensor,
    simulated,
)
from worldmodel.models.experts.columns import columns_of
from worldmodel.models.experts.mechanics import Mechanics, expert
from worldmodel.models.experts.mechanics.model import (
    TAPS,
    Form,
    Scales,
    harmonics,
    parameters,
    rollout,
    size,
    solve,
    triangle,
)
from worldmodel.models.experts.mechanics.scales import measure
from worldmodel.models.experts.mechanics.start import polynomial
from worldmodel.models.experts.mechanics.track import came_of, track_of
from worldmodel.models.experts.structure import find_structure


@pytest.fixture(scope="module", autouse=True)
def few_windows():
    """A pendulum needs no more."""
    with pytest.MonkeyPatch.context() as patch:
        for stage, windows in (("_NEAR", 200), ("_FAR", 100), ("_LAST", 200)):
            patch.setattr(expert, stage, (10, windows))
        yield


@pytest.fixture(scope="module")
def data():
    return recorded(wraps=True, noise=0.01)


@pytest.fixture(scope="module")
def model(data):
    examples, lens = data
    return Mechanics.fit(examples, lens, find_structure(examples, lens), seed=0)


def test_a_pendulum_is_recovered(model):
    text = model.describe()
    number = r"(-?[0-9.e-]+)"
    assert text.startswith("equations of motion, in N*m, rad, s:")
    assert float(re.search(rf"M\[angle, angle\] = {number}\n", text)[1]) == pytest.approx(INERTIA, rel=0.05)
    assert float(re.search(rf"V = {number} cos\(angle\)\n", text)[1]) == pytest.approx(-WEIGHT, rel=0.05)
    assert float(re.search(rf"friction of angle = {number} viscous", text)[1]) == pytest.approx(DAMPING, rel=0.1)
    assert "force on angle = 1 torque.angle\n" in text


def test_it_predicts_what_it_knows_and_nothing_else(data, model):
    examples, _ = data
    ahead = model.predict(examples.view)
    assert ahead.shape == examples.came.shape
    assert np.isnan(ahead[..., 3]).all()
    missed, held = (
        np.sqrt(((x - examples.came)[:, -1, :3] ** 2).mean(0))
        for x in (ahead, np.repeat(examples.view.held[:, -1:], 10, 1))
    )
    assert (missed < 0.05).all()
    assert (held > 0.4).all()


def test_a_pendulum_is_recovered_from_its_angle_alone():
    examples, lens = recorded(wraps=True, noise=0.01, speeds=False)
    model = Mechanics.fit(examples, lens, find_structure(examples, lens), seed=0)
    number = r"(-?[0-9.e-]+)"
    text = model.describe()
    assert float(re.search(rf"M\[angle, angle\] = {number}\n", text)[1]) == pytest.approx(INERTIA, rel=0.1)
    assert float(re.search(rf"V = {number} cos\(angle\)\n", text)[1]) == pytest.approx(-WEIGHT, rel=0.1)
    ahead = model.predict(examples.view)
    assert np.isnan(ahead[..., 2]).all()
    for each in (ahead, model.refit(examples, seed=1).predict(examples.view)):
        assert (np.sqrt(((each - examples.came)[:, -1, :2] ** 2).mean(0)) < 0.1).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("never_read", [False, True])
def test_a_joint_that_stands_still_does_not_slow_down_the_others(never_read):
    states, actions = (np.stack(x) for x in zip(*map(simulated, range(4)), strict=True))
    readings = np.concatenate([states[..., :1], np.full_like(states[..., :1], 0.3)], -1)
    lens = lens_of(layout(sensor("joints", "a b", "rad rad")), readings, actions)
    lens = dataclasses.replace(lens, std=np.ones(2))  # as of what does not move
    seen = examples(readings, actions, lens)
    if never_read:
        masks = {name: getattr(seen.view, name) & [True, False] for name in ("mask", "slots_mask")}
        seen = seen._replace(view=seen.view._replace(**masks), mask=seen.mask & [True, False])
    columns = list(columns_of(lens.layout).values())

    def time_of(columns):
        track = track_of(seen.view, lens, columns)
        return measure(track, came_of(seen, lens, columns, track), None, lens).time

    assert time_of([*columns, None, None]) == pytest.approx(time_of([columns[0], None]), rel=1e-3)


def test_arrays_hold_all_of_it(data, model):
    examples, lens = data
    file = io.BytesIO()
    np.savez(file, **model.to_arrays())
    file.seek(0)
    with np.load(file) as arrays:
        again = Mechanics.from_arrays(dict(arrays), lens)
    assert (again.structure, again.form, again.length) == (model.structure, model.form, model.length)
    np.testing.assert_array_equal(again.predict(examples.view), model.predict(examples.view))


def test_a_seed_makes_one_fit(data, model):
    examples, lens = data
    again = Mechanics.fit(examples, lens, model.structure, seed=0)
    np.testing.assert_array_equal(again.flat, model.flat)
    assert not np.array_equal(model.refit(examples, seed=1).flat, model.flat)


def test_a_refit_on_other_windows_finds_the_same(data, model):
    examples, _ = data
    other = jax.tree.map(lambda x: x[::2], examples)
    again = model.refit(other)
    assert (again.form, again.length) == (model.form, model.length)
    np.testing.assert_array_equal(again.ridge, model.ridge)
    apart = np.nanstd(again.predict(examples.view) - model.predict(examples.view))
    assert apart < 0.02


def test_masked_readings_have_no_influence(data, model):
    examples, _ = data
    view = examples.view
    there = np.random.default_rng(0).uniform(size=view.mask.shape) < 0.7
    there[..., 1] = there[..., 0]  # a sine and its cosine are there together
    masked = view._replace(mask=view.mask & there, slots_mask=view.slots_mask & there)
    wrong = masked._replace(slots=np.where(masked.slots_mask, view.slots, 99.0))
    expected = model.predict(masked)
    np.testing.assert_array_equal(model.predict(wrong), expected)
    assert 0 < np.nanstd(expected - model.predict(view)) < 0.1


def test_later_actions_and_the_horizon_do_not_reach_back(data, model):
    view = data[0].view
    whole = model.predict(view)
    short = model.predict(view._replace(ahead=view.ahead[:, :7], ahead_mask=view.ahead_mask[:, :7]))
    np.testing.assert_array_equal(short, whole[:, :7])
    other = view._replace(ahead=np.concatenate([view.ahead[:, :7], view.ahead[:, 7:] + 3], 1))
    np.testing.assert_array_equal(model.predict(other)[:, :7], short)
    assert np.nanmax(abs(model.predict(other) - whole)[:, 8]) > 0.01


def test_one_window_is_answered_as_among_many_and_with_a_short_context(data, model):
    view = data[0].view
    whole = model.predict(view)
    one = type(view)(*(x[:1] for x in view))
    np.testing.assert_allclose(model.predict(one), whole[:1], atol=1e-4)
    cut = {name: getattr(view, name)[:, -12:] for name in ("slots", "slots_mask", "readings", "mask", "held", "age")}
    cut |= {name: getattr(view, name)[:, -11:] for name in ("past", "past_mask")}
    assert np.nanstd(model.predict(view._replace(**cut)) - whole) < 0.1


def test_energy_stays_where_nothing_takes_it():
    form, n = Form((True, True), 1, False, 64), 2
    velocity = np.array([1.5, 0.7])
    scales = Scales(0.05, velocity, 0.8, np.zeros((n, 1)), np.zeros(n), np.ones(4), np.ones(4))
    rng = np.random.default_rng(0)
    p = parameters(form, np.zeros(size(form)))
    p = p._replace(inertia=0.15 * rng.normal(size=p.inertia.shape), potential=rng.normal(size=p.potential.shape))
    start = rng.normal(size=(4, 5)).astype(np.float32)
    single = [np.asarray(x, np.float32) for x in p]
    path = np.asarray(rollout(form, scales, type(p)(*single), start, np.zeros((TAPS - 1 + 20, 1, 5), np.float32)))

    def energy(state):
        waves = harmonics(form.angles) @ state[:2]
        both = np.concatenate([np.sin(waves), np.cos(waves)])
        terms = p.inertia @ np.concatenate([np.ones_like(state[:1]), both])
        w = state[2:] / velocity[:, None]
        kinetic = 0.5 * np.einsum("ab...,a...,b...->...", terms[triangle(n)] + np.eye(n)[:, :, None], w, w)
        return kinetic * scales.time + p.potential @ both / velocity.mean()

    before, after = energy(start), np.stack([energy(state) for state in path])
    assert abs(path[-1] - start).max() > 0.5
    np.testing.assert_allclose(after, np.broadcast_to(before, after.shape), atol=0.01)


def test_friction_stops_without_turning_back():
    form = Form((False,), 1, False, 2)
    p = parameters(form, np.zeros(size(form), np.float32))._replace(coulomb=np.ones(1, np.float32))
    scales = Scales(0.1, np.ones(1), 1.0, np.zeros((1, 1)), np.zeros(1), np.ones(2), np.ones(2))
    path = rollout(form, scales, p, np.array([[0.0], [2.0]], np.float32), np.zeros((TAPS - 1 + 30, 1, 1), np.float32))
    speed = np.asarray(path)[:, 1, 0]
    assert (np.diff(speed) <= 1e-6).all()
    assert abs(speed[-1]) < 1e-3


def test_a_delayed_action_is_felt_later():
    form = Form((False,), 1, False, 2)
    p = parameters(form, np.zeros(size(form), np.float32))._replace(delay=np.float32(0.7))  # one tick in all
    scales = Scales(0.1, np.ones(1), 1.0, np.ones((1, 1)), np.zeros(1), np.ones(2), np.ones(2))
    acted = np.zeros((TAPS - 1 + 5, 1, 1), np.float32)
    acted[TAPS - 1] = 1  # leaves the start
    speed = np.asarray(rollout(form, scales, p, np.zeros((2, 1), np.float32), acted))[:, 1, 0]
    np.testing.assert_allclose(speed, [0, 0.1, 0.1, 0.1, 0.1], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_elimination_is_numpys(n):
    rng = np.random.default_rng(n)
    half = rng.normal(size=(n, n, 6))
    matrix = np.einsum("ikb,jkb->ijb", half, half) + np.eye(n)[:, :, None]
    right = rng.normal(size=(n, 6))
    expected = np.linalg.solve(matrix.transpose(2, 0, 1), right.T[..., None])[..., 0].T
    found = solve(matrix.astype(np.float32), right.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)


def test_harmonics_are_of_angles_alone():
    assert harmonics((True, False)).tolist() == [[1, 0]]
    assert sorted(map(tuple, harmonics((True, True)))) == [(0, 1), (1, -1), (1, 0), (1, 1)]
    assert harmonics((False,)).shape == (0, 1)


def test_a_parabola_is_found_from_samples_at_their_own_times():
    examples, lens = recorded(wraps=False)
    view = examples.view
    ticks = view.held.shape[1]
    age = np.random.default_rng(0).uniform(0, 0.9, view.age.shape)
    time = (np.arange(1 - ticks, 1)[:, None] - age[..., [0, 1]]) * DT
    exact = np.stack([0.3 + 2 * time[..., 0] - 2 * time[..., 0] ** 2, 2 - 4 * time[..., 1]], -1)
    slots = view.slots.copy()
    slots[..., :2] = (exact - lens.mean[:2]) / lens.std[:2]
    columns = [columns_of(lens.layout)[name] for name in ("joint.angle", "joint.speed")]
    track = track_of(view._replace(slots=slots, age=age), lens, columns)
    scales = Scales(DT, np.ones(1), DT, np.zeros((1, 1)), np.zeros(1), np.full(2, 1e-4), np.ones(2))
    np.testing.assert_allclose(
        polynomial(track, ticks - 1, scales), np.broadcast_to([0.3, 2], (len(age), 2)), atol=1e-3
    )
