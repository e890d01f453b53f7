"""A scene beside a machine, and in a page: the answers are those that it gives on a log of the same samples."""

import dataclasses

import numpy as np
import pytest

from tests.simulate.identification import machines
from worldmodel.errors import WorldModelError
from worldmodel.explore.opening import drive_of, explorer_of
from worldmodel.logs.reader import Log
from worldmodel.physics import KnownScene
from worldmodel.simulate import simulate
from worldmodel.training import load

AT = 0.5


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("beside")
    true = machines.scene(folder / "true", machines.TRUE, "delay_s = 0.008")
    with Log(simulate(str(true), folder / "a.h5", episodes=2, seconds=0.8, seed=3, progress=False)) as opened:
        yield opened


@pytest.fixture(scope="module")
def known(log):
    return load(log.files[0].parent / "true").on(log)


def pushed(live, log, until=AT, change=lambda name, time, value: value):
    streams = log.episodes[0].streams
    every = sorted((t, name, x) for name, s in streams.items() for t, x in zip(s.time, s.data.tolist(), strict=True))
    for time, name, value in every:
        if time <= until + 1e-6:
            live.push(name, time, change(name, time, np.array(value)))
    return live


def test_live_it_says_what_it_says_of_the_log(known, log):
    live = pushed(known.live(start_s=0.0), log)
    ahead = {"torque": log.episodes[0].streams["torque"][AT + 1e-6 :]}
    ahead = {name: type(s)(s.time - AT, s.data) for name, s in ahead.items()}
    told, of_log = live.imagine(ahead, members=3, at_s=AT), known.imagine(log, episode=0, at_s=AT, members=3)
    for name in ("angle", "speed"):
        np.testing.assert_allclose(told[name].data, of_log[name].data, atol=1e-5)


def test_without_a_log_it_is_asked_with_all_of_its_streams(known, log):
    live = pushed(KnownScene.of(known.scene).live(start_s=0.0), log, until=0.8)
    assert set(live.imagine(members=2, horizon_s=0.1).imagined) == {"angle", "speed", "torque"}


def test_a_sensor_that_sticks_is_an_alarm(known, log):
    watch = known.watch(log)
    sound = pushed(known.live(start_s=0.0, watch=watch), log).alarms
    assert not sound.on_unfamiliar_ground
    stuck = log.episodes[0].streams["angle"].data[30]

    def change(name, time, value):
        return stuck if name == "angle" and time > 0.3 else value

    faulty = pushed(known.live(start_s=0.0, watch=watch), log, change=change).alarms
    assert faulty.surprise["angle"] > max(3 * sound.surprise["angle"], 1)


def test_the_page_gets_what_it_asks(known, log):
    explorer = explorer_of(known, log)
    info = explorer.handle({"kind": "info"})
    assert info["twin"] == known.scene.name
    assert [stream["name"] for stream in info["streams"]] == ["angle", "speed", "torque"]
    answer = explorer.handle({"kind": "imagine", "episode": 0, "at_s": AT, "members": 2})
    assert set(answer["streams"]) == {"angle", "speed"}
    assert answer["trust"] == {"angle": {}, "speed": {}}
    assert "error" in explorer.handle({"kind": "imagine", "episode": 0, "at_s": 0.0, "members": 2})


def test_it_is_driven_in_its_own_world(known, tmp_path):
    drive = drive_of(known, keep_in=tmp_path)
    assert "error" not in drive.handle({"kind": "info"})
    assert "error" not in drive.handle({"kind": "drive", "commands": {"torque": [0.5]}, "members": 2})


def test_a_log_of_another_machine_is_refused(known, log):
    with pytest.raises(WorldModelError, match="does not fit the scene"):
        KnownScene.of("cartpole").on(log)
    other = dataclasses.replace(known, streams=tuple(s for s in known.streams if s.name != "speed"))
    with pytest.raises(WorldModelError, match="no stream 'speed'"):
        other.live().push("speed", 0.0, 1.0)
