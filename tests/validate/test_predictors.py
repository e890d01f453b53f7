"""What is scored of a run is what `imagine` gives: as a machine stands, and where its place is unsure, too."""

import dataclasses

import numpy as np
import pytest

from tests.untrained import untrained_run
from worldmodel.codecs import codec
from worldmodel.geo import enu_to_geodetic
from worldmodel.logs.physical import physical_values
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines.odometry import Odometer
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec
from worldmodel.validate import Model
from worldmodel.validate.problem import problem_of

GPS = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 10.0)
WHEEL = StreamSpec("wheel", "sensor", ("speed", "yaw_rate"), ("m/s", "rad/s"), 10.0)
DT, CONTEXT, HORIZON = 0.1, 10, 8
STARTS_S, OUT_S = 12.0, (18.0, 24.0)  # it stands before; then there is no fix


@pytest.fixture(scope="module")
def driven(tmp_path_factory):
    """A log of a vehicle that stands and then drives on, and a run that follows it."""
    time, rng = np.arange(300) * DT, np.random.default_rng(0)
    speed = np.where(time < STARTS_S, 0, 2.0)
    east = np.cumsum(speed) * DT * np.sqrt(0.5)
    fixes = np.stack([east, east, 0 * east], 1) + [0.2, 0.2, 0] * rng.normal(size=(300, 3))
    there = (time < OUT_S[0]) | (time > OUT_S[1])
    path = tmp_path_factory.mktemp("driven") / "log.h5"
    place = enu_to_geodetic(fixes, np.array([48.0, 11.0, 500.0]))
    with LogWriter(path, [GPS, WHEEL]) as writer:
        writer.append(
            {"gps": Samples(time[there], place[there]), "wheel": Samples(time, np.stack([speed, 0 * speed], 1))}
        )
    log = Log(path)
    odometer = Odometer("gps", (3,), (4,), 1.0, 1.0, 50, True, 0.2, 0.0)
    run = untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON)
    return log, dataclasses.replace(run, odometers=(odometer,))


def problem_at(log, run, at_s):
    return problem_of(run.windows(log, HORIZON), name="one", at_s=[at_s])


@pytest.mark.parametrize(("at_s", "aimless", "unsure"), [(8.0, True, True), (16.0, False, True), (23.0, False, True)])
def test_members_are_those_of_imagine(driven, at_s, aimless, unsure):
    log, run = driven
    problem = problem_at(log, run, at_s)
    forecast = Model(run, seed=5).predict(problem)
    future = run.imagine(log, episode=0, at_s=at_s, horizon_s=HORIZON * DT, members=run.told_by, seed=5)
    assert (bool(future.aimless), bool(future.unsure)) == (aimless, unsure)
    windows = problem.truth.windows
    origin, fixes = windows.ticks[0].origin, windows.last_fixes(problem.starts)
    for spec in problem.readings:
        shown = physical_values(spec, future[spec.name].data, origin) - codec(spec).physical(fixes[spec.name])
        np.testing.assert_allclose(forecast.members[spec.name][0], shown.swapaxes(0, 1), atol=2e-3)
    assert ("in all directions" in forecast.note) == aimless
