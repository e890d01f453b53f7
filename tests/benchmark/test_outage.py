"""Where a machine is whose positions were out: beside dead reckoning, and with them beside the fixes."""

import types

import numpy as np
import pytest

from worldmodel.benchmark import outage
from worldmodel.benchmark.problem import OUT, PLACE, RAW, RECKONED
from worldmodel.geo import enu_to_geodetic
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines.reckoning import Reckoner
from worldmodel.models.baselines.view import Lens
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec
from worldmodel.validate import Forecast

DT, CONTEXT, HORIZON, OUT_S = 0.1, 10, 5, 4.0
SPEED = np.array([3.0, 4.0, 0.0])
GPS = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 10.0)
WHEEL = StreamSpec("wheel", "sensor", ("speed", "yaw_rate"), ("m/s", "rad/s"), 10.0)
NOISE = 0.5  # m east and north


class Knows:
    """The speed, but for an eighth."""

    name = "model"

    def predict(self, problem):
        return Forecast({"gps": np.repeat(problem.times[None, :, None] * 1.125 * SPEED, len(problem.starts), 0)})


@pytest.fixture
def log(tmp_path):
    """Straight drives, whose fixes are noisy and whose wheel tells the speed but for a half."""
    rng, path = np.random.default_rng(0), tmp_path / "log.h5"
    time = np.arange(160) * DT
    true = time[:, None] * SPEED
    wheel = Samples(time, np.stack([np.full(160, 7.5), np.zeros(160)], 1))
    with LogWriter(path, [GPS, WHEEL], truth=[GPS, WHEEL]) as writer:
        for _ in range(4):
            read = true + NOISE * rng.normal(size=true.shape) * [1, 1, 0]
            both = [{"gps": Samples(time, enu_to_geodetic(x, np.zeros(3))), "wheel": wheel} for x in (read, true)]
            writer.append(both[0], truth=both[1])
    return path


def test_each_is_as_far_from_the_truth_as_it_must_be(log, monkeypatch):
    with Log(log) as opened:
        layout = TickLayout(DT, (opened.streams["gps"], opened.streams["wheel"]))
    lens = Lens(layout, *(f(n) for n in (layout.size, layout.action_count) for f in (np.zeros, np.ones)))
    own = Reckoner("gps", np.array([0, 1]), np.array([3]), np.array([4]), 1.0, 1.0, np.array([0, 8, 1]))
    run = types.SimpleNamespace(
        layout=layout, unmoved={}, baselines=types.SimpleNamespace(lens=lens, reckoners=(own,)),
        windows=lambda log: Windows.of(log, layout, CONTEXT, HORIZON),
    )  # fmt: skip
    monkeypatch.setattr(outage, "Model", lambda run, seed: Knows())
    rows = list(outage.places(run, log, OUT_S, 0))
    assert {(stream, unit) for _, stream, _, _, _, unit in rows} == {("gps", "m")}
    found = {(model, figure): value for model, _, figure, at_s, value, _ in rows if at_s == 0.5}
    assert found.keys() == {("model", OUT), ("model", PLACE), (RECKONED, OUT), (RAW, PLACE)}
    fix = NOISE * np.sqrt(2)
    assert found[RAW, PLACE] == pytest.approx(fix, rel=0.15)
    assert found["model", PLACE] == pytest.approx(np.hypot(fix, 0.125 * 5 * 0.5), rel=0.15)
    assert found["model", OUT] == pytest.approx(0.125 * 5 * (OUT_S + 0.5), rel=0.3)
    assert found[RECKONED, OUT] == pytest.approx(0.5 * 5 * (OUT_S + 0.5), rel=0.15)
