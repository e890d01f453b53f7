"""What columns are taken for where nobody says: their units, their kinds, and which are commands."""

import tomllib

import h5py
import numpy as np
import pytest

from tests.logs.ingest.table_case import recordings, suggested
from worldmodel.codecs import codec
from worldmodel.logs.ingest import ingest, suggest
from worldmodel.logs.reader import Log


def test_a_number_for_nothing_and_spikes_tell_no_unit(tmp_path):
    rows = [[i / 100, *np.sin([i / 9, i / 11, i / 13])] for i in range(400)]
    rows[30][1], rows[40][2], rows[50][3] = 9999, -999, 80
    path = tmp_path / "gyro.csv"
    path.write_text("time,gyro_x,gyro_y,gyro_z\n" + "".join(f"{t:.2f},{x},{y},{z}\n" for t, x, y, z in rows))
    np.testing.assert_allclose(recordings(path)[0].samples["gyro"].data[0], 0)
    np.testing.assert_allclose(recordings(path)[0].samples["gyro"].data[1], rows[1][1:])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("millis,x\n0,1\n20,2\n40,3\n", 'unit = "ms"'),
        ("timestamp,x\n1700000000000000,1\n1700000000020000,2\n", 'unit = "us"'),
        ("t,x\n0,1\n5000,2\n10000,3\n", 'unit = "us"'),
        ("us,x\n0,1\n50,2\n100,3\n", 'unit = "us"'),
        ("ms,x\n0,1\n1000,2\n2000,3\n", 'unit = "ms"'),
        ("nsec,x\n0,1\n1000,2\n2000,3\n", 'unit = "ns"'),
        ("µs,x\n0,1\n50,2\n100,3\n", 'unit = "us"'),
        ("t_µs,x\n0,1\n50,2\n100,3\n", 'unit = "us"'),
        ("ms_since_start,x\n0,1\n1000,2\n2000,3\n", 'unit = "ms"'),
        ("us,x\n1700000000000000,1\n1700000000020000,2\n", 'origin = "unix"'),
        ("Date,Time,x\n2025-01-02,10:00:00.0,1\n2025-01-02,10:00:00.5,2\n", 'column = ["Date", "Time"]'),
        ("time,x\n26/10/2025 10:00:00,1\n26/10/2025 10:00:01,2\n", 'dates = "day_first"'),
        ("time,x\n10/26/2025 10:00:00,1\n10/26/2025 10:00:01,2\n", 'dates = "month_first"'),
        ("time,x\n45956.458333,1\n45956.458345,2\n", 'unit = "excel_days"'),
        ("t,x,episode\n" + "".join(f"{i % 20},0,{i // 20}\n" for i in range(60)), 'key = "episode"'),
        ("t,lat,lon\n0,450000000,70000000\n1,450000000,70000000\n", '"1e-7 deg"'),
        ("t,qw,qx,qy,qz\n0,1,0,0,0\n1,1,0,0,0\n", 'kind = "orientation"'),
        ("t,px,py,pz\n0,1,0,0\n1,1,0,0\n", 'kind = "position"'),
        ("t,mag_x,mag_y,mag_z\n0,30,0,-40\n1,30,0,-40\n", 'from_units = "uT"'),
        ("# time tx ty tz qx qy qz qw\n1305031102.1 1 2 3 0 0 0 1\n1305031102.2 1 2 3 0 0 0 1\n", 'kind = "position"'),
        ("#t [ns],w_x [rad s^-1],w_y [rad s^-1]\n1403636579758555392,1,2\n1403636579763555392,1,2\n", '"rad/s"'),
        ("Elapsed Time,x\n00:00:00.5,1\n00:00:01.0,2\n", 'origin = "first"'),
        ("t,roll,pitch\n0,170,-20\n1,100,-20\n", 'from_units = "deg"'),
        ("t,locationLatitude,locationLongitude\n0,47,8\n1,47,8\n", "[streams.location_gps]"),
        ("t;Breitengrad;Längengrad\n0;47,0;8,0\n1;47,0;8,0\n", 'kind = "gps"'),
        ("time,x\n" + "".join(f"{83000 + i // 60 * 100 + i % 60:06d},{i}\n" for i in range(90)), 'unit = "hhmmss"'),
        ("tmr10ms,x\n0,1\n10,2\n", 'unit = "cs"'),
        ("t,euler_x,euler_y\n0,170,-20\n1,100,-20\n", 'from_units = "deg"'),
        ("t,z\n" + "".join(f"{i},{i * 7 % 360}\n" for i in range(90)), "circular = [true]"),
        ("t,t_motor\n0,20\n1,21\n2,19\n3,18\n", "t_motor"),
        ("t,user_acc_x,user_acc_y,user_acc_z\n0,1,0,0\n1,1,0,0\n", "without the gravity"),
        ("t,lat [rad],lon [rad],alt\n0,0.8,0.1,4\n1,0.8,0.1,4\n", 'from_units = ["rad", "rad", ""]'),
        ("t,lat,lon,alt (WGS84)\n0,47,8,4\n1,47,8,4\n", "alt (WGS84) tells WGS84, which is no unit that becomes m"),
        ("t,px,py,pz\n0,1,0,0\n1,1,0,0\n", "no unit is told: taken for m"),
        ("t,pulse [bpm]\n0,70\n1,71\n", 'units = "bpm"'),
        ("t,v [MPH]\n0,170\n1,100\n", 'from_units = "mph"'),
        ("t,lat,NS,lon,EW\n0,4530.1,S,720.5,W\n1,4530.2,S,720.6,W\n", 'hemispheres = ["NS", "EW"]'),
        ("t,ax,ay,az\n0,1,2,16384\n1,2,3,16384\n", "the sensor's own counts"),
        ("time_min,x\n0,1\n0.01,2\n0.02,3\n", 'unit = "minutes"'),
        ("Time (h),x\n0,1\n0.01,2\n0.02,3\n", 'unit = "hours"'),
        ("gps_time,x\n1400056218.0,1\n1400056218.1,2\n", "its date is not known"),
        (",x,y\n2024-05-18 10:30:00+02:00,1,2\n2024-05-18 10:30:00.020000+02:00,2,3\n", 'column = "index"'),
        ("gps_week,gps_tow,x\n2314,604799.9,1\n2315,0.0,2\n", 'week = "gps_week"'),
        ("i_tow,x\n604799.7,1\n604799.8,2\n604799.9,2\n", "of which no column tells"),
        ("Hora,Latitud,Longitud\n10:30:00,47,8\n10:30:01,47,8\n", 'kind = "gps"'),
        ("t\tax\tay\taz\t\nms\tm/(s^2)\tm/(s^2)\tm/(s^2)\t\n0\t1\t2\t9\t\n20\t1\t2\t9\t\n", 'unit = "ms"'),
        ("%time,field.header.stamp,x\n1716021000000000000,1716021000000000000,1\n1716021000020000000,1716021000010000000,2\n",
         'column = "field.header.stamp"'),
    ],
)  # fmt: skip
def test_what_a_column_tells(tmp_path, content, expected):
    (tmp_path / "run.csv").write_text(content)
    assert expected in suggest(tmp_path / "run.csv")
    assert recordings(tmp_path / "run.csv")


