"""Readings with the faults of real ones: what is told, and what must not be."""

import numpy as np
import pytest

from tests.logs.health.build import action, gps, noise, one, record, said, sensor
from worldmodel.errors import RecipeError
from worldmodel.logs.health.examination import examined
from worldmodel.types import StreamSpec

TIME = np.arange(1000) / 100
SMOOTH = np.sin(0.7 * TIME) + 0.3 * np.sin(2.1 * TIME)


def imu(data, units=("m/s^2",) * 3, name="accelerometer"):
    return record((sensor(name, "xyz", units), TIME, data))


def test_what_moves_as_sensors_do_is_told_nothing_of():
    recording = record(
        (sensor("distance", ["d"], ["m"]), TIME, 2 + SMOOTH + 0.01 * noise(1000)[:, 0]),
        (sensor("counts", ["n"], [""]), TIME, np.round(20 * SMOOTH)),
        (action("motor", ["u"]), TIME, np.sign(SMOOTH)),
        (sensor("heading", ["yaw"], ["rad"], circular=(True,)), TIME, np.angle(np.exp(5j * TIME))),
    )
    assert said(recording) == []


def test_columns_that_never_move_are_named_and_constant_commands_are_called_that():
    data = np.column_stack([SMOOTH, np.full(1000, 3.0)])
    assert "b (3) never moves" in one(record((sensor("s", "ab", ["", ""]), TIME, data)), "values: still").text
    assert one(record((action("u", "ab"), TIME, data)), "commands: constant").severity == "warn"


def test_a_circular_angle_in_degrees_is_refused_and_one_in_radians_is_not():
    yaw = sensor("heading", ["yaw"], ["rad"], circular=(True,))
    with pytest.raises(RecipeError, match="wraps at 360"):
        examined(record((yaw, TIME, (300 * TIME) % 360)))
    assert said(record((yaw, TIME, 40 * TIME)), "values: circular") == []  # turns counted on
    assert said(record((yaw, TIME, (5 * TIME) % (2 * np.pi))), "values: circular") == []


def test_sentinels_become_missing_and_ones_that_may_be_readings_are_told():
    data = 2 + SMOOTH
    far = np.where(np.arange(1000) % 100 == 7, 9999.0, data)
    (done,) = examined(record((sensor("lidar", ["d"], ["m"]), TIME, far)))
    np.testing.assert_array_equal(np.isnan(done.samples["lidar"].data[:, 0]), far == 9999)
    assert (done.findings[0].check, done.findings[0].count, done.findings[0].row) == ("values: sentinel", 10, 7)
    lost = np.where(np.arange(1000) % 100 == 7, -1.0, data)
    assert one(record((sensor("lidar", ["d"], ["m"]), TIME, lost)), "values: sentinel").severity == "warn"
    dropped = np.where(np.arange(1000) % 100 == 7, 0.0, 20 + data)
    assert one(record((sensor("battery", ["v"], ["V"]), TIME, dropped)), "values: sentinel").count == 10


def test_single_readings_far_off_that_are_all_one_number_are_none():
    """-40 of a thermometer whose wire is loose, in degrees Fahrenheit, which become kelvins."""
    zone = 294 + 0.05 * noise(1000, 1)
    zone[[20, 400, 401, 800]] = 233.15
    recording = record((sensor("zone", ["t"], ["K"]), TIME, zone))
    finding = one(recording, "values: sentinel")
    assert (finding.severity, finding.count, finding.columns) == ("mask", 4, ("t",))
    assert "233.15 for 4 single readings" in finding.text
    states = np.zeros((1000, 1))
    states[::20], states[[10, 500, 700]] = 1.0, 40.0
    assert one(record((sensor("code", ["state"], [""]), TIME, states)), "values: outliers").severity == "warn"


def test_a_glitch_of_another_number_does_not_hide_a_sentinel():
    time, data = np.arange(5000) / 100, 20 + 5 * np.sin(np.arange(5000) / 300)
    data[[900, 3000]], data[4000] = -127.0, 85.0  # no sensor, and one that has just been switched on
    (done,) = examined(record((sensor("oven", ["t"], ["degC"]), time, data)))
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(done.samples["oven"].data[:, 0])), [900, 3000])
    spread = np.where(np.arange(5000) % 500 == 7, np.linspace(-120, 90, 5000), data)  # of which that may be one more
    assert np.isfinite(examined(record((sensor("oven", ["t"], ["degC"]), time, spread)))[0].samples["oven"].data).all()


