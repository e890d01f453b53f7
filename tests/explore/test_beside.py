"""MuJoCo beside a moment is the twin of the log, under the log's commands and under others."""

import numpy as np
import pytest

from worldmodel.errors import SceneError
from worldmodel.explore.beside import Beside, find_twin
from worldmodel.imagine.trajectory import Moment
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.simulate import Branch, load_scene, simulate
from worldmodel.types import Samples

DT, CONTEXT, HORIZON, AT_S = 0.04, 10, 15, 0.8


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two episodes of one world, whose commands part at `AT_S`."""
    out = tmp_path_factory.mktemp("log") / "a.h5"
    return simulate("cartpole", out, episodes=1, seconds=2.0, branch=Branch(AT_S, 2), progress=False)


@pytest.fixture(scope="module")
def log(path):
    return Log(path)


def moment_of(log, episode=0):
    layout = TickLayout(DT, tuple(log.streams.values()))
    return Moment.of(Windows.of(log, layout, CONTEXT, HORIZON, [episode]), round(AT_S / DT), HORIZON)


def truth_of(path, episode, beside):
    """What was truly read at the times of `Beside.readings`: the log's own 50 Hz are two a tick."""
    true = Log(path, truth=True).episodes[episode].truth
    times = AT_S + DT / 2 * np.arange(1, 2 * HORIZON + 1)
    return {n: s.data[np.searchsorted(s.time, times - 1e-6)] for n, s in true.items() if n in beside}


def test_it_follows_what_was_commanded(path, log):
    found = Beside(log, load_scene("cartpole"), tuple(log.streams.values())).readings(0, moment_of(log), HORIZON, None)
    truth = truth_of(path, 0, found)
    for name, tolerance in (("cart", 0.2), ("pole", 0.5)):
        apart = found[name] - truth[name]
        apart[:, 0] = (apart[:, 0] + np.pi) % (2 * np.pi) - np.pi if name == "pole" else apart[:, 0]
        assert found[name].shape == (2 * HORIZON, 2)
        assert np.abs(apart).max() < tolerance  # it starts from readings with their noise


def test_it_follows_what_others_command(path, log):
    beside = Beside(log, load_scene("cartpole"), tuple(log.streams.values()))
    other = log.episodes[1].streams["push"]
    after = other.time >= AT_S - 1e-9
    actions = {"push": Samples(other.time[after] - AT_S, other.data[after])}
    plain, found = (beside.readings(0, moment_of(log), HORIZON, given)["cart"] for given in (None, actions))
    true = truth_of(path, 1, {"cart"})["cart"]
    assert np.abs(found - true).max() < 0.2 < np.abs(plain - true).max()


def test_without_the_simulators_state_it_starts_from_an_estimate(path, log, monkeypatch):
    beside = Beside(log, load_scene("cartpole"), tuple(log.streams.values()))
    monkeypatch.setattr("worldmodel.simulate.recorded.Recorded.state", lambda *_: None)
    found = beside.readings(0, moment_of(log), HORIZON, None)["cart"]
    assert np.abs(found - truth_of(path, 0, {"cart"})["cart"]).max() < 0.2


def test_a_scene_of_another_machine_is_refused_where_it_was_asked_for(log):
    streams = tuple(log.streams.values())
    assert find_twin(log, "double_pendulum", streams, asked=False) is None
    assert find_twin(log, "", streams, asked=False) is None
    with pytest.raises(SceneError, match="has no stream 'cart' of position, velocity"):
        find_twin(log, "double_pendulum", streams, asked=True)
