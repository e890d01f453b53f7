"""A driven scene: it goes on as time does, obeys, and is compared with what was imagined of it."""

import dataclasses

import numpy as np
import pytest

from worldmodel.explore.drive import Drive
from worldmodel.explore.outcomes import Outcomes
from worldmodel.imagine import output
from worldmodel.imagine.forecaster import Forecasted
from worldmodel.live import Alarms, Live
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.simulate import load_scene
from worldmodel.simulate.scene import JointLimits
from worldmodel.types import Samples, StreamSpec

DT, CONTEXT, HORIZON = 0.04, 5, 10
CART = {"kind": "drive", "horizon_s": 0.4, "members": 4}


class Holding:
    """Who foresees that all stays as it is."""

    names = ()

    def seeded(self, seed):
        return self

    def futures(self, context, actions, ticks, members):
        read = np.broadcast_to(
            context.values[:, None, -1:], (1, members, actions.values.shape[1], context.values.shape[2])
        )
        return Forecasted(read.mean(1), read, [], np.zeros((0, 1, 1, 0)), np.zeros((1, read.shape[2], 0)))


class Session:
    run = Holding()
    run.horizon_ticks = lambda horizon_s, beyond=False: HORIZON if horizon_s is None else round(horizon_s / DT)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


class Startled:
    """A watch that is surprised at one tick alone, the first that it judges after 0.62 s."""

    look, startled_s = 2, None

    def __init__(self):
        self.judged = []

    def judge(self, at_s, context, future):
        self.judged.append(round(at_s / DT))
        if self.startled_s is None and at_s > 0.62:
            self.startled_s = at_s
        return Alarms(at_s, {"cart": 2.0 if at_s == self.startled_s else 0.1}, {})


def drive_of(scene, clock, keep_in="kept", watch=None):
    layout = TickLayout(DT, tuple(s.spec for s in scene.streams))
    begin = lambda watch=None: Live(Holding(), layout, CONTEXT, Session.run.horizon_ticks, watch=watch)  # noqa: E731
    return Drive(Session(), begin, scene, keep_in, watch, clock)


@pytest.fixture
def drive(clock):
    return drive_of(load_scene("cartpole"), clock)


def asked(drive, push=0.0, **more):
    answer = drive.handle({**CART, "commands": {"push": [push]}, **more})
    assert "error" not in answer
    return answer


def position(answer):
    """Times [N] from the drive's beginning, and where the cart was read."""
    cart = answer["past"]["streams"]["cart"]
    return cart["time"] + answer["start_s"], cart["columns"][0]


def test_it_goes_on_as_time_does_and_no_further_than_somebody_looks(drive, clock):
    began = asked(drive)["start_s"]
    clock.now += 0.2
    assert asked(drive)["start_s"] == pytest.approx(began + 0.2, abs=DT)
    clock.now += 5.0
    after = asked(drive)
    assert after["start_s"] == pytest.approx(began + 0.45, abs=DT)
    assert after["pace"] == pytest.approx(0.05)


def test_who_begins_anew_closes_what_was(drive, monkeypatch):
    before, closed = drive._driven, []
    monkeypatch.setattr(before, "close", lambda: closed.append(before))
    drive.handle({"kind": "restart"})
    assert closed == [before]
    assert drive._driven is not before


def test_it_obeys(drive, clock):
    ends = {}
    for push in (10.0, -10.0):
        drive.handle({"kind": "restart"})
        drive._driven.state[0:2] = 0.0, 0.0
        drive._driven.state[2:4] = 0.0
        for _ in range(3):
            clock.now += 0.2
            answer = asked(drive, push)
        ends[push] = position(answer)[1][-1]
    assert ends[10.0] > 0.1
    assert ends[-10.0] < -0.1
    assert answer["past"]["streams"]["push"]["columns"][0][-1] == -10


def test_what_comes_if_the_commands_hold_comes(drive, clock):
    answer = asked(drive, 5.0, twin=True)
    cart = answer["streams"]["cart"]
    expected = np.interp(0.3, cart["time"], cart["columns"][0]["twin"]["values"])
    for _ in range(2):
        clock.now += 0.2
        after = asked(drive, 5.0)
    time, read = position(after)
    assert abs(np.interp(answer["start_s"] + 0.3, time, read) - expected) < 0.08  # as much as it is read wrong


def test_a_stream_that_is_silent_is_seen_but_not_heard(drive, clock):
    asked(drive)
    for _ in range(2):
        clock.now += 0.2
        answer = asked(drive, silent=["cart"])
    assert drive._live.belief.age_s["cart"] > 0.35
    assert drive._live.belief.age_s["pole"] < 0.05
    assert answer["past"]["streams"]["cart"]["time"][-1] > -DT