@pytest.mark.parametrize("number", [-32.768, 327.67, 6553.5])
def test_the_ends_of_16_bits_are_sentinels_as_decimal_fractions_too(number):
    """As a Doppler log writes -32768 mm/s in m/s."""
    lost = np.where(np.arange(1000) % 10 == 7, number, SMOOTH)
    (done,) = examined(record((sensor("dvl", ["vx"], ["m/s"]), TIME, lost)))
    np.testing.assert_array_equal(np.isnan(done.samples["dvl"].data[:, 0]), lost == number)


def test_two_sentinels_in_one_column_and_those_of_converted_numbers_are_found():
    both = np.select([np.arange(1000) % 100 == 7, np.arange(1000) % 100 == 9], [-999.0, 9999.0], 2 + SMOOTH)
    recording = record((sensor("lidar", ["d"], ["m"]), TIME, both))
    (done,) = examined(recording)
    np.testing.assert_array_equal(np.isnan(done.samples["lidar"].data[:, 0]), np.abs(both) > 900)
    turned = record((sensor("lidar", ["d"], ["m"]), TIME, 273.15 + 0.0174 * both))
    assert said(turned, "values: sentinel") == []
    turned.stored["lidar"] = (np.array([0.0174]), np.array([273.15]))
    assert "d is -999 and 9999 in 20 of 1000 rows" in one(turned, "values: sentinel").text


def test_of_numbers_of_a_few_kinds_a_sentinel_is_told_and_kept():
    state = np.where(np.arange(1000) % 100 == 7, 9999.0, np.arange(1000) % 3)
    assert one(record((sensor("mode", ["m"], [""]), TIME, state)), "values: sentinel").severity == "warn"


def test_counts_that_reach_65535_on_their_way_are_no_sentinels():
    encoder = np.minimum(np.linspace(60_000, 70_000, 1000).round(), 65_535)
    assert said(record((sensor("encoder", ["n"], [""]), TIME, encoder)), "values: sentinel") == []


def test_a_counter_that_begins_anew_is_told_and_what_is_switched_between_its_ends_is_not():
    turned = np.round(30_000 * np.sin(TIME) + 9_000 * TIME)
    count = record((sensor("encoder", ["n"], [""]), TIME, turned % 65536))
    assert "leaps as a counter of 16 bits" in one(count, "values: wraps").text
    rests = np.where(np.arange(1000) % 100 < 70, 0, np.round(300 * SMOOTH))  # where it was switched on
    assert one(record((sensor("encoder", ["n"], [""]), TIME, rests % 65536)), "values: wraps").stream == "encoder"
    for other in (
        turned,
        np.where(SMOOTH > 0, 65535.0, 0.0),
        np.round(32767 * SMOOTH / 2),
        65535 * noise(1000)[:, 0] % 65536,
        np.where(np.arange(1000) % 30 == 7, 65535, np.round(2000 + 1500 * SMOOTH)),
    ):
        assert said(record((sensor("encoder", ["n"], [""]), TIME, other)), "values: wraps") == []