@pytest.mark.parametrize(
    "names",
    [
        ("Breite", "Länge", "Höhe"), ("Breitengrad", "Längengrad", "Höhe"), ("geo_breite", "geo_länge", "geo_höhe"),
        ("BREITE", "LAENGE", "HOEHE"), ("Breite [°]", "Länge [°]", "Höhe [m]"), ("latitud", "longitud", "altitud"),
        ("Latitudine", "Longitudine", "Altitudine"), ("breedtegraad", "lengtegraad", "hoogte"),
    ],
)  # fmt: skip
def test_places_are_found_in_other_languages(tmp_path, names):
    rows = [f"{i};47,{12345 + 7 * i};8,{54321 + 9 * i};{400 + i},5" for i in range(50)]
    recording = suggested(tmp_path, ";".join(("Zeit", *names)), rows)
    (gps,) = recording.samples.values()
    assert recording.specs[next(iter(recording.samples))].kind == "gps"
    np.testing.assert_allclose(gps.data[[0, 9]], [[47.12345, 8.54321, 400.5], [47.12408, 8.54402, 409.5]])


@pytest.mark.parametrize("unit", ["", " [mm]"])
def test_how_wide_and_long_something_is_is_no_place(tmp_path, unit):
    rows = [f"{i};{40 + i % 7},5;{80 + i % 5},25;{20 + i % 3}" for i in range(50)]
    recording = suggested(tmp_path, f"Zeit;Breite{unit};Länge{unit};Höhe{unit}", rows)
    assert {spec.kind for spec in recording.specs.values()} == {"sensor"}
    assert {name for spec in recording.specs.values() for name in spec.columns} == {"breite", "laenge", "hoehe"}


def test_names_keep_their_letters_without_marks(tmp_path):
    """And as they are where their alphabet is another one."""
    names = ["Geschwindigkeit_für_Räder", "Größe", "température", "señal", "prędkość", "速度", "скорость", "v²"]
    rows = [",".join(map(str, (i, *(i * k % 7 for k in range(1, 9))))) for i in range(50)]
    recording = suggested(tmp_path, ",".join(("t", *names)), rows)
    assert [name for spec in recording.specs.values() for name in spec.columns] == [
        "geschwindigkeit_fuer_raeder", "groesse", "temperature", "senal", "predkosc", "速度", "скорость", "v2",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["ms", "us"])
