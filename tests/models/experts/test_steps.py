"""What is foretold of a sensor that reads in steps is read so, too, and its intervals hold what they say."""

import dataclasses

import jax
import numpy as np
import pytest

from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.compiled import Compiled
from worldmodel.models.experts.left_out import measured
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.steps import Steps
from worldmodel.models.experts.team import Team
from worldmodel.training.data import measure_scaling
from worldmodel.types import Samples, StreamSpec

DT, C, H, STEP = 0.1, 8, 16, 1.0
COLUMNS = ("fine", "coarse")


def steps_of(series, wraps=False):
    """What is found in windows [N, T] of one column."""
    spec = StreamSpec("s", "sensor", ("a",), ("rad" if wraps else "K",), 1 / DT, circular=(wraps,))
    read = np.asarray(series)[..., None].repeat(2 if wraps else 1, -1)
    mean, std = np.full(read.shape[-1], read.mean()), np.full(read.shape[-1], read.std())
    lens = Lens(TickLayout(DT, (spec,)), mean, std, np.zeros(0), np.ones(0))
    return Steps.of(lens, (read - mean) / std, np.ones(read.shape, bool)), lens


def wandering():
    return 0.05 * np.random.default_rng(0).normal(size=(40, 50)).cumsum(1)


@pytest.mark.parametrize(("size", "middle"), [(0.05, 0.0), (0.2, 300.0), (1 / 3, -7.0), (0.5, 101325.0)])
def test_the_grid_is_found_that_readings_lie_on(size, middle):
    read = np.float32(np.round(middle / size + 10 * wandering()) * size)
    read[3, 7] += 0.4 * size  # one that lies on none
    found, lens = steps_of(np.float64(read))
    assert found.stepped.tolist() == [1]
    assert found.size[0] * lens.std[0] == pytest.approx(size, rel=1e-3)
    again = lens.units(found.as_read(lens.normal(read[..., None] + 0.3 * size)))[..., 0]
    np.testing.assert_allclose(np.delete(again, 3, 0), np.delete(read, 3, 0), rtol=2e-7, atol=1e-6)


def among(*values):
    """What stands at one of values, and now and then at another."""
    return np.random.default_rng(0).choice(values, 250).repeat(8).reshape(40, 50)


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ((8, 9, 10), 1),  # satellites that are counted
        ((7, 8, 11), 1),
        ((0.7, 0.8, 0.9), 0.1),  # their dilution of precision
        ((0.71, 0.78, 0.86, 0.94, 1.13, 1.41), 0.01),
        ((18, 20.5, 23), 0.1),  # what is set, of which a fourth may lie between two
    ],
)
def test_few_values_tell_the_digits_that_they_are_read_to(values, size):
    found, lens = steps_of(among(*values))
    assert found.stepped.tolist() == [1]
    assert found.size[0] * lens.std[0] == pytest.approx(size, rel=1e-3)


@pytest.mark.parametrize(
    "series",
    [
        among(8, 9),
        among(7.1234, 8.2821, 9.5173),
        wandering(),
        np.repeat(wandering()[:, ::5], 5, 1),  # held until the next sample, as of a slow sensor
        np.maximum(wandering(), 0),  # it stands where it comes to an end
        np.maximum(0.05 * np.random.default_rng(1).normal(size=(400, 50)).cumsum(1), 0),  # as near as numbers are
        np.round(wandering() * 1e4) / 1e4 + np.arange(50),  # a ramp of few digits, which never stands
        (np.arange(2000) // 40 % 2).reshape(40, 50),  # a switch
        np.random.default_rng(0).normal(size=8).repeat(250).reshape(40, 50),  # what is set now and then
    ],
)
def test_what_does_not_read_in_steps_is_left_alone(series):
    found, _ = steps_of(np.asarray(series, float))
    assert found.stepped.tolist() == [0]
    ahead = np.random.default_rng(1).normal(size=(3, 4, 1))
    assert found.as_read(ahead) is ahead


@pytest.mark.parametrize("unit", [1e-6, 1e-4, 1e-2, 1e4])
def test_what_moves_by_less_than_a_digit_is_not_rounded_to_it(unit):
    """A magnetometer's reading is next to no whole thousandth of a tesla but 0."""
    held = np.repeat(wandering()[:, ::5], 5, 1)
    assert not steps_of(unit * held)[0].stepped.any()
    assert not steps_of(unit * (40 + held))[0].stepped.any()
    found, lens = steps_of(unit * 0.06 * np.round(10 * held))
    assert found.size[0] * lens.std[0] == pytest.approx(unit * 0.06, rel=1e-3)


def test_of_angles_that_wrap_there_are_none():
    assert not steps_of(np.round(wandering() * 2) / 2, wraps=True)[0].stepped.any()


def test_jax_says_the_same_and_other_columns_keep_their_bits():
    steps = Steps(np.array([0, 1]), np.array([1.0, 0.25]), np.array([0.0, 0.1]))
    read = np.random.default_rng(0).normal(size=(50, 2))
    np.testing.assert_array_equal(steps.as_read(read)[:, 0], read[:, 0])
    on = (steps.as_read(read)[:, 1] - 0.1) / 0.25
    np.testing.assert_allclose(on, np.rint(on), atol=1e-12)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(steps.as_read)(jax.numpy.asarray(read)), steps.as_read(read), rtol=1e-12)


