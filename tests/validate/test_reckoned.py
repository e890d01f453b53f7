"""Dead reckoning by the plain rule goes from the last fix before an outage along what was read since: nothing else."""

import types

import numpy as np
import pytest

from worldmodel.geo import enu_to_geodetic
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines.odometry import Odometer
from worldmodel.models.baselines.reckoning import Reckoner
from worldmodel.models.baselines.view import Lens
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec
from worldmodel.validate.problem import problem_of
from worldmodel.validate.reckoned import reckoned

DT, TICKS, CONTEXT, HORIZON = 0.1, 37, 20, 5
SPEED, RATE = 2.0, 0.3
GPS = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 10.0)
WHEEL = StreamSpec("wheel", "sensor", ("speed", "yaw_rate"), ("m/s", "rad/s"), 10.0)
ORIGIN = np.array([48.0, 11.0, 500.0])


def drive(path, told=1.0, jump=0.0, silent=0, followed=False):
    """A problem on a circle that is driven at constant speed; from the outage of the first start on the wheel tells so
    many times it, and fixes are so many metres to the east. The first `silent` of these do not come.
    """
    time = np.arange(120) * DT
    out = time > (CONTEXT - 1) * DT + 1e-6
    place = SPEED / RATE * np.stack([np.sin(RATE * time), 1 - np.cos(RATE * time), 0 * time], 1)
    read = place + jump * np.outer(out & (time < (CONTEXT - 1 + TICKS) * DT - 1e-6), [1, 0, 0])
    wheel = np.stack([np.where(out, told, 1.0) * SPEED, np.full(120, RATE)], 1)
    with LogWriter(path, [GPS, WHEEL]) as writer:
        fixes = Samples(time[silent:], enu_to_geodetic(read[silent:], ORIGIN))
        writer.append({"gps": fixes, "wheel": Samples(time, wheel)})
    log = Log(path)
    layout = TickLayout(DT, (log.streams["gps"], log.streams["wheel"]))
    odometer = (Odometer("gps", (3,), (4,), 1.0, 1.0, 20, True, 0.01),) if followed else ()
    windows = Windows.of(log, layout, CONTEXT, HORIZON, followers=odometer)
    return problem_of(windows, name="late", after=TICKS, max_starts=None), place


def known(problem, reckoners=None):
    layout = problem.layout
    lens = Lens(layout, *(f(n) for n in (layout.size, layout.action_count) for f in (np.zeros, np.ones)))
    own = Reckoner("gps", np.array([0, 1]), np.array([3]), np.array([4]), 1.0, 1.0, np.array([0, 8, 1]))
    return types.SimpleNamespace(lens=lens, reckoners=(own,) if reckoners is None else reckoners)


@pytest.mark.parametrize("followed", [False, True])
def test_who_reads_speed_and_turning_rightly_is_nowhere_off(tmp_path, followed):
    problem, _ = drive(tmp_path / "log.h5", followed=followed)
    found = reckoned(known(problem), problem, GPS, TICKS)
    assert found.told.all()
    np.testing.assert_allclose(found.forecast.mean["gps"], problem.truth.recorded["gps"].values, atol=0.03)


def test_fixes_that_did_not_come_tell_it_nothing(tmp_path):
    plain, moved = (drive(tmp_path / f"{jump:g}.h5", jump=jump)[0] for jump in (0.0, 50.0))
    found = [reckoned(known(each), each, GPS, TICKS).forecast.mean["gps"][0] for each in (plain, moved)]
    np.testing.assert_allclose(*found, atol=1e-3)


def test_it_is_off_by_what_speed_is_misread_since_the_last_fix(tmp_path):
    problem, place = drive(tmp_path / "log.h5", told=1.1)
    found = reckoned(known(problem), problem, GPS, TICKS).forecast.mean["gps"][0]
    off = found - problem.truth.recorded["gps"].values[0]
    first, last = CONTEXT - 1, CONTEXT - 1 + TICKS
    for ahead in (1, HORIZON):
        np.testing.assert_allclose(off[ahead - 1], 0.1 * (place[last + ahead] - place[first]), atol=0.05)


def test_without_a_speed_there_is_none_and_without_a_fix_it_is_said(tmp_path):
    problem, _ = drive(tmp_path / "log.h5", silent=CONTEXT + 5)
    assert reckoned(known(problem, ()), problem, GPS, TICKS) is None
    told = reckoned(known(problem), problem, GPS, TICKS).told
    np.testing.assert_array_equal(told, problem.starts[:, 1] - TICKS >= CONTEXT + 5)
    assert 0 < told.sum() < len(told)