def test_a_reading_that_is_called_by_its_unit_is_no_second_clock(tmp_path, name):
    """As the delay beside a time is."""
    recording = suggested(tmp_path, f"time,{name}", [f"{i / 100},{i * 7 % 5}" for i in range(50)])
    np.testing.assert_array_equal(recording.samples["signals"].data[:, 0], np.arange(50) * 7 % 5)


@pytest.mark.parametrize("name", ["tau_con1", "motor torque", "joint1_velocity", "battery.current", "wheelSpeed"])
def test_what_is_called_another_quantity_is_no_angle(tmp_path, name):
    rows = "".join(f"{i},{i * 7 % 360}\n" for i in range(90))
    for column, said in ((name, False), ("joint1", True)):
        (tmp_path / "run.csv").write_text(f"t,{column}\n{rows}")
        text = suggest(tmp_path / "run.csv")
        assert ("rad" in text, "circular" in text) == (said, said)


def test_files_of_a_folder_have_the_same_units(tmp_path):
    """Small values of one file are of the unit that large ones of another tell, whichever comes first."""
    runs = {"a": (0.5, 3, 0.3), "b": (20, 350, 5), "c": (0.2, 2, 0.1)}
    header = "t,gyro_x,gyro_y,gyro_z,yaw,bend,torque\n"
    for name, (rate, angle, most) in runs.items():
        rows = [(i, rate, -2 * rate, 0, angle * i / 90, i * 7 % 360 * most / 5, i * 7 % 360) for i in range(90)]
        (tmp_path / f"{name}.csv").write_text(header + "".join(",".join(map(str, row)) + "\n" for row in rows))
    (tmp_path / "readme.csv").write_text("none\n")
    report = ingest(tmp_path, tmp_path / "log.h5", skip=True, progress=False)
    log = Log(tmp_path / "log.h5")
    assert report.episodes == ("a.csv", "b.csv", "c.csv")
    assert log.streams["signals"].units == ("rad", "rad", "")
    assert log.streams["signals"].circular == (True, True, False)
    for episode, (rate, angle, _) in zip(log.episodes, runs.values(), strict=True):
        np.testing.assert_allclose(episode.streams["gyro"].data[0], np.radians([rate, -2 * rate, 0]), rtol=1e-6)
        assert np.ptp(episode.streams["signals"].data[:, 0]) <= np.radians(angle)
    assert suggest([tmp_path / f"{name}.csv" for name in runs]).count("and fits all 3") == 1


@pytest.mark.parametrize("names", [("run.csv", "run.csv"), ("a.csv", "b.csv")])
def test_recordings_in_a_folder_each_have_the_same_units(tmp_path, names):
    """Also beside folders of another program, which holds tables of other columns."""
    for folder, name, rate in (("slow", names[0], 0.5), ("fast", names[1], 50)):
        (tmp_path / folder).mkdir()
        rows = "".join(f"{i},{rate},{-2 * rate},0\n" for i in range(9))
        (tmp_path / folder / name).write_text(f"t,gyro_x,gyro_y,gyro_z\n{rows}")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / names[0]).write_text("t,lat,lon\n0,1,2\n1,1,2\n")
    assert "deg/s" in suggest(tmp_path / "slow" / names[0])
    assert "1e-7" not in suggest(tmp_path / "other" / names[0])
    ingest(tmp_path, tmp_path / "log.h5", progress=False)
    fast, _, slow = Log(tmp_path / "log.h5").episodes
    np.testing.assert_allclose(slow.streams["gyro"].data[0], fast.streams["gyro"].data[0] / 100, rtol=1e-6)


def test_files_of_another_program_tell_no_units(tmp_path):
    for name, clock, size in (("degrees", "t", 1), ("integers", "time", 10**7)):
        rows = "".join(f"{i},{45 * size + i},{7 * size + i}\n" for i in range(9))
        (tmp_path / f"{name}.csv").write_text(f"{clock},lat,lon\n{rows}")
    assert "1e-7" not in suggest(tmp_path / "degrees.csv")
    assert "1e-7" in suggest(tmp_path / "integers.csv")


def test_what_lies_in_a_struct_of_actions_is_commanded(tmp_path):
    """As AgiBot World and DROID lay out their HDF5 files."""
    steps = np.arange(40.0)[:, None] * np.arange(1, 3)
    with h5py.File(tmp_path / "proprio_stats.h5", "w") as file:
        file["timestamp"] = 1_700_000_000_000_000_000 + 33_333_333 * np.arange(40)
        file["action/joint/position"], file["state/joint/position"] = np.sin(steps), np.cos(steps)
    (recording,) = recordings(tmp_path / "proprio_stats.h5")
    assert {name: spec.kind for name, spec in recording.specs.items()} == {"action": "action", "state": "sensor"}


