"""Streams against each other: gyros and attitudes, rates and what they are the rate of, commands and answers, films."""

import numpy as np
import pytest

from tests.logs.health.build import action, gps, noise, one, record, said, sensor
from worldmodel.errors import RecipeError
from worldmodel.logs.health.examination import examined
from worldmodel.logs.health.signals import best_match, turning
from worldmodel.types import StreamSpec

TIME = np.arange(3000) / 100
ATTITUDE = StreamSpec("attitude", "orientation", ("qw", "qx", "qy", "qz"), ("",) * 4, 100.0)
GYRO = sensor("gyro", "xyz", ["rad/s"] * 3)


def rate(t):
    return np.sin(1.3 * t) + 0.7 * np.sin(3.1 * t + 1) + 0.4 * np.sin(0.31 * t)


def angle(t):
    return -np.cos(1.3 * t) / 1.3 - 0.7 * np.cos(3.1 * t + 1) / 3.1 - 0.4 * np.cos(0.31 * t) / 0.31


def quaternions(a):
    return np.stack([np.cos(a / 2), 0 * a, 0 * a, np.sin(a / 2)], 1)


def turned(scale=1.0, later_s=0.0):
    felt = np.column_stack([0 * TIME, 0 * TIME, scale * rate(TIME - later_s)]) + 0.01 * scale * noise(3000, 3)
    return record((ATTITUDE, TIME, quaternions(angle(TIME))), (GYRO, TIME, felt))


def test_turning_is_the_rate_of_an_attitude_whatever_its_sign():
    q = quaternions(angle(TIME)) * np.where(np.arange(3000) % 7 == 0, -1, 1)[:, None]
    np.testing.assert_allclose(turning(q)[:, 2] * 100, rate(TIME[:-1] + 0.005), atol=1e-3)


def test_a_gyro_that_agrees_with_the_attitude_is_told_nothing_of():
    assert said(turned()) == []


@pytest.mark.parametrize(
    ("scale", "cause"), [(180 / np.pi, "degrees a second"), (np.pi / 180, "twice"), (10.0, "another unit")]
)
def test_a_gyro_in_another_unit_is_refused_by_the_attitude(scale, cause):
    with pytest.raises(RecipeError, match=cause):
        examined(turned(scale))


@pytest.mark.parametrize("later_s", [0.15, -0.3])
def test_an_offset_of_their_clocks_is_estimated(later_s):
    finding = one(turned(later_s=later_s), "clock: offset")
    assert float(finding.remedy.split("take ")[1].split(" s ")[0]) == pytest.approx(later_s, abs=0.004)


def test_an_offset_between_a_gyro_and_the_course_of_fixes_is_estimated():
    late = TIME[::10] - 0.4  # what the receiver says is 0.4 s old
    east, north = np.cumsum(10 * np.cos(angle(TIME))) / 100, np.cumsum(10 * np.sin(angle(TIME))) / 100
    place = [np.interp(late, TIME, metres) for metres in (north, east)]
    fixes = np.stack([45 + place[0] / 111_195, 7 + place[1] / 111_195 / np.cos(np.pi / 4), 200 + 0 * late], 1)
    felt = np.column_stack([0 * TIME, 0 * TIME, rate(TIME)]) + 0.01 * noise(3000, 3)
    finding = one(record((gps(), TIME[::10], fixes), (GYRO, TIME, felt)), "clock: offset")
    assert float(finding.remedy.split("take ")[1].split(" s ")[0]) == pytest.approx(0.4, abs=0.03)


def test_a_match_has_the_lag_the_sign_and_the_slope_of_the_follower():
    match = best_match(rate(TIME), -3 * rate(TIME - 0.234), 100, 1.0)
    assert match.lag_s == pytest.approx(0.234, abs=0.003)
    assert match.correlation == pytest.approx(-1, abs=0.01)
    assert match.slope == pytest.approx(-3, rel=0.02)


POSITION = StreamSpec("position", "position", ("x", "y", "z"), ("m",) * 3, 100.0)
PLACE = np.stack([angle(TIME), angle(TIME + 9), angle(2 * TIME)], 1) + 1e-3 * noise(3000, 3)
VELOCITY = sensor("velocity", ("x", "y", "z"), ["m/s"] * 3)