def test_an_encoder_that_begins_anew_with_each_turn_is_told_and_what_else_goes_to_its_ends_is_not():
    turned = np.round(9_000 * np.sin(TIME) + 90_000 * TIME)  # up to a quarter of a turn from reading to reading
    for bits in (10, 12, 14):
        told = one(
            record((sensor("spindle", ["enc_cnt"], [""]), TIME, turned * 2**bits // 4096 % 2**bits)), "values: wraps"
        )
        assert f"leaps by {2**bits} as an angle" in told.text
    for column, other in (
        ("load", turned % 4096),
        ("enc", 4095 * noise(1000)[:, 0] % 4096 // 1),
        ("enc", np.where(SMOOTH > 0, 4095.0, 0.0)),
        ("enc", np.where(np.arange(1000) // 7 % 2 > 0, 4095.0, 0.0) + np.arange(1000) % 3 * np.sign(-SMOOTH) % 4096),
        ("enc", np.round(2047.5 + 2047.5 * SMOOTH)),
    ):
        assert said(record((sensor("spindle", [column], [""]), TIME, other)), "values: wraps") == []


def test_readings_that_run_into_a_wall_are_told_and_an_arm_that_rests_is_not():
    clipped = np.clip(4 * np.sin(4 * TIME) + 0.01 * noise(1000)[:, 0], -2, 2)
    found = said(imu(np.column_stack([clipped] * 3)), "values: clipped")
    assert {(f.severity, f.text.split(" is at ")[0]) for f in found} == {("warn", c) for c in "xyz"}
    rests = np.round(np.clip(SMOOTH, -9, 0.8) * 1000 + 2 * noise(1000)[:, 0]) / 1000
    assert said(record((sensor("arm", ["a"], ["rad"]), TIME, rests)), "values: clipped") == []


def test_a_sensor_that_stands_still_while_others_move_is_told_and_one_that_rests_with_all_is_not():
    data = noise(1000, 3) + SMOOTH[:, None]
    data[400:650] = data[400]
    other = (sensor("gyro", "xyz", ["rad/s"] * 3), TIME, noise(1000, 3, seed=1))
    finding = one(record((sensor("imu", "xyz", ["m/s^2"] * 3), TIME, data), other), "values: stuck")
    assert (finding.row, finding.count) == (400, 250)
    flat = np.column_stack([data[:, :2], np.full(1000, np.nan)])  # a track without heights
    assert one(record((gps(), TIME, 45 + 1e-4 * flat), other), "values: stuck").stream == "gps"
    rest = other[2].copy()
    rest[395:655] = rest[395]
    assert said(record((sensor("a", "xyz", [""] * 3), TIME, data), (other[0], TIME, rest)), "values: stuck") == []


def test_a_column_that_stops_at_once_is_told_and_a_joint_that_comes_to_rest_is_not():
    data = 0.1 * noise(1000, 3) + SMOOTH[:, None]
    data[400:650, 1] = data[400, 1]
    finding = one(record((sensor("gyro", "xyz", ["rad/s"] * 3), TIME, data)), "values: stuck")
    assert (finding.row, finding.count) == (400, 250)
    assert "y stands still" in finding.text
    smooth = np.column_stack([SMOOTH, np.sin(TIME), np.cos(TIME)])
    rests = smooth.copy()
    rests[:, 0] = np.interp(TIME, [0, 4, 6.5, 10], [0, 1, 1, 2])
    assert said(record((sensor("joints", "abc", ["rad"] * 3), TIME, rests)), "values: stuck") == []
    smooth[300:550, 1] = smooth[300, 1]
    assert one(record((sensor("joints", "abc", ["rad"] * 3), TIME, smooth)), "values: stuck").row == 300
    wheel = np.column_stack([np.clip(noise(1000)[:, 0] + 20 * SMOOTH, 0, None), data[:, 0]])
    assert said(record((sensor("car", "va", ["m/s"] * 2), TIME, wheel)), "values: stuck") == []


def test_readings_that_are_held_are_told_and_a_ramp_of_counts_and_commands_are_not():
    held = np.repeat(noise(100)[:, 0], 10)
    assert "it comes at 10 Hz, not at 100" in one(record((sensor("d", ["d"], ["m"]), TIME, held)), "values: held").text
    assert said(record((action("u", ["u"]), TIME, held)), "values: held") == []
    ramp = np.floor(TIME * 12)
    assert said(record((sensor("n", ["n"], [""]), TIME, ramp)), "values: held") == []


def test_an_angle_that_wraps_and_is_not_said_to_is_told():
    for turn in (360, 2 * np.pi):
        finding = one(record((sensor("imu", ["z"], [""]), TIME, turn * (TIME / 3 % 1))), "values: wraps")
        assert f"leaps by {turn:.4g}" in finding.text
    assert said(record((sensor("imu", ["z"], [""]), TIME, 36 * TIME)), "values: wraps") == []
    assert said(record((sensor("imu", ["z"], [""]), TIME, 180 * np.sign(SMOOTH))), "values: wraps") == []
    for name, column, unit in (("tau_con", "1", ""), ("joint", "motorTorque", ""), ("joint", "a", "m")):
        other = record((sensor(name, [column], [unit]), TIME, 360 * (TIME / 3 % 1)))
        assert said(other, "values: wraps") == [], "another quantity may leap as an angle does"


def test_a_stretch_that_was_filled_in_is_told_and_a_ramp_of_commands_is_not():
    data = noise(1000, 2)
    data[700:] = data[699] + np.arange(1, 301)[:, None] * [0.2, -0.01]
    finding = one(record((sensor("imu", "xy", ["", ""]), TIME, data)), "values: straight line")
    assert (finding.row, finding.count) == (700, 299)
    assert said(record((action("u", "xy"), TIME, data)), "values: straight line") == []


def test_single_readings_far_beyond_all_others_are_told_and_shocks_are_not():
    data = noise(1000, 3)
    data[[100, 500], 1] = 80.0
    finding = one(imu(data), "values: outliers")
    assert (finding.count, finding.row) == (2, 100)
    data[[300, 800], 1] = 79.0, 81.0
    assert one(imu(data), "values: outliers").count == 4
    shock = noise(1000, 3)
    shock[100:140] *= np.linspace(40, 1, 40)[:, None]
    assert said(imu(shock), "values: outliers") == []


@pytest.mark.parametrize(
    ("name", "unit", "data", "told"),
    [
        ("accelerometer", "m/s^2", [0.02, 0, 1.0], "in g"),
        ("accelerometer", "m/s^2", [0.2, 0, 9.8], None),
        ("accelerometer", "m/s^2", [20, 0, 998.0], "in mg"),
        ("linear_velocity", "m/s", [0, 0, 1.0], None),
        ("gyro", "rad/s", [120, 3, 3], "degrees a second"),
        ("gyro", "rad/s", [20, 3, 3], None),
        ("wheels", "rad/s", [120, 110, 100], None),
        ("magnetometer", "T", [20, 3, 45], "uT"),
        ("magnetometer", "T", [2e-5, 0, 4e-5], None),
    ],
)
def test_sizes_that_tell_another_unit(name, unit, data, told):
    found = said(imu(data + 0.01 * np.abs(data) * noise(1000, 3), (unit,) * 3, name), "values: units")
    assert [told in finding.text for finding in found] == ([True] if told else [])


def test_a_roll_in_degrees_is_told_by_its_size():
    angles = np.column_stack([30 * SMOOTH, 10 * SMOOTH])
    assert (
        "degrees" in one(record((sensor("euler", ["roll", "pitch"], ["rad"] * 2), TIME, angles)), "values: units").text
    )


def quaternions(angle):
    return np.stack([np.cos(angle / 2), 0 * angle, 0 * angle, np.sin(angle / 2)], 1)


def test_quaternions_that_flip_are_told_where_they_are_four_numbers_and_are_one_thing_where_they_are_orientations():
    q = quaternions(3 * TIME)
    q *= np.where(q[:, :1] < 0, -1, 1)  # kept with w >= 0
    columns = ("qw", "qx", "qy", "qz")
    flips = int(3 * 10 / (2 * np.pi) + 0.5)
    assert one(record((sensor("imu", columns, [""] * 4), TIME, q)), "values: quaternion").count == flips
    attitude = StreamSpec("attitude", "orientation", columns, ("",) * 4, 100.0)
    assert said(record((attitude, TIME, q)), "values: quaternion") == []


def test_quaternions_that_are_none_are_missing_or_refused():
    attitude = StreamSpec("attitude", "orientation", ("qw", "qx", "qy", "qz"), ("",) * 4, 100.0)
    q = quaternions(TIME)
    q[:20] = 0
    (done,) = examined(record((attitude, TIME, q)))
    assert np.isnan(done.samples["attitude"].data[:20]).all()
    assert np.isfinite(done.samples["attitude"].data[20:]).all()
    with pytest.raises(RecipeError, match="length other than 1"):
        examined(record((attitude, TIME, 57 * quaternions(TIME))))


@pytest.mark.filterwarnings("error")
def test_steps_that_the_log_does_not_keep_are_told():
    """Its northing is a float32, which tells half a metre apart there."""
    north = 5_247_000 + 0.1 * np.arange(1000)
    finding = one(record((sensor("track", ["northing"], ["m"]), TIME, north)), "values: digits")
    assert "steps of 0.1 at 5.2471e+06, where the log tells 0.5 apart" in finding.text
    assert said(record((sensor("track", ["northing"], ["m"]), TIME, north - 5_247_000)), "values: digits") == []
    assert said(record((sensor("air", ["pressure"], ["Pa"]), TIME, 101_325 + noise(1000))), "values: digits") == []
    assert said(record((sensor("air", ["pressure"], ["Pa"]), TIME, np.r_[1e300, np.ones(999)])), "values: digits") == []
    assert said(record((gps(), TIME, 45 + 1e-7 * np.outer(np.arange(1000), np.ones(3)))), "values: digits") == []