def test_sensors_that_take_turns_are_of_the_kind_that_they_are_called_by(tmp_path):
    turns = (
        f"accelerometer,{i / 100},{np.sin(i):.4f},0,9.81\ngyroscope,{i / 100},0,{90 * np.cos(i):.4f},0\n"
        for i in range(60)
    )
    (tmp_path / "run.csv").write_text("sensor,time,x,y,z\n" + "".join(turns))
    (recording,) = recordings(tmp_path / "run.csv")
    specs = recording.specs
    assert (specs["accelerometer"].units[0], specs["accelerometer"].frame) == ("m/s^2", "body")
    assert specs["gyroscope"].units[0] == "rad/s"
    assert recording.samples["gyroscope"].data[:, 1].max() == pytest.approx(np.pi / 2)


def test_a_fast_rotation_rate_beside_g_is_in_radians_as_phones_of_apple_have_it(tmp_path):
    rows = [f"{i / 25},0.1,0,1.0,{15 * np.sin(i):.4f},0,0" for i in range(100)]
    head = "Time,accelerationX,accelerationY,accelerationZ,rotationRateX,rotationRateY,rotationRateZ"
    recording = suggested(tmp_path, head, rows)
    np.testing.assert_allclose(recording.samples["accelerometer"].data[:, 2], 9.80665)
    np.testing.assert_allclose(recording.samples["gyro"].data[:, 0].max(), 15, rtol=1e-2)


def test_a_gyro_beside_an_accelerometer_in_g_is_in_degrees(tmp_path):
    """As of RaceBox; a phone that turns slowly has g beside radians."""
    head = "Time,GForceX,GForceY,GForceZ,GyroX,GyroY,GyroZ"
    for size, scale in ((30, np.pi / 180), (3, 1)):
        rows = [f"{i / 25},0.1,{0.1 * np.sin(i):.3f},1.0,{size * np.sin(i):.4f},0,0" for i in range(100)]
        recording = suggested(tmp_path, head, rows)
        np.testing.assert_allclose(recording.samples["accelerometer"].data[:, 2], 9.80665)
        np.testing.assert_allclose(recording.samples["gyro"].data[:, 0].max(), size * scale, rtol=1e-2)


def test_euler_angles_are_in_one_unit_and_a_pitch_is_no_more_than_half_a_turn(tmp_path):
    rows = [f"{i / 10},{5 * np.sin(i):.3f},{4 * np.cos(i):.3f},{(170 + i) % 360 - 180}" for i in range(100)]
    for head in ("t,Euler_X,Euler_Y,Euler_Z", "t,roll,pitch,heading"):
        samples = suggested(tmp_path, head, rows).samples
        (data,) = (stream.data for stream in samples.values())
        assert np.abs(data[:, :2]).max() == pytest.approx(np.radians(5), rel=1e-2)