def derivative(weights):
    """Of PLACE by weights of the samples around, per 0.01 s."""
    half = len(weights) // 2
    padded = np.pad(PLACE, ((half, half), (0, 0)), "edge")
    return sum(w * padded[i : i + 3000] for i, w in enumerate(weights)) * 100


SAVITZKY_GOLAY = np.arange(-5, 6) / 110  # the slope of the line through eleven samples


@pytest.mark.parametrize(("weights", "ahead_s"), [(SAVITZKY_GOLAY, 0.05), ((-0.5, 0, 0.5), 0.01)])
def test_a_velocity_that_was_computed_with_the_future_is_found_and_how_much_of_it(weights, ahead_s):
    recording = record((POSITION, TIME, PLACE), (VELOCITY, TIME, derivative(weights)))
    assert f"holds {ahead_s:g} s of the future" in one(recording, "values: looks ahead").text


def test_velocities_of_the_past_and_ones_that_were_measured_are_none():
    past = record((POSITION, TIME, PLACE), (VELOCITY, TIME, derivative((-1, 1, 0))))
    truth = np.stack([rate(TIME), rate(TIME + 9), 2 * rate(2 * TIME)], 1)
    measured = record((POSITION, TIME, PLACE), (VELOCITY, TIME, truth + 1e-3 * noise(3000, 3, seed=5)))
    exact = record((POSITION, TIME, PLACE - 1e-3 * noise(3000, 3)), (VELOCITY, TIME, truth))
    for recording in (past, measured, exact):
        assert said(recording, "values") == []


def test_body_rates_that_were_computed_from_the_attitude_with_the_future_are_found():
    q = quaternions(angle(TIME) + 1e-3 * noise(3000)[:, 0])
    padded = np.pad(q, ((5, 5), (0, 0)), "edge")
    dq = sum(w * padded[i : i + 3000] for i, w in enumerate(SAVITZKY_GOLAY)) * 100
    felt = 2 * (q[:, :1] * dq[:, 1:] - dq[:, :1] * q[:, 1:] - np.cross(q[:, 1:], dq[:, 1:]))
    recording = record((ATTITUDE, TIME, q), (sensor("body_rates", "xyz", ["rad/s"] * 3), TIME, felt))
    assert "0.05 s of the future" in one(recording, "values: looks ahead").text


def test_a_joint_velocity_in_degrees_is_told_by_its_joint():
    joint = (sensor("joint", ["elbow"], ["rad"]), TIME, angle(TIME))
    for scale, count in ((1.0, 0), (180 / np.pi, 1)):
        velocity = (
            sensor("velocity", ["elbow"], ["rad/s"]),
            TIME,
            scale * rate(TIME) + 0.01 * scale * noise(3000)[:, 0],
        )
        assert len(said(record(joint, velocity), "values: units")) == count


def test_commands_that_lead_and_ones_that_come_after_the_machine_moved():
    wanted, rough = (action("targets", ["elbow"], ["rad"]), TIME, angle(TIME)), 1e-4 * noise(3000)[:, 0]
    came = sensor("joints", ["elbow"], ["rad"])
    assert "moves 0.100 s" in one(record(wanted, (came, TIME, angle(TIME - 0.1) + rough)), "commands: lead").text
    assert "before it" in one(record(wanted, (came, TIME, angle(TIME + 0.05) + rough)), "commands: late").text
    assert said(record(wanted, (came, TIME, angle(TIME - 0.01) + rough)), "commands") == []


def test_commands_beyond_what_was_applied_are_told_and_ones_that_are_followed_less_are_not():
    asked = (action("torque", ["u"], ["N*m"]), TIME, 10 * rate(TIME))
    measured = sensor("measured_torque", ["u"], ["N*m"])
    walls = record(asked, (measured, TIME, np.clip(10 * rate(TIME), -4, 4)))
    assert "beyond 4 in" in one(walls, "commands: beyond").text
    assert said(record(asked, (measured, TIME, 7 * rate(TIME))), "commands: beyond") == []


def test_frames_that_are_written_twice_are_told():
    film = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=(4, 6))
    frames = np.random.default_rng(0).integers(0, 256, (100, 4, 6, 3))
    assert said(record((film, np.arange(100) / 10, frames)), "frames") == []
    finding = one(record((film, np.arange(100) / 10, np.repeat(frames[:50], 2, 0))), "frames: repeated")
    assert (finding.count, finding.row) == (50, 1)
