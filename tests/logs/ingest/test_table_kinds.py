"""Tables as programs of many kinds write them, without a recipe: what is made of them, and what is said."""

import datetime
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

COUNT = 60
STEPS = [row / 50 for row in range(COUNT)]


def read(folder, *lines, name="run.csv"):
    path = folder / "only" / name  # with nothing beside it that would tell too
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (recording,) = tables.read(path, Options())
    return recording


def dated(recording):
    return datetime.datetime.fromtimestamp(recording.origin_utc, datetime.UTC)


def test_who_counts_hours_to_twelve_has_the_month_first(tmp_path):
    rows = [f"03/09/2024,11:59:{row:02d} AM,{row}" for row in range(COUNT)]
    assert dated(read(tmp_path, "Date,Time,x", *rows)).month == 3


@pytest.mark.parametrize(("zone", "hour", "notes"), [("CEST", 8, 0), ("PDT", 17, 0), ("IST", 10, 1)])
def test_names_of_zones_are_read_or_said_to_be_unknown(tmp_path, zone, hour, notes):
    recording = read(tmp_path, "time,x", *(f"2024-07-01 10:00:{row:02d} {zone},{row}" for row in range(COUNT)))
    assert dated(recording).hour == hour
    assert sum("no zone that is known" in told for told in recording.notes) == notes


def test_a_known_program_that_tells_no_zone_says_so(tmp_path):
    rows = [f"{8.5 + row / 1e5},{47},05-Jan-2024 10:00:{row:02d}.000,-" for row in range(COUNT)]
    recording = read(tmp_path, "Longitude,Latitude,Device Time,GPS Time", *rows)
    assert recording.about["recipe"] == "torque"
    assert any("no zone that is known, and are taken for UTC" in note for note in recording.notes)


def test_a_gyro_beside_an_accelerometer_in_counts_is_in_counts(tmp_path):
    rows = [f"{t},{row % 7},{row % 5},{16384 + row},{row},{-row},{3 * row}" for row, t in enumerate(STEPS)]
    recording = read(tmp_path, "time,ax,ay,az,gx,gy,gz", *rows)
    assert recording.specs["gyro"].units == ("", "", "")
    np.testing.assert_array_equal(recording.samples["gyro"].data[:, 2], 3 * np.arange(COUNT))


def test_devices_that_take_turns_are_streams_of_their_own(tmp_path):
    rows = [f"{t},{device},{row + 100 * (device == 'B2')}" for row, t in enumerate(STEPS) for device in ("A1", "B2")]
    recording = read(tmp_path, "time,device_id,load", *rows)
    for device, first in (("a1", 0), ("b2", 100)):
        np.testing.assert_array_equal(recording.samples[device].data[:, 0], first + np.arange(COUNT))


def test_roll_pitch_and_yaw_are_in_one_unit_unless_it_is_told(tmp_path):
    rows = [f"{t},{row - 30},{0.5},{10 + row / 10}" for row, t in enumerate(STEPS)]
    spec, data = (getattr(read(tmp_path, "time,roll,pitch,yaw", *rows), of)["signals"] for of in ("specs", "samples"))
    assert spec.units == ("rad", "rad", "rad")
    np.testing.assert_allclose(data.data[0], np.radians([-30, 0.5, 10]))
    told = read(tmp_path, "time,roll [deg],pitch [deg],yaw [rad]", *rows)
    np.testing.assert_allclose(told.samples["signals"].data[0], [*np.radians([-30, 0.5]), 10])


def test_a_line_under_the_header_is_no_unit_and_brackets_are_no_part_of_one(tmp_path):
    piped = read(tmp_path, "| time | a | b |", "|---|---|---|", *(f"| {t} | {t} | 1 |" for t in STEPS), name="run.txt")
    assert [spec.units for spec in piped.specs.values()] == [("", "")]
    pico = read(tmp_path, "Time,Channel A", "(ms),(mV)", "", *(f"{t:.8f},1000.0" for t in STEPS))
    np.testing.assert_allclose(pico.samples["signals"].time, np.array(STEPS) / 1000)
    assert pico.specs["signals"].units == ("V",)
    assert pico.samples["signals"].data[0, 0] == 1


def test_columns_of_one_name_keep_their_units(tmp_path):
    recording = read(tmp_path, "time,speed [km/h],speed [km/h]", *(f"{t},36,72" for t in STEPS))
    np.testing.assert_allclose(np.ravel([samples.data[0] for samples in recording.samples.values()]), [10, 20])


