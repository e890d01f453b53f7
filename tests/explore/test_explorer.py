"""What the explorer answers are the figures of `run.imagine`; what it cannot answer it explains."""

import dataclasses
import json
import math
import time

import numpy as np
import pytest

from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.explore import Explorer, fans, wire
from worldmodel.explore.alarms import Watching
from worldmodel.explore.describe import ranges_of
from worldmodel.imagine import output
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.serve.wire import trajectory_message
from worldmodel.types import Samples, StreamSpec

PLACE = {"episode": 1, "at_s": 2.0}


def asked(explorer, kind, **more):
    """The answer after it went over the socket."""
    answer = received(wire.message(explorer.handle({"kind": kind, **PLACE, **more})))
    assert "error" not in answer
    return answer


def received(message: bytes):
    """What a message says, read as the page reads it."""
    text, floats = np.frombuffer(message, "<u4", 2)
    arrays = np.frombuffer(message, "<f4", floats // 4, 8 + text), np.frombuffer(message, "u1", -1, 8 + text + floats)

    def revived(part):
        for key, array in zip(("f32", "u8"), arrays, strict=True):
            if key in part:
                return array[part[key] : part[key] + math.prod(part["shape"])].reshape(part["shape"])
        return part

    return json.loads(message[8 : 8 + text], object_hook=revived)


def test_the_page_is_told_what_there_is(explorer, log):
    info = json.loads(json.dumps(explorer.handle({"kind": "info"}), allow_nan=False))
    assert [e["name"] for e in info["episodes"]] == ["oscillator 0", "oscillator 1"]
    assert (info["dt"], info["first_s"], info["horizon_s"]) == pytest.approx((0.1, 0.7, 0.4))
    streams = {s["name"]: s for s in info["streams"]}
    assert [c["label"] for c in streams["gps"]["columns"]] == ["east", "north", "up"]
    assert streams["gps"]["track"] == [0, 1]
    force = np.concatenate([e.streams["force"].data for e in log.episodes])
    column = streams["force"]["columns"][0]
    assert (column["low"], column["high"]) == pytest.approx((force.min(), force.max()))


def test_the_first_moment_is_a_tick_wherever_these_lie(log):
    run = untrained_run(log, dt=0.1, context=8, horizon=4, phase_s=0.0625)
    explorer = Explorer(run.session, log)
    first_s = json.loads(json.dumps(explorer.handle({"kind": "info"})))["first_s"]
    assert first_s == pytest.approx(0.7625)
    for ticks in range(3):
        at_s = first_s + ticks * 0.1
        assert explorer.handle({"kind": "past", "episode": 1, "at_s": at_s})["start_s"] == pytest.approx(at_s)
    assert "error" in explorer.handle({"kind": "past", "episode": 1, "at_s": first_s - 0.01})


def test_bands_are_percentiles_of_what_the_run_imagines(explorer, run, log):
    answer = asked(explorer, "imagine", members=16, seed=5, frames=2)
    future = run.imagine(log, **PLACE, members=16, seed=5)
    phase = answer["streams"]["phase"]
    np.testing.assert_allclose(phase["time"], future["phase"].time - 2.0, atol=1e-6)
    angles = future["phase"].data[..., 0]
    mean = np.angle(np.exp(1j * angles).mean(1))
    found = phase["columns"][0]
    np.testing.assert_allclose(found["mean"], mean, atol=1e-5)
    apart = np.angle(np.exp(1j * (angles - mean[:, None])))
    expected = mean + np.percentile(apart, [5, 25, 50, 75, 95], axis=1)
    np.testing.assert_allclose(found["bands"], expected, atol=1e-5)
    assert answer["streams"]["gps"]["ways"].size == 16 * len(future["gps"].time) * 2
    assert [frame["real"].shape for frame in answer["frames"]["camera"]] == [(16, 16, 3)] * 2


def test_an_error_is_what_came_less_the_mean(explorer, run, log):
    column = asked(explorer, "imagine", members=16, frames=1)["streams"]["phase"]["columns"][0]
    came = log.episodes[1].streams["phase"]
    future = run.imagine(log, **PLACE, members=16)
    apart = np.abs(came.time[None] - future["phase"].time[:, None])
    errors = np.angle(np.exp(1j * (column["mean"][:, None] - came.data[None, :, 0])))
    near = np.where(apart < apart.min(1, keepdims=True) + 1e-6, np.abs(errors - column["error"][:, None]), 1)
    assert near.min(1).max() < 1e-5  # where two are as near, either may count
    assert column["rmse"] == pytest.approx(np.sqrt(np.mean(column["error"] ** 2)), rel=1e-5)


def test_mujoco_stands_beside_the_futures(explorer):
    streams = asked(explorer, "imagine", members=16, twin=True)["streams"]
    for name, column in ((name, column) for name, stream in streams.items() for column in stream["columns"]):
        twin, came = column["twin"], column["mean"] - column["error"]
        assert (twin["values"] == 1).all()
        wraps = (lambda x: np.angle(np.exp(1j * x))) if name == "phase" else (lambda x: x)
        assert twin["rmse"] == pytest.approx(np.sqrt(np.nanmean(wraps(1 - came) ** 2)), rel=1e-4)
        assert twin["apart"] == pytest.approx(np.sqrt(np.mean(wraps(column["mean"] - 1) ** 2)), rel=1e-4)
    plain = asked(explorer, "imagine", members=16)["streams"]["phase"]["columns"][0]
    assert "twin" not in plain


def test_under_other_commands_nothing_is_an_error(explorer):
    phase = asked(explorer, "imagine", members=16, twin=True, actions={"force": [[0.0, 1.0]]})["streams"]["phase"]
    column = phase["columns"][0]
    assert (column["rmse"], column["twin"]["rmse"]) == (None, None)
    assert column["twin"]["apart"] > 0
    assert np.isnan(phase["errors"][0]["rmse"]).all()


def test_errors_are_by_stream_and_quarter_of_the_horizon(explorer):
    streams = asked(explorer, "imagine", members=16)["streams"]
    (phase,), (gps,) = streams["phase"]["errors"], streams["gps"]["errors"]
    assert (phase["unit"], gps["unit"]) == ("rad", "m")
    wrong = np.array_split(streams["phase"]["columns"][0]["error"], 4)
    np.testing.assert_allclose(phase["rmse"], [np.sqrt(np.mean(part**2)) for part in wrong], rtol=1e-4)
    east, north = (np.array_split(streams["gps"]["columns"][i]["error"], 4) for i in range(2))
    distance = [np.sqrt(np.nanmean(a**2) + np.nanmean(b**2)) for a, b in zip(east, north, strict=True)]
    np.testing.assert_allclose(gps["rmse"], distance, rtol=1e-4)


def test_alarms_judge_what_came_last(explorer, run, log, watch):
    while (found := asked(explorer, "alarms"))["learning"]:
        time.sleep(0.01)
    assert found["surprise"] == {"phase": 0.25, "gps": 1.5}
    assert found["surprised"]
    assert not found["on_unfamiliar_ground"]
    context, future = watch.seen
    before = run.session.moment(log, episode=1, at_s=2.0 - 2 * 0.1).context
    np.testing.assert_array_equal(context.values, before.values)
    np.testing.assert_array_equal(context.mask, before.mask)
    assert future.values.shape[1] == 2
    here = run.session.moment(log, **PLACE).context
    np.testing.assert_array_equal(future.mask[0], here.mask[0, -2:])


def test_what_cannot_be_watched_says_why(run, log):
    def refuse():
        raise WorldModelError("The run has seen every episode.")

    explorer = Explorer(run.session, log, watching=Watching(refuse))
    while (found := asked(explorer, "alarms"))["learning"]:
        time.sleep(0.01)
    assert found["note"] == "The run has seen every episode."
    assert "Nobody watches" in Explorer(run.session, log).handle({"kind": "alarms", **PLACE})["error"]


def test_past_is_what_the_log_holds(explorer, log):
    past = asked(explorer, "past")
    recorded = log.episodes[1].streams["phase"][1.3:2.41]
    np.testing.assert_allclose(past["streams"]["phase"]["time"], recorded.time - 2.0, atol=1e-6)
    np.testing.assert_allclose(past["streams"]["phase"]["columns"][0], recorded.data[:, 0], atol=1e-5)
    force = log.episodes[1].streams["force"]
    held = force.data[[np.flatnonzero(force.time <= 2.0 + 0.1 * i + 1e-9)[-1] for i in range(4)], 0]
    np.testing.assert_allclose(past["commands"]["force"], np.stack([np.arange(4) * 0.1, held], 1), atol=1e-6)
    assert [frame["after_s"] for frame in past["frames"]["camera"]] == pytest.approx([-0.2, -0.1, 0.0])


def test_commands_and_silence_reach_the_model(explorer, run, log):
    rows = [[0.0, 1.5], [0.2, -1.0]]
    given = asked(explorer, "imagine", members=16, frames=1, actions={"force": rows})
    actions = {"force": Samples(np.array([0.0, 0.2]), np.array([[1.5], [-1.0]], np.float32))}
    future = run.imagine(log, **PLACE, members=16, actions=actions)
    mean = np.angle(np.exp(1j * future["phase"].data[..., 0]).mean(1))
    np.testing.assert_allclose(given["streams"]["phase"]["columns"][0]["mean"], mean, atol=1e-5)
    plain = asked(explorer, "imagine", members=16, frames=1)["streams"]["phase"]["columns"][0]["mean"]
    for stream in ("phase", "camera"):
        silent = asked(explorer, "imagine", members=16, frames=1, silent=[stream])
        assert np.abs(silent["streams"]["phase"]["columns"][0]["mean"] - plain).max() > 1e-4
        assert silent["silent"] == [stream]


def test_that_nothing_tells_a_direction_is_told_in_a_page_and_over_http(run, log):
    future = run.imagine(log, **PLACE, members=2)
    for aimless in ((), ("gps",)):
        told = dataclasses.replace(future, aimless=aimless)
        assert fans.summary(told, 0)["aimless"] == trajectory_message(told)["aimless"] == list(aimless)


def test_a_silenced_stream_is_as_if_it_were_not_recorded(run, log):
    moment = run.session.moment(log, **PLACE).without(["phase", "camera"])
    columns = moment.layout.slot_columns(moment.layout.spec("phase"))
    assert not moment.context.mask[..., columns].any()
    assert not moment.context.values[..., columns].any()
    assert not moment.context.frames_mask[0].any()
    assert not moment.context.frames[0].any()
    place = [s.name for s in moment.layout.readings].index("phase")
    assert np.isinf(moment.context.age_s[..., place]).all()


def test_what_is_kept_can_be_read_again(explorer, monkeypatch):
    monkeypatch.setattr(
        output, "write_files", lambda trajectory, folder: output.write_trajectory(trajectory, folder / "trajectory.h5")
    )
    kept = asked(explorer, "keep", members=16)
    again = asked(explorer, "keep", members=16)
    assert kept["folder"] != again["folder"]
    assert kept["files"] == ["trajectory.h5"]
    with Log(f"{kept['folder']}/trajectory.h5") as log:
        assert set(log.streams) == {"phase", "gps", "camera", "force"}


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({}, "no such request"),
        ({"kind": "handle"}, "no such request"),
        ({"kind": "imagine"}, "needs at_s and episode"),
        ({"kind": "imagine", **PLACE, "horizon": 3}, "'horizon' is no part of imagine"),
        ({"kind": "imagine", **PLACE, "at_s": "two"}, "at_s is no number"),
        ({"kind": "imagine", **PLACE, "at_s": None}, "needs at_s"),
        ({"kind": "imagine", **PLACE, "at_s": 0.1}, "no moment to imagine from"),
        ({"kind": "imagine", **PLACE, "episode": 7}, "episode"),
        ({"kind": "imagine", **PLACE, "members": 1e9}, "members cannot be"),
        ({"kind": "imagine", **PLACE, "members": 2.5}, "members cannot be"),
        ({"kind": "imagine", **PLACE, "silent": "gps"}, "no list of names"),
        ({"kind": "imagine", **PLACE, "silent": ["force"]}, "no such stream"),
        ({"kind": "imagine", **PLACE, "actions": {"force": [[0.0, float("nan")]]}}, "actions cannot be read"),
        ({"kind": "imagine", **PLACE, "actions": {"force": [[0.0, 1.0, 2.0]]}}, "wrong width"),
        ({"kind": "past", **PLACE, "horizon_s": 99.0}, "far beyond"),
    ],
)
def test_mistakes_are_explained(explorer, request_, told):
    assert told in explorer.handle(request_)["error"]