def test_errors_are_those_of_futures_that_are_over(drive, clock):
    first = asked(drive)
    assert first["streams"]["cart"]["errors"] == []
    for _ in range(3):
        clock.now += 0.2
        answer = asked(drive)
    mean, ahead = first["streams"]["cart"]["columns"][0]["mean"], first["streams"]["cart"]["time"] + first["start_s"]
    kept = drive._memory.samples("cart")
    read = np.array([kept.data[np.argmin(np.abs(kept.time - t)), 0] for t in ahead])
    wrong = [np.sqrt(np.mean(part**2)) for part in np.array_split(mean - read, 4)]
    one = Outcomes({s.name: s for s in drive._live.layout.readings})
    means = {"cart": np.stack([c["mean"] for c in first["streams"]["cart"]["columns"]], 1)}
    one.foretell({"cart": Samples(ahead, means["cart"])})
    one.came(drive._memory.samples, np.inf)
    (metres, _), shown = one.errors("cart"), answer["streams"]["cart"]["errors"]
    np.testing.assert_allclose(metres["rmse"], wrong, rtol=1e-6)
    assert [part["unit"] for part in shown] == ["m", "m/s"]
    assert all(np.isfinite(part["rmse"]).all() for part in shown)


def test_an_alarm_between_two_looks_stays_until_it_is_seen(clock):
    drive, told = drive_of(load_scene("cartpole"), clock, watch=Startled()), []
    for _ in range(12):
        clock.now += 0.2
        told.append(asked(drive)["alarms"])
    assert not any(each["surprised"] for each in told)  # at no tick that was looked at
    assert told[0]["raised"] is None
    assert told[-1]["raised"]["surprise"] == {"cart": 2.0}
    assert drive.handle({"kind": "seen"}) == {}
    assert asked(drive)["alarms"]["raised"] is None


def test_every_tick_is_looked_at(clock):
    """Also of a run that looks back by less than the time between two looks."""
    watch = Startled()
    drive = drive_of(load_scene("cartpole"), clock, watch=watch)
    for _ in range(20):
        clock.now += CONTEXT * DT - 0.01
        asked(drive)
    assert set(watch.judged) == set(range(watch.judged[0], watch.judged[-1] + 1))


def test_an_alarm_stays_where_a_machine_begins_anew(clock):
    scene = dataclasses.replace(load_scene("cartpole"), limits={"slider": JointLimits(position=(-0.8, 0.8))})
    drive, told = drive_of(scene, clock, watch=Startled()), []
    while not (told and told[-1]["note"]):
        clock.now += 0.2
        told.append(asked(drive, 10.0))
    assert told[-1]["alarms"]["raised"]["surprise"] == {"cart": 2.0}


def test_a_future_counts_until_its_commands_are_given_up():
    spec = StreamSpec("x", "sensor", ("x",), ("m",), 10.0)
    outcomes, time = Outcomes({"x": spec}), np.arange(1, 9) * 0.1
    outcomes.foretell({"x": Samples(time, np.zeros((8, 1)))})
    outcomes.turn(0.4)
    outcomes.came(lambda name: Samples(time, np.full((8, 1), 2.0)), 0.75)
    assert outcomes.errors("x") == []
    outcomes.came(lambda name: Samples(time, np.full((8, 1), 2.0)), 0.8)
    np.testing.assert_array_equal(outcomes.errors("x")[0]["rmse"], [2.0, 2.0, np.nan, np.nan])


def test_a_machine_that_leaves_its_limits_begins_anew(clock):
    scene = dataclasses.replace(load_scene("cartpole"), limits={"slider": JointLimits(position=(-0.8, 0.8))})
    drive, notes = drive_of(scene, clock), []
    for _ in range(40):
        clock.now += 0.2
        notes.append(asked(drive, 10.0)["note"])
    assert "It left its limits, and began anew." in notes


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"commands": {}}, "commands cannot be read"),
        ({"commands": {"push": [1.0, 2.0]}}, "push: 1 numbers"),
        ({"commands": {"push": [None]}}, "commands cannot be read"),
        ({"commands": None}, "drive needs commands"),
        ({"commands": {"push": [0.0]}, "episode": 1}, "'episode' is no part of drive"),
    ],
)
def test_mistakes_are_explained(drive, more, told):
    assert told in drive.handle({**CART, **more})["error"]


def test_a_moment_of_a_drive_can_be_kept(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(output, "write_files", lambda future, folder: output.write_trajectory(future, folder / "a.h5"))
    drive = drive_of(load_scene("cartpole"), clock, tmp_path)
    kept = drive.handle({**CART, "kind": "keep", "commands": {"push": [1.0]}})
    with Log(f"{kept['folder']}/a.h5") as log:
        assert set(log.streams) == {"cart", "pole", "push"}
        np.testing.assert_array_equal(log.episodes[0].streams["push"].data, 1.0)


def test_a_page_is_told_what_there_is(drive):
    info = drive.handle({"kind": "info"})
    push = next(s for s in info["streams"] if s["name"] == "push")
    assert (push["columns"][0]["low"], push["columns"][0]["high"]) == (-10, 10)
    assert info["rest"] == {"push": [0.0]}
    assert info["first_s"] == pytest.approx(0.16)