@pytest.mark.parametrize("text", ["Sampling rate: 200 Hz", "# Sample Frequency (Hz) = 200", "created by X at 200 Hz"])
def test_rows_without_a_clock_have_the_rate_that_the_text_above_tells(tmp_path, text):
    recording = read(tmp_path, text, "acc_x,acc_y,acc_z", *(f"{t},0.1,9.81" for t in STEPS))
    np.testing.assert_allclose(recording.samples["accelerometer"].time, np.arange(COUNT) / 200)
    assert any("at 200 Hz, as the text above them tells" in note for note in recording.notes)


def test_a_time_between_samples_is_no_rate(tmp_path):
    with pytest.raises(RecipeError, match="No clock"):
        read(tmp_path, "Sample rate: 10 ms", "acc_x,acc_y,acc_z", *(f"{row % 7},0.1,9.81" for row in range(COUNT)))


def test_the_unit_of_a_counter_is_the_one_that_makes_the_rate_which_is_told(tmp_path):
    rows = [f"{row}\t{5000 + 1000 * row}\t{row % 9}.5" for row in range(COUNT)]
    recording = read(tmp_path, "// Sample rate: 1 Hz", "Counter\tTime\tload", *rows, name="run.txt")
    np.testing.assert_allclose(next(iter(recording.samples.values())).time, np.arange(COUNT))
    other = read(tmp_path, "// Sample rate: 30 Hz", "Counter\tTime\tload", *rows, name="run.txt")
    assert any("tells a rate of 30 Hz, which Time does not have" in note for note in other.notes)
    xsens = read(tmp_path, "PacketCounter\tSampleTimeFine\tload", *rows, name="run.txt")
    np.testing.assert_allclose(xsens.samples["signals"].time, np.arange(COUNT) / 10)


@pytest.mark.parametrize(("minutes", "degrees"), [(2875.2, 47.92), (4730.0, 47.5)])
def test_minutes_of_arc_are_no_degrees_and_minutes(tmp_path, minutes, degrees):
    """Where they are beyond 60 somewhere; as both, the second is taken for 47 degrees and 30 minutes, which is said."""
    recording = read(tmp_path, "time,lat,lon", *(f"{row},{minutes + row / 1e4:.4f},510.5" for row in range(COUNT)))
    assert recording.samples["gps"].data[0, 0] == pytest.approx(degrees, abs=1e-9)
    assert any("positions are taken for" in note for note in recording.notes)


def test_streams_of_a_recording_in_several_files_are_called_as_these(tmp_path):
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        for name, unit, rate in (("Accelerometer", "m/s^2", 100), ("Gyroscope", "rad/s", 50)):
            rows = (f"{row / rate};{row % 7};1;{row % 5}" for row in range(COUNT))
            archive.writestr(f"{name}.csv", "\n".join([f"Time (s);X ({unit});Y ({unit});Z ({unit})", *rows]))
    (recording,) = tables.read(tmp_path / "run.zip", Options())
    assert {name: spec.units[0] for name, spec in recording.specs.items()} == {
        "accelerometer": "m/s^2",
        "gyroscope": "rad/s",
    }


@pytest.mark.parametrize(
    ("names", "told", "began"),
    [
        ("Year,Month,Day,Hour,Minute,Second,Millisecond", "2024,2,29,23,59", "2024-02-29 23:59:58"),
        ("YY,DOY,hh,minute,ss (s),ms", "24,60,23,59", "2024-02-29 23:59:58"),
        ("year,doy,hour,min,sec,ms", "24,60,23,59", "2024-02-29 23:59:58"),
        ("hour,minute,second,msec", "23,59", ""),
    ],
)
def test_parts_of_a_time_in_a_column_each_are_one_clock(tmp_path, names, told, began):
    """The minute ends, and the day where the date is not told."""
    rows, day = [], names.lower().startswith("y")
    for row in range(COUNT):
        seconds, ms = divmod(58_000 + 100 * row, 1000)
        minutes = told if seconds < 60 else ("2024,3,1,0,0" if "Month" in names else "24,61,0,0" if day else "0,0")
        rows.append(f"{minutes},{seconds % 60},{ms},{row}")
    recording = read(tmp_path, f"{names},load", *rows)
    (spec,), (samples,) = recording.specs.values(), recording.samples.values()
    assert spec.columns == ("load",)
    np.testing.assert_allclose(samples.time, np.arange(COUNT) / 10, atol=1e-9)
    assert (f"{dated(recording):%Y-%m-%d %H:%M:%S}" if day else "") == began