def test_what_is_called_a_command_is_one_whatever_it_is_of(tmp_path):
    commanded = [
        "cmd_speed",
        "cmd_steering_angle",
        "position_setpoint",
        "joint1_command",
        "desired_current",
        "set_velocity",
    ]
    measured = ["speed", "steering_angle", "cmd_speed_measured", "motor_temp", "setpoint_error"]
    head = ",".join(["secs", "nsecs", *commanded, *measured])
    rows = [
        ",".join([str(10 + i // 10), str(i % 10 * 10**8), *(f"{np.sin(i + k):.4f}" for k in range(11))])
        for i in range(60)
    ]
    recording = suggested(tmp_path, head, rows)
    kinds = {column: spec.kind for spec in recording.specs.values() for column in spec.columns}
    assert {name for name, kind in kinds.items() if kind == "action"} == set(commanded)
    (times,) = {tuple(samples.time) for samples in recording.samples.values()}
    np.testing.assert_allclose(times, np.arange(60) / 10)


def test_what_is_wanted_of_what_is_read_beside_it_is_commanded(tmp_path):
    commanded = ["PitchDemand", "rpm_order", "gripper_request", "target_temp", "v_soll [km/h]", "Bremsanforderung"]
    commanded += ["TorqueDemand_kNm", "speed_ref", "feed_override"]
    read = ["PitchAngle", "shaft_rpm", "gripper_position", "room_temp", "v [km/h]", "work_order", "peak_demand", "peak"]
    read += ["speed", "x", "x_ref"]
    rows = [",".join([f"{i / 10}", *(f"{np.sin(i + k):.4f}" for k in range(20))]) for i in range(60)]
    recording = suggested(tmp_path, ",".join(["time_s", *commanded, *read]), rows)
    kinds = {column: spec.kind for spec in recording.specs.values() for column in spec.columns}
    wanted = {"pitch_demand", "rpm_order", "gripper_request", "target_temp", "v_soll", "bremsanforderung"}
    wanted |= {"torque_demand", "speed_ref", "feed_override"}
    assert {name for name, kind in kinds.items() if kind == "action"} == wanted
    assert len(kinds) == len(commanded) + len(read)


def test_of_a_drive_amperes_degrees_and_turns_are_read_and_levers_are_commanded(tmp_path):
    commanded = ["boom_lever", "joystick_x", "brake_pedal", "Set Current [A]", "defrost", "motor_2", "motor_cmd_A"]
    commanded += ["valve_pct", "target_motor_rpm"]
    measured = ["motor_A", "motor1_degC", "Motor (rpm)", "valve_temp_C", "servo_3_mA", "lever_arm_x"]
    rows = [",".join([f"{i / 10}", *(f"{np.sin(i + k):.4f}" for k in range(15))]) for i in range(60)]
    recording = suggested(tmp_path, ",".join(["time_s", *commanded, *measured]), rows)
    specs = recording.specs.values()
    actions = [column for spec in specs if spec.kind == "action" for column in spec.columns]
    units = [unit for spec in specs if spec.kind == "sensor" for unit in spec.units]
    assert (len(actions), sorted(units)) == (len(commanded), ["", "A", "A", "K", "K", "rad/s"])


@pytest.mark.parametrize(("yes", "no"), [("1", "0"), ("true", "false"), ("YES", "NO")])
def test_what_a_flag_calls_not_valid_is_no_reading(tmp_path, yes, no):
    def row(i):
        lost = i % 9 == 4
        return f"{i},{0 if lost else 5 + np.sin(i):.3f},{20 + i % 5},{no if lost else yes}"

    recording = suggested(tmp_path, "time_s,alt_x,temp,alt_valid", map(row, range(90)))
    columns = {column: name for name, spec in recording.specs.items() for column in spec.columns}
    assert set(columns) == {"alt_x", "temp"}
    read = recording.samples[columns["alt_x"]]
    assert (len(read.time), read.data.min() > 3.9) == (80, True)
    assert len(recording.samples[columns["temp"]].time) == 90  # which is read there, too


def test_a_machine_that_stands_until_there_is_a_fix_is_read_all_along(tmp_path):
    def row(i):
        locked = i > 30
        return f"{i},{5 + np.sin(i) if locked else -1:.3f},{max(i - 50, 0) % 7},{int(locked)}"

    recording = suggested(tmp_path, "time_s,alt_x,wheel,alt_valid", map(row, range(200)))
    times = {column: len(recording.samples[name].time) for name, s in recording.specs.items() for column in s.columns}
    assert times == {"alt_x": 169, "wheel": 200}


def test_of_two_flags_each_tells_what_is_no_reading(tmp_path):
    def row(i):
        first, second = i % 9 != 4, i % 7 != 3
        return f"{i},{5 + np.sin(i) if first and second else -1:.3f},{int(first)},{int(second)}"

    recording = suggested(tmp_path, "time_s,alt_x,alt_valid,is_valid", map(row, range(200)))
    (read,) = recording.samples.values()
    assert read.data.min() > 3.9


@pytest.mark.parametrize(("bits", "lowest"), [(16, 0), (16, -(2**15)), (32, 0)])
def test_a_counter_that_begins_anew_goes_on(tmp_path, bits, lowest):
    """An encoder's, which turns either way, between rows that are missing."""
    turned = np.round(1.2 * 2**bits * np.sin(np.arange(400) / 60) + 0.3 * 2 ** (bits - 4))
    rows = [f"{i},{'' if i % 50 == 3 else int((n - lowest) % 2**bits + lowest)},{i % 9}" for i, n in enumerate(turned)]
    recording = suggested(tmp_path, "time_s,ticks,level", rows)
    (data,) = (samples.data[:, 0] for name, samples in recording.samples.items())
    known = np.arange(400) % 50 != 3
    np.testing.assert_array_equal(np.isfinite(data), known)
    np.testing.assert_array_equal(np.diff(data[known]), np.diff(turned[known]))
    assert f"ticks began anew after {bits} bits; on from there" in recording.notes


def test_a_number_for_nothing_is_not_the_end_of_a_counter(tmp_path):
    """Health finds it, where it is still there."""
    ranges = np.where(np.arange(400) % 30 == 7, 65535, np.round(2000 + 1500 * np.sin(np.arange(400) / 50)))
    recording = suggested(tmp_path, "time_s,range_mm", [f"{i},{x:.0f}" for i, x in enumerate(ranges)])
    np.testing.assert_allclose(recording.samples["signals"].data[:, 0], ranges / 1000)


def test_words_for_two_states_are_numbers(tmp_path):
    pumps, doors = ["OFF", "ON", ""], ["closed", " Open"]
    rows = [f"{i},{i % 7},{pumps[i % 3]},{doors[i % 2]},{'AUTO' if i % 2 else 'ON'},no" for i in range(300)]
    recording = suggested(tmp_path, "time_s,level,pump,door,note,alarm", rows)
    columns = {
        column: samples.data[:, place]
        for name, samples in recording.samples.items()
        for place, column in enumerate(recording.specs[name].columns)
    }
    assert set(columns) == {"level", "pump", "door", "alarm"}  # other words are left out
    np.testing.assert_array_equal(columns["pump"], [[0, 1, np.nan][i % 3] for i in range(300)])
    np.testing.assert_array_equal(columns["door"], np.arange(300) % 2)
    assert not columns["alarm"].any()
    assert "pump: OFF is taken for 0, ON is taken for 1" in recording.notes


def test_what_is_no_state_later_on_is_told_as_words(tmp_path):
    rows = [f"{i},{i % 7},{'OFF' if i < 200 else 'STANDBY'}" for i in range(300)]
    assert [spec.columns for spec in suggested(tmp_path, "time_s,level,fan", rows).specs.values()] == [("level",)]


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("T_core_C", "K"),
        ("oil_temp_C", "K"),
        ("case_degC", "K"),
        ("rail_bar", "Pa"),
        ("phase_C", ""),
        ("t_c", ""),
        ("oil_psi", "Pa"),
        ("att_psi", ""),
        ("drawbar_kN", "N"),
        ("tension_kn", "N"),
        ("SOG_kn", "m/s"),
        ("wind_speed_ms", "m/s"),
        ("payload_g", "kg"),
        ("acc_g", "m/s^2"),
        ("distance_nm", "m"),
        ("torque_nm", "N*m"),
        ("rot_deg_min", "rad/s"),
        ("gear_knm", "N*m"),
        ("bearing_temp_F", "K"),
        ("vibration_in_s", "m/s"),
        ("press_mpa", "Pa"),
        ("rider_power_W", "W"),
        ("attitude_w", ""),
        ("load_kg", "kg"),
    ],
)
def test_quantities_by_what_their_names_end_in(tmp_path, name, unit):
    (spec,) = suggested(tmp_path, f"time_s,{name}", [f"{i},{20 + i % 7}" for i in range(30)]).specs.values()
    assert spec.units == (unit,)


def test_a_pitch_in_radians_may_go_from_0_to_a_turn(tmp_path):
    angles = [np.linspace(0, 9, 100) % (2 * np.pi), 0.2 * np.sin(np.arange(100) / 9) % (2 * np.pi)]
    rows = [f"{i / 10},{roll:.4f},{pitch:.4f}" for i, (roll, pitch) in enumerate(zip(*angles, strict=True))]
    (samples,) = suggested(tmp_path, "t,roll,pitch", rows).samples.values()
    np.testing.assert_allclose(samples.data, np.transpose(angles), atol=1e-4)


def test_what_has_more_minutes_than_a_degree_is_no_degrees(tmp_path):
    rows = [f"{i},47°75.0 N,{np.sin(i):.3f}" for i in range(30)]
    specs = suggested(tmp_path, "time_s,lat,x", rows).specs
    assert [spec.columns for spec in specs.values()] == [("x",)]


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [("47°30'36.0\"S", "8°15'00\"W"), ("47° 30.6 S", "8° 15.0 W"), ("-47°30.6'", "-8°15'0.0''")],
)
def test_degrees_with_minutes_and_seconds_are_degrees(tmp_path, latitude, longitude):
    rows = [f"{i};{latitude};{longitude};400" for i in range(30)]
    recording = suggested(tmp_path, "time_s;lat;lon;alt", rows)
    np.testing.assert_allclose(recording.samples["gps"].data, [[-47.51, -8.25, 400]] * 30)