def test_a_message_keeps_numbers_pixels_and_what_is_missing():
    given = {"é": [np.array([[1.5, np.nan]]), None, {"frame": np.arange(6, dtype=np.uint8).reshape(1, 2, 3)}], "n": 2.5}
    found = received(wire.message(given))
    np.testing.assert_array_equal(found["é"][0], np.float32([[1.5, np.nan]]))
    np.testing.assert_array_equal(found["é"][2]["frame"], given["é"][2]["frame"])
    assert (found["é"][1], found["n"]) == (None, 2.5)


def test_the_nearest_sample_is_taken_if_it_is_near():
    time, values = np.array([0.0, 1.0]), np.array([[5.0], [7.0]])
    found = fans.at_times(np.array([-0.1, 0.4, 0.6, 1.1, 2.0]), time, values, 0.5)
    np.testing.assert_array_equal(found[:, 0], [5.0, 5.0, 7.0, 7.0, np.nan])
    assert np.isnan(fans.at_times(np.array([0.0]), time[:0], values[:0], 0.5)).all()
    np.testing.assert_array_equal(fans.at_times(np.array([0.1]), time[:1], values[:1], 0.5), [[5.0]])


def test_what_is_commanded_by_microamperes_can_be_tried_by_microamperes(tmp_path):
    coil = StreamSpec("coil", "action", ("a", "b", "c"), ("A",) * 3, 10.0)
    data = np.array([[-2e-10, 3e-6, 0.0], [4e-10, 3e-6, 0.0]])
    with LogWriter(tmp_path / "a.h5", [coil]) as writer:
        writer.append({"coil": Samples(np.array([0.0, 0.1]), data)})
    ranges = ranges_of(Log(tmp_path / "a.h5"))["coil"]
    np.testing.assert_allclose(ranges, [(-2e-10, 4e-10), (0, 6e-6), (-1, 1)], rtol=1e-6)