def test_a_date_of_zeros_is_none_yet(tmp_path):
    """As receivers write it before they know one."""
    rows = ["0,0,0,0,0,0,7"] * 2 + [f"2024,2,29,10,0,{row},{row}" for row in range(COUNT)]
    recording = read(tmp_path, "year,month,day,hour,minute,second,load", *rows)
    assert dated(recording).year == 2024
    np.testing.assert_allclose(recording.samples["signals"].time, [np.nan, np.nan, *range(COUNT)])


def test_hours_and_minutes_beyond_those_of_a_day_are_readings(tmp_path):
    recording = read(tmp_path, "time,hour,minute,second", *(f"{t},{row},{row},{row}" for row, t in enumerate(STEPS)))
    assert recording.specs["signals"].columns == ("hour", "minute")


def test_every_second_line_may_be_empty(tmp_path):
    """As Python's csv writes them on Windows."""
    recording = read(tmp_path, "time,x", "", *(f"{t},{row}\n" for row, t in enumerate(STEPS)))
    np.testing.assert_array_equal(recording.samples["signals"].data[:, 0], np.arange(COUNT))


def test_milliseconds_may_stand_behind_a_colon_and_hours_may_pass_a_day(tmp_path):
    rows = [f"{23 + row // 30}:59:58:{row % 30 * 20:03d},{row}" for row in range(COUNT)]
    recording = read(tmp_path, "Time,load", *rows)
    np.testing.assert_allclose(recording.samples["signals"].time[[1, 30]], [0.02, 3600])
    passed = [f"{23 + row}:59:59.5,{row}" for row in range(COUNT)]
    recording = read(tmp_path, "Elapsed,load", *passed)
    np.testing.assert_allclose(recording.samples["signals"].time, 3600 * np.arange(COUNT))


@pytest.mark.parametrize("form", ["2024-05-01 10:00:{:02d}", "{}"])
def test_rows_that_are_newest_first_are_refused_as_such(tmp_path, form):
    with pytest.raises(RecipeError, match="turn the rows around"):
        read(tmp_path, "time,x", *(f"{form.format(COUNT - 1 - row)},{row}" for row in range(COUNT)))


def test_lists_and_zones_are_read_in_a_process_that_has_imported_nothing_else(tmp_path):
    date = pa.array(np.arange(9) * 1_000_000, pa.timestamp("us"))
    parquet.write_table(pa.table({"date": date, "v": [[float(i), 1.0] for i in range(9)]}), tmp_path / "a.parquet")
    program = "import sys, worldmodel; print(*worldmodel.ingest(*sys.argv[1:], progress=False).streams)"
    line = [sys.executable, "-c", program, str(tmp_path / "a.parquet"), str(tmp_path / "log.h5")]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()


def test_gravity_in_what_is_called_linear_acceleration_is_told(tmp_path):
    """As in sensor_msgs/Imu, whose linear_acceleration is what the sensor says."""
    rows = [f"{t},0.1,-0.3,{9.8 + row % 3 / 100}" for row, t in enumerate(STEPS)]
    axes = ",".join(f"field.linear_acceleration.{axis}" for axis in "xyz")
    told = " ".join(read(tmp_path, f"time,{axes}", *rows).notes)
    assert "by its values it seems to be m/s^2" in told
    assert "without the gravity" not in told


def test_counters_count_and_what_is_called_as_one_may_not(tmp_path):
    rows = [f"{t},{row + 1},{30 + row / 7:.2f},{row % 4},{1 + row % 3}" for row, t in enumerate(STEPS)]
    recording = read(tmp_path, "time,Data Point,Heat Index,load,runtime_state", *rows)
    assert recording.specs["signals"].columns == ("heat_index", "load", "runtime_state")
    assert any("count rows are left out: Data Point" in note for note in recording.notes)


def test_a_voltage_beside_its_current_and_power_is_no_command(tmp_path):
    rows = [f"{t},{3.5 + row / 100},{row % 5},{row % 7}" for row, t in enumerate(STEPS)]
    metered = read(tmp_path, "Time[s],U[V],I[A],P[W]", *rows)
    assert {name: spec.kind for name, spec in metered.specs.items()} == {"signals": "sensor"}
    assert read(tmp_path, "Time[s],U[V],I[A],y[m]", *rows).specs["commands"].columns == ("u",)