def test_velocities_in_millimetres_a_second_are_no_seconds(tmp_path):
    rows = [f"{i},{470000000 + i},85000000,400000,{1000 * i}" for i in range(30)]
    recording = suggested(tmp_path, "time_s,lat_e7,lon_e7,hMSL_mm,velN_mm_s", rows)
    np.testing.assert_allclose(recording.samples["gps"].data[0], [47, 8.5, 400])
    ((name, spec),) = ((name, spec) for name, spec in recording.specs.items() if name != "gps")
    assert spec.units == ("m/s",)
    np.testing.assert_allclose(recording.samples[name].data[:, 0], np.arange(30))


@pytest.mark.parametrize(
    ("values", "unit", "factor"),
    [
        (np.arange(40) * 900, "rad", np.pi / 18000),  # MAVLink's hdg
        (np.arange(40) * 90, "rad", np.pi / 1800),  # INAV's
        (np.arange(40) * 90.5, "rad", np.pi / 180),  # ten turns
        (np.arange(40) * 20, "rad", np.pi / 180),
        (1000 + np.arange(40) * 20, "", 1),  # a stick
        (np.arange(40) * 9000, "", 1),
    ],
)
def test_angles_are_told_in_parts_of_a_degree_by_whole_numbers(tmp_path, values, unit, factor):
    (tmp_path / "alone").mkdir()  # units are told by tables in folders beside it, too
    recording = suggested(tmp_path / "alone", "time_s,heading", [f"{i},{value:g}" for i, value in enumerate(values)])
    ((name, spec),) = recording.specs.items()
    assert spec.units == (unit,)
    data = recording.samples[name].data[:, 0]
    np.testing.assert_allclose(
        np.exp(1j * data) if unit else data, np.exp(1j * values * factor) if unit else values, atol=1e-5
    )