def satellites(path, seed, episodes, dilution):
    """Windows of what is fine, and of how many satellites there are or, by them, how their precision is diluted."""
    rng, count = np.random.default_rng(seed), 600
    streams = [StreamSpec(name, "sensor", ("t",), ("",), 1 / DT) for name in COLUMNS]
    with LogWriter(path, streams) as writer:
        for _ in range(episodes):
            seen = np.full(count, rng.integers(3))
            for k in range(1, count):
                seen[k] = np.clip(seen[k - 1] + (rng.random() < 0.03) * rng.choice([-1, 1]), 0, 2)
            coarse = np.array([0.94, 0.86, 0.71])[seen] if dilution else 8.0 + seen
            fine = 2 * rng.normal() + 0.03 * rng.normal(size=count).cumsum()
            parts = zip(COLUMNS, (fine, coarse), strict=True)
            writer.append({n: Samples(np.arange(count) * DT, x[:, None]) for n, x in parts})
    log = Log(path)
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H)


@pytest.mark.parametrize("dilution", [False, True])
def test_intervals_hold_what_is_read_of_few_values(tmp_path, dilution):
    learn = satellites(tmp_path / "a.h5", 0, 16, dilution)
    fresh = satellites(tmp_path / "b.h5", 1, 8, dilution)
    team, starts = team_of(learn), np.asarray(fresh.starts().thinned(300))
    context, future = fresh.cut(starts, H)
    at = learn.layout.slot_columns(learn.layout.spec("coarse"))[-1, 0]
    members = team.foresee(context, future.actions, None, team.blend.drawn(len(starts), 64, 0)).members[..., at]
    low, high = np.quantile(members, [0.05, 0.95], axis=1)
    came = future.values[..., at]
    assert ((low <= came + 1e-4) & (came - 1e-4 <= high)).mean(0)[:4].min() > 0.87


def team_of(learn):
    """What is fitted to windows, of the experts that are quick to fit."""
    baselines = Baselines.fit(learn, measure_scaling(learn, 0), 0)
    lens, experts, starts = baselines.lens, closed(baselines), learn.starts().thinned()
    told = measured(experts, lens, learn, starts, starts[:, 0])
    return Team.of(lens, tuple(experts), C, H, told, Reach.over(lens, [learn]))


def thermometers(path, seed, episodes):
    """Windows of two like rooms that change slowly, of which one thermometer reads whole degrees."""
    rng, count = np.random.default_rng(seed), 600
    streams = [StreamSpec(name, "sensor", ("t",), ("degC",), 1 / DT) for name in COLUMNS]
    with LogWriter(path, streams) as writer:
        for _ in range(episodes):
            rooms = 20 + 2 * rng.normal(size=2) + 0.03 * rng.normal(size=(count, 2)).cumsum(0)
            rooms += 0.01 * rng.normal(size=rooms.shape)
            rooms[:, 1] = np.round(rooms[:, 1] / STEP) * STEP
            writer.append({n: Samples(np.arange(count) * DT, rooms[:, i : i + 1]) for i, n in enumerate(COLUMNS)})
    log = Log(path)
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H)


def test_intervals_of_a_thermometer_that_mostly_stands_hold_what_it_reads(tmp_path):
    """Its mean lies a little beside what it goes on to read, and errors that are repeated are next to none."""
    learn, fresh = thermometers(tmp_path / "a.h5", 0, 16), thermometers(tmp_path / "b.h5", 1, 8)
    team = team_of(learn)
    lens = team.lens
    plain = dataclasses.replace(team, blend=dataclasses.replace(team.blend, stepped=np.zeros(0, int)))
    starts = np.asarray(fresh.starts().thinned(300))
    context, future = fresh.cut(starts, H)
    asked = context, future.actions, None, team.blend.drawn(len(starts), 64, 0)
    found, before = team.foresee(*asked), plain.foresee(*asked)
    at = {name: lens.layout.slot_columns(lens.layout.spec(name))[-1, 0] for name in COLUMNS}
    np.testing.assert_array_equal(found.mean, before.mean)
    np.testing.assert_array_equal(found.members[..., at["fine"]], before.members[..., at["fine"]])
    came = np.round(future.values[..., at["coarse"]] / STEP) * STEP
    held = []
    for read in (found.members[..., at["coarse"]], before.members[..., at["coarse"]]):
        low, high = np.quantile(read, [0.05, 0.95], axis=1)
        held.append(((low <= came + 1e-4) & (came - 1e-4 <= high)).mean(0))
    now, then = held
    on = found.members[..., at["coarse"]] / STEP
    np.testing.assert_allclose(on, np.rint(on), atol=1e-5)
    assert (now > 0.87).all()
    assert then.min() < 0.75
    program = Compiled(team)
    one, led = jax.tree.map(lambda x: x[:1], (context, future.actions))
    said = program.foresee(one, led, None, asked[-1][:1])
    np.testing.assert_allclose(said.members, found.members[:1], rtol=1e-6, atol=1e-5)