def test_stamps_of_whole_minutes_stay_what_they_are(tmp_path):
    """However long a recording is: a rate that was printed with ten digits moved them by 6 ms in a year."""
    minutes = [*range(0, 400, 10), *range(200_000, 200_200, 10)]
    times = [datetime.datetime(2018, 1, 1) + datetime.timedelta(minutes=minute) for minute in minutes]
    recording = read(tmp_path, "Date/Time,power", *(f"{time:%d %m %Y %H:%M},{i % 9}" for i, time in enumerate(times)))
    np.testing.assert_allclose(recording.samples["signals"].time, 60.0 * np.array(minutes), rtol=0, atol=1e-6)
    assert not any("rounded" in note for note in recording.notes)


def test_a_question_mark_is_no_reading(tmp_path):
    rows = [f"16/12/2006;17:{row:02d}:00;{'?' if row == 4 else 4.2 + row};{row % 7}" for row in range(COUNT)]
    (samples,) = read(tmp_path, "Date;Time;power;load", *rows).samples.values()
    assert np.flatnonzero(np.isnan(samples.data[:, 0])).tolist() == [4]


def test_lines_of_remarks_between_rows_are_left_out(tmp_path):
    rows = [f"{20 * row},{row % 7},{row % 5}" for row in range(COUNT)]
    recording = read(tmp_path, "t_ms,d_cm,steps", *rows[:30], "# integrator reset", *rows[30:])
    assert all(len(samples.time) == COUNT for samples in recording.samples.values())
    assert "1 lines of remarks were left out, first '# integrator reset'" in recording.notes


def test_readings_that_come_in_two_paces_have_a_rate_that_the_checks_take(tmp_path):
    """As of a sensor that sees something now and then: a mean of its steps is near none of them."""
    steps = [0.1, 2.4, 5.6, 0.1, 15.3, 0.1, 1.8, 3.6]
    times = np.concatenate([np.arange(0, 3, 0.1), 3 + np.cumsum([0.0, *steps])])
    seen = [""] * 30 + [f"{row / 7:.3f}" for row in range(1 + len(steps))]
    lines = [f"{time:.2f},{row % 9},{there}" for row, (time, there) in enumerate(zip(times, seen, strict=True))]
    folder = tmp_path / "only"
    folder.mkdir()
    (folder / "run.csv").write_text("\n".join(["time,x,up", *lines]) + "\n")
    ingest(folder / "run.csv", tmp_path / "log.h5", progress=False)
    (episode,) = Log(tmp_path / "log.h5").episodes
    (rate_hz,) = (stream.spec.rate_hz for stream in episode.streams.values() if stream.spec.columns == ("up",))
    np.testing.assert_allclose(rate_hz, 1 / 2.1, rtol=1e-3)


def test_a_temperature_called_t_is_no_clock_and_a_time_is(tmp_path):
    rows = [f"{t},{25 + row % 3 / 10},{row % 5}" for row, t in enumerate(STEPS)]
    assert "t" in read(tmp_path, "Time(s),T(°),load", *rows).specs["signals"].columns
    assert read(tmp_path, "t,T [°C],load", *rows).specs["signals"].columns == ("t", "load")


def test_readings_by_their_names_may_have_the_place_beside_them(tmp_path):
    """As Car Scanner writes them: its seconds of a day were taken for days, and the place for a speed."""
    rows = []
    for row in range(COUNT):
        place = f'"{59.33 + row // 10 / 1e4:.4f}";"18.0686"'
        rows.append(f'"{36632.522133112 + row / 20:.10f}";"Vehicle speed";"{row}";"km/h";{place}')
        rows.append(f'"{36632.542133112 + row / 20:.10f}";"Engine RPM";"{800 + row}";"rpm";{place}')
    recording = read(tmp_path, '"SECONDS";"PID";"VALUE";"UNITS";"LATITUDE";"LONGTITUDE"', *rows)
    assert {name: spec.units[0] for name, spec in recording.specs.items()} == {
        "vehicle_speed": "m/s", "engine_rpm": "rad/s", "gps": "deg",
    }  # fmt: skip
    np.testing.assert_allclose(recording.samples["vehicle_speed"].time, np.arange(COUNT) / 20, atol=1e-6)
    np.testing.assert_allclose(recording.samples["vehicle_speed"].data[:, 0], np.arange(COUNT) / 3.6, rtol=1e-6)
    assert len(recording.samples["gps"].time) == COUNT / 10