@pytest.mark.parametrize(
    ("header", "accelerations"),
    [
        ("Time,G Force Lat,G Force Long,GPS Latitude,GPS Longitude", ["G Force Lat", "G Force Long"]),
        ("time,lat_acc,long_acc,lat,lon", ["lat_acc", "long_acc"]),
        ("time,GPS_LatAcc,GPS_LonAcc,latitude,longitude", ["GPS_LatAcc", "GPS_LonAcc"]),
    ],
)
def test_lateral_and_longitudinal_forces_are_no_places(tmp_path, header, accelerations):
    rows = "".join(f"\n{i / 10},{i % 3},{i % 4},{45 + i * 1e-6:.6f},{7 + i * 1e-6:.6f}" for i in range(30))
    (tmp_path / "a.csv").write_text(header + rows)
    streams = tomllib.loads(suggest(tmp_path / "a.csv"))["streams"]
    (place,) = [stream for stream in streams.values() if stream["kind"] == "gps"]
    assert list(place["columns"].values())[:2] == header.split(",")[3:]
    others = [name for stream in streams.values() if stream["kind"] != "gps" for name in stream["columns"].values()]
    assert sorted(others) == sorted(accelerations)


def test_axes_may_stand_before_what_they_are_of(tmp_path):
    columns = [f"{axis}_{what}" for what in ("acc [G]", "rate_of_rotation [deg/s]") for axis in "xyz"]
    rows = "".join(f"\n{i / 10},0,0,1,{i},{-i},3" for i in range(30))
    (tmp_path / "a.csv").write_text(",".join(["t", *columns]) + rows)
    streams = tomllib.loads(suggest(tmp_path / "a.csv"))["streams"]
    assert {name: stream["units"] for name, stream in streams.items()} == {"accelerometer": "m/s^2", "gyro": "rad/s"}


def test_a_wanted_velocity_is_not_in_volts(tmp_path):
    rows = "\n".join(f"{0.02 * i:.2f},{i % 7},{i % 5},{11 + 0.01 * (i % 9):.2f}" for i in range(200))
    (tmp_path / "a.csv").write_text(f"t,cmd_v,cmd_w,battery_v\n{rows}\n")
    streams = tomllib.loads(suggest([tmp_path / "a.csv"]))["streams"]
    told = {tuple(stream["columns"].values()): stream.get("units") for stream in streams.values()}
    assert told == {("cmd_v", "cmd_w"): None, ("battery_v",): "V"}


def test_motion_capture_beside_a_flight_controller_is_a_place_and_its_motors_are_commands(tmp_path):
    folder = tmp_path / "flight"
    folder.mkdir()
    turn = [(np.cos(i / 90), np.sin(i / 90)) for i in range(60)]
    (folder / "mocap.csv").write_text(
        "time,x,y,z,qx,qy,qz,qw\n"
        + "".join(f"{1.7e9 + i / 50},{c},{s},1,0,0,{s},{c}\n" for i, (c, s) in enumerate(turn))
    )
    (folder / "motors.csv").write_text(
        "timestamp_us,m1,m2\n" + "".join(f"{10_000_000 + 20_000 * i},{c},{s}\n" for i, (c, s) in enumerate(turn))
    )
    text = suggest(folder)
    streams = tomllib.loads(text)["streams"]
    assert {name: stream["kind"] for name, stream in streams.items()} == {
        "attitude": "orientation", "position": "position", "motors": "action",
    }  # fmt: skip
    assert streams["position"]["units"] == "m"
    assert "position: no unit is told: taken for m" in text
    assert "motors: taken for commands by their names" in text
    assert streams["motors"]["columns"] == {"m1": "m1", "m2": "m2"}  # as they are called where they are commanded


