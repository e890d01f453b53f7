"""Faults do to a context what they say and nothing else, and a position that is carried drifts as it must."""

import numpy as np
import pytest

from tests.oscillator import SPECS, episode
from worldmodel.geo import enu_to_geodetic
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines.odometry import Odometer
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec
from worldmodel.validate import Forecast, make_problem
from worldmodel.validate.carried import carried
from worldmodel.validate.faults import drop, fastest, freeze, positions, stick
from worldmodel.validate.problem import problem_of

DT, CONTEXT, HORIZON = 0.05, 10, 6


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    path = tmp_path_factory.mktemp("faults") / "log.h5"
    with LogWriter(path, SPECS) as writer:
        writer.append(episode(0))
    return make_problem(Log(path), dt=DT, context_s=CONTEXT * DT, horizon_s=HORIZON * DT)


def others_are_untouched(problem, changed, *hit):
    columns = np.concatenate([np.arange(c.start, c.stop) for n, c in problem.layout.columns.items() if n not in hit])
    for name in ("values", "mask"):
        before, after = (getattr(x.context, name)[..., columns] for x in (problem, changed))
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(problem.commands.values, changed.commands.values)
    assert changed.answers is problem.answers


def test_half_of_the_samples_are_lost_and_the_ages_say_so(problem):
    imu = fastest(problem)
    assert {s.rate_hz for s in imu} == {max(s.rate_hz for s in problem.readings if s.kind != "gps")}
    changed = drop(problem, imu, seed=1)
    others_are_untouched(problem, changed, *(s.name for s in imu))
    for spec in imu:
        there, kept = (x.context.mask[..., problem.layout.columns[spec.name]] for x in (problem, changed))
        assert not (kept & ~there).any()
        assert kept.sum() / there.sum() == pytest.approx(0.5, abs=0.05)
        i, slots = problem.layout.readings.index(spec), problem.layout.slots(spec)
        age, lost = (x.context.age_s[..., i] for x in (problem, changed))
        last = np.flatnonzero(kept[0].any(-1))[-1]
        ticks = kept.shape[1] - 1 - last
        older = (slots - 1 - np.flatnonzero(kept[0, last].reshape(slots, -1).any(-1))[-1]) * DT / slots
        assert lost[0, -1] == pytest.approx(age[0, last] + older + ticks * DT, abs=1e-5)


@pytest.mark.parametrize(("share", "left"), [(0.0, 1), (1.0, 0)])
def test_all_or_nothing_can_be_lost(problem, share, left):
    (spec, *_) = fastest(problem)
    changed = drop(problem, (spec,), share)
    columns, i = problem.layout.columns[spec.name], problem.layout.readings.index(spec)
    expected = problem.context.mask[..., columns] & bool(left)
    np.testing.assert_array_equal(changed.context.mask[..., columns], expected)
    assert np.isinf(changed.context.age_s[:, -1, i]).all() == (not left)


def test_a_stuck_sensor_repeats_what_it_read(problem):
    spec = problem.streams["position"]
    changed = stick(problem, spec, 4)
    others_are_untouched(problem, changed, "position")
    np.testing.assert_array_equal(changed.context.mask, problem.context.mask)
    before, after = problem.past["position"], changed.past["position"]
    np.testing.assert_array_equal(after[:, :-4], before[:, :-4])
    np.testing.assert_array_equal(after[:, -4:], np.repeat(before[:, -5:-4], 4, 1))
    assert (after[:, -1] != before[:, -1]).any()


def test_a_frozen_camera_shows_the_frame_of_back_then(problem):
    changed, windows = freeze(problem, 5), problem.truth.windows
    others_are_untouched(problem, changed)
    earlier = problem.starts[20:] - [0, 5]
    shown, _ = windows.cut(earlier, 1)
    for frame in range(2):
        np.testing.assert_array_equal(changed.context.frames[0][20:, frame], shown.frames[0][:, -1])
    assert (changed.context.frames[0] != problem.context.frames[0]).any()


SPEED = np.array([3.0, -1.0, 0.0])
GPS = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 10.0)


class Knows:
    """Goes on at a speed, whatever it sees."""

    def __init__(self, speed):
        self.speed = speed

    def predict(self, problem):
        ahead = problem.times[None, :, None] * self.speed
        return Forecast(mean={"gps": np.repeat(ahead, len(problem.starts), 0)})


def test_a_position_without_fixes_drifts_by_the_error_of_the_speed_that_carries_it(tmp_path):
    """A drive straight on at constant speed, fixes without noise: who knows the speed is nowhere off."""
    time = np.arange(120) / 10
    origin = np.array([48.0, 11.0, 500.0])
    with LogWriter(tmp_path / "log.h5", [GPS]) as writer:
        writer.append({"gps": Samples(time, enu_to_geodetic(time[:, None] * SPEED, origin))})
    problem = make_problem(Log(tmp_path / "log.h5"), dt=0.1, context_s=1.0, horizon_s=0.5)
    ticks, (spec,) = 37, positions(problem)
    late = problem_of(problem.truth.windows, name="late", after=ticks)
    assert late.starts[0, 1] == 9 + ticks
    true = late.times[None, :, None] * SPEED
    for drift in (0.0, 0.2):
        found = carried(Knows(SPEED + [drift, 0, 0]), late, spec, ticks).mean["gps"]
        expected = true + [drift, 0, 0] * (late.times[None, :, None] + ticks * 0.1)
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2e-3)


def test_a_position_that_is_followed_stays_known_without_fixes(tmp_path):
    """The same drive with a wheel: who knows the speed is nowhere off, who is mistaken is so only from the start on."""
    time, wheel = np.arange(120) / 10, StreamSpec("wheel", "sensor", ("speed", "yaw_rate"), ("m/s", "rad/s"), 10.0)
    place = enu_to_geodetic(time[:, None] * SPEED, np.array([48.0, 11.0, 500.0]))
    turned = np.stack([np.full(120, np.linalg.norm(SPEED)), np.zeros(120)], 1)
    with LogWriter(tmp_path / "log.h5", [GPS, wheel]) as writer:
        writer.append({"gps": Samples(time, place), "wheel": Samples(time, turned)})
    log = Log(tmp_path / "log.h5")
    odometer = Odometer("gps", (3,), (4,), 1.0, 1.0, 20, True, 0.01)
    windows = Windows.of(log, TickLayout(0.1, tuple(log.streams.values())), 10, 5, followers=(odometer,))
    late = problem_of(windows, name="late", after=37)
    for drift in (0.0, 0.2):
        found = carried(Knows(SPEED + [drift, 0, 0]), late, log.streams["gps"], 37).mean["gps"]
        expected = late.times[None, :, None] * (SPEED + [drift, 0, 0])
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-2)