def test_seconds_of_a_day_are_no_days_of_excel(tmp_path):
    seconds = read(tmp_path, "time,load", *(f"{45321.33 + row / 50:.2f},{row % 5}" for row in range(COUNT)))
    assert seconds.specs["signals"].rate_hz == 50
    days = read(tmp_path, "time,load", *(f"{45321.33 + row / 86400:.9f},{row % 5}" for row in range(COUNT)))
    assert dated(days).year == 2024


def test_forces_in_g_are_accelerations(tmp_path):
    rows = [f"12:17:46:{300 + row},-0.05,0.05,{0.98 + row % 3 / 1000}" for row in range(COUNT)]
    recording = read(tmp_path, "time,gFx,gFy,gFz", *rows)
    np.testing.assert_allclose(recording.samples["accelerometer"].data[0, 2], 0.98 * 9.80665)


def test_the_height_of_a_picture_is_no_altitude(tmp_path):
    rows = [f"{t},640,480,37.3944{row:03d},-122.0819,{35 + row / 10}" for row, t in enumerate(STEPS)]
    told = read(tmp_path, "time,width,height,lat,long,alt", *rows)
    np.testing.assert_allclose(told.samples["gps"].data[:2, 2], [35, 35.1])
    lacks = read(tmp_path, "time,width,height,lat,long,load", *rows)
    assert np.isnan(lacks.samples["gps"].data[:, 2]).all()


def test_the_number_of_a_joint_in_brackets_is_no_unit(tmp_path):
    rows = [f"{t},{row % 7},{row % 5}" for row, t in enumerate(STEPS)]
    (spec,) = read(tmp_path, "time,ACTUAL_POSITIONS (J1),ACTUAL_POSITIONS (J2)", *rows).specs.values()
    assert spec.columns == ("actual_positions_j1", "actual_positions_j2")
    assert spec.units == ("", "")


def test_joints_that_take_turns_are_streams(tmp_path):
    rows = [f"{t},{joint},{row + at},0.1,{row % 9}" for row, t in enumerate(STEPS) for at, joint in enumerate("ab")]
    recording = read(tmp_path, "time,joint,position,velocity,effort", *rows)
    assert set(recording.specs) == {"a", "b"}
    np.testing.assert_array_equal(recording.samples["b"].data[:, 0], 1 + np.arange(COUNT))


def test_what_a_robot_s_controller_has_for_targets_are_commands(tmp_path):
    """Positions and speeds too, as Universal Robots' RTDE calls them."""
    names = ["target_q_0", "target_TCP_speed_0", "ROBOT_TARGET_JOINT_POSITIONS (J1)", "actual_TCP_speed_0", "target_id"]
    rows = [f"{t},{row % 7},{row % 5},{row % 4},{row % 9},7" for row, t in enumerate(STEPS)]
    recording = read(tmp_path, ",".join(["time", *names]), *rows)
    kinds = {column: spec.kind for spec in recording.specs.values() for column in spec.columns}
    assert kinds["target_q_0"] == kinds["target_tcp_speed_0"] == kinds["robot_target_joint_positions_j1"] == "action"
    assert kinds["actual_tcp_speed_0"] == "sensor"


@pytest.mark.parametrize("rate", [20, 100])
def test_stamps_since_1970_are_whole_periods_but_for_what_float64_leaves_of_them(tmp_path, rate):
    """A tick later or earlier otherwise, so that a quarter of them share theirs with another."""
    rows = [f"{1_403_636_579 + (763_555_527 + row * 10**9 // rate) / 1e9:.9f},{row % 7}" for row in range(COUNT)]
    (samples,) = read(tmp_path, "timestamp,load", *rows).samples.values()
    np.testing.assert_array_equal(samples.time, np.arange(COUNT) / rate)


def test_stamps_since_1970_that_are_no_periods_stay_what_they_are(tmp_path):
    off = np.random.default_rng(0).uniform(-1e-5, 1e-5, COUNT)
    rows = [f"{1_403_636_579 + row / 20 + off[row] - off[0]:.6f},{row % 7}" for row in range(COUNT)]
    (samples,) = read(tmp_path, "timestamp,load", *rows).samples.values()
    np.testing.assert_allclose(samples.time, np.arange(COUNT) / 20 + off - off[0], rtol=0, atol=2e-6)
    assert np.abs(samples.time - np.arange(COUNT) / 20).max() > 5e-6