def test_valves_are_commands_and_a_table_without_any_says_so(tmp_path):
    rows = "".join(f"01.11.2026 00:{i:02d};{i},5;{i // 9}\n" for i in range(60))
    for name, column in (("plant", "Ventil_Heizung [%]"), ("readings", "T_raum [°C]")):
        (tmp_path / f"{name}.csv").write_text(f"Zeit;T_vorlauf [°C];{column}\n{rows}")
    plant, readings = (suggest(tmp_path / f"{name}.csv") for name in ("plant", "readings"))
    assert tomllib.loads(plant)["streams"]["commands"]["kind"] == "action"
    assert "no column is called a command" in readings
    assert "no column is called a command" not in plant


def test_what_a_plant_switches_and_opens_is_commanded_and_what_it_reads_is_not(tmp_path):
    commanded = [
        "heater_on",
        "vent_pct",
        "fan",
        "pump_2",
        "relay_3",
        "Damper [%]",
        "actuator_1",
        "feeder_run",
        "coolant_on",
    ]
    measured = [
        "heater_power",
        "pump_flow",
        "fan_speed",
        "heater_temp",
        "pump_pressure",
        "vent_temp",
        "Fan [A]",
        "lux",
        "coolant_temp",
    ]
    rng, names = np.random.default_rng(0), [*commanded, *measured]
    rows = [",".join([f"{i / 10}", *(f"{v:.3f}" for v in rng.normal(size=len(names)))]) for i in range(60)]
    (tmp_path / "plant.csv").write_text("\n".join([",".join(["t", *names]), *rows]) + "\n")
    streams = tomllib.loads(suggest(tmp_path / "plant.csv"))["streams"].values()
    assert {name for s in streams if s["kind"] == "action" for name in s["columns"].values()} == set(commanded)


def test_all_of_a_file_of_actuators_is_commanded(tmp_path):
    rows = "".join(f"{i},{i % 2},{i % 3},{i % 5}\n" for i in range(60))
    (tmp_path / "actuators.csv").write_text(f"t,north,south,speed\n{rows}")
    streams = tomllib.loads(suggest(tmp_path / "actuators.csv"))["streams"].values()
    assert [list(s["columns"]) for s in streams if s["kind"] == "action"] == [["north", "south"]]


@pytest.mark.parametrize(
    ("heading", "frame"),
    [
        (lambda course: np.rad2deg(np.pi / 2 - course) % 360, "ned"),
        (lambda course: np.rad2deg(course) % 360, "enu"),
        (lambda course: np.rad2deg(3 * course) % 360, None),  # whatever that is
    ],
)
def test_a_heading_goes_in_the_frame_in_which_the_fixes_do(tmp_path, heading, frame):
    rng, time = np.random.default_rng(0), np.arange(400) / 5
    course = 0.05 * time * np.sin(time / 9)
    east, north = (np.cumsum(f(course)) * 0.4 + 0.2 * rng.normal(size=400) for f in (np.cos, np.sin))
    nose = heading(course + 0.05 * rng.normal(size=400))
    rows = [
        f"{t:.1f},{n:.1f},{54 + y / 111_000:.7f},{10 + x / 65_000:.7f}" if i % 5 == 0 else f"{t:.1f},{n:.1f},,"
        for i, (t, n, x, y) in enumerate(zip(time, nose, east, north, strict=True))
    ]
    (path := tmp_path / "own" / "boat.csv").parent.mkdir()  # of no other test's folder
    path.write_text("time [s],heading_deg,lat,lon\n" + "\n".join(rows) + "\n")
    text = suggest(path)
    (own,) = (stream for stream in tomllib.loads(text)["streams"].values() if stream["kind"] == "sensor")
    assert own.get("frame") == frame
    assert ("as the course of the fixes does" in text) == (frame is not None)


def test_a_ship_s_heading_and_its_course_turn_with_the_fixes(tmp_path):
    """`HDG` and `COG` are what the log calls heading and course, and the heading tells where the nose points."""
    rng, time = np.random.default_rng(0), np.arange(400.0)
    course = 0.5 + 0.05 * time * np.sin(time / 90)
    east, north = (np.cumsum(f(course)) * 6 + 1.5 * rng.normal(size=400) for f in (np.sin, np.cos))
    rows = [
        f"{t:g},{54 + y / 111_000:.6f},{10 + x / 65_000:.6f},{c % 360:.1f},{(c + 4) % 360:.1f}"
        for t, x, y, c in zip(time, east, north, np.rad2deg(course), strict=True)
    ]
    spec = suggested(tmp_path, "time_s,lat,lon,COG,HDG", rows).specs["signals"]
    assert (spec.frame, spec.columns, spec.circular) == ("ned", ("heading", "course"), (True, True))
    assert codec(spec).turning.heading == (0, 1)
