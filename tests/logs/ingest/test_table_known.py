"""Tables of known programs: which are recognised, what their recipes read, and when their own units count."""

import re
import shutil
import zipfile

import numpy as np
import pytest

from tests.logs.ingest.table_case import recordings, suggested
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.formats.tables import known


def test_a_known_program_s_recipe_is_used_where_it_fits(tmp_path):
    litchi = "latitude,longitude,altitude(feet),time(millisecond),datetime(utc)\n"
    rows = "".join(f"47.{i + 100},8.5,{i},{100 * i},2024-05-18 08:30:00.{i}00\n" for i in range(9))
    (tmp_path / "run.csv").write_text(litchi + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    assert "read by a suggested recipe" in recording.notes[0]
    np.testing.assert_allclose(recording.samples["gps"].data[1, 2], 0.3048)


EXPORTS = {
    "betaflight": (
        "loopIteration, time (us), gyroADC[0], gyroADC[1], gyroADC[2], accSmooth[0], accSmooth[1], accSmooth[2],"
        " motor[0], motor[1], motor[2], motor[3], flightModeFlags (flags)\n"
        "0, 40000006, 180, 0, 0, 1, 2, 2048, 300, 310, 290, 305, ANGLE_MODE\n"
        "2, 40000506, 90, 0, 0, 1, 2, 2048, 300, 310, 290, 305, ANGLE_MODE|ARM\n",
        {"gyro": np.pi, "motors": 300}, 5e-4,
    ),
    "edgetx": (
        "Date,Time,1RSS(dB),RQly(%),GPS,GSpd(kmh),Hdg(°),Alt(m),RxBt(V),Ptch(rad),Roll(rad),Yaw(rad),Rud,Ele,Thr,Ail,SA\n"
        "2026-09-12,14:00:00.000,-60,100,45.5 7.5,36,90,30,16.0,0.1,0.2,0.3,512,0,0,0,1\n"
        "2026-09-12,14:00:00.100,-60,100,45.5 7.5,36,90,30,16.0,0.1,0.2,0.3,512,0,0,0,1\n",
        {"sticks": 0.5, "speed": 10, "gps": 45.5, "angles": 0.2}, 0.1,
    ),
    "airdata": (
        "time(millisecond),datetime(utc),latitude,longitude,height_above_takeoff(feet),altitude_above_seaLevel(feet),"
        "speed(mph),voltage(v), xSpeed(mph), ySpeed(mph), zSpeed(mph), compass_heading(degrees), pitch(degrees),"
        " roll(degrees),rc_elevator,rc_aileron,rc_throttle,rc_rudder,rc_elevator(percent)\n"
        "0,2024-05-01 10:00:00,48.1,11.5,10,1000,0,15.1,10,0,0,180,0,90,0,5,0,0,0\n"
        "100,2024-05-01 10:00:00,48.1,11.5,10,1000,0,15.1,10,0,0,180,0,90,0,5,0,0,0\n",
        {"gps": 48.1, "velocity": 4.4704, "height": 3.048, "angles": np.pi / 2, "sticks": 5}, 0.1,
    ),
    "racechrono": (
        "This file is created using RaceChrono Pro v9.1.3 ( http://racechrono.com/ ).\nFormat,3\n"
        "Session title,\"Track\"\nSession type,Lap timing\nCreated,31/12/2025,02:54\nNote,\n\n"
        "timestamp,fragment_id,lap_number,elapsed_time,altitude,latitude,longitude,speed,speed,rpm\n"
        "unix time,,,s,m,deg,deg,m/s,m/s,rpm\n,,,,100: gps,100: gps,100: gps,100: gps,200: obd,200: obd\n"
        "1767150797.44,0,8,1149.08,1.1,45.5,7.5,20,19,3000\n1767150797.54,0,8,1149.18,1.1,45.5,7.5,20,19,3000\n",
        {"gps": 45.5}, 0.1,
    ),
    "trackaddict": (
        '# RaceRender Data: TrackAddict 4.3.5 on Android 9 (Mode: 0)\n# GPS: Android; Mode: Android\n'
        '"Time","UTC Time","Lap","GPS_Update","GPS_Delay","Latitude","Longitude","Altitude (m)","Altitude (ft)",'
        '"Speed (Km/h)","Heading","Accel X","Accel Y","Accel Z","Brake (calculated)"\n'
        "0.000,1559734111.000,0,1,0.000,52.1,13.7,91.1,299,36.0,90.0,1.00,-0.00,-0.00,1\n"
        "0.060,1559734111.060,0,0,0.000,52.1,13.7,91.1,299,36.0,90.0,0.00,-0.00,0.00,1\n"
        "0.120,1559734111.120,0,1,0.000,52.1,13.7,91.1,299,36.0,90.0,0.00,-0.00,0.00,0\n",
        {"gps": 52.1, "course": 10, "accelerometer": 9.80665, "brake": 1}, None,
    ),
    "racecapture": (
        '"Interval"|"ms"|0|0|1,"Utc"|"ms"|0|0|1,"Battery"|"Volts"|0.0|20.0|1,"AccelX"|"G"|-3.0|3.0|25,'
        '"AccelY"|"G"|-3.0|3.0|25,"AccelZ"|"G"|-3.0|3.0|25,"Speed"|"MPH"|0.0|150.0|10\n'
        "402,0,,1.00,-0.03,0.93,\n442,0,12.1,-0.02,-0.03,0.95,12.0\n482,1418516434100,,0.1,0.2,0.9,12.1\n",
        {"accelerometer": 9.80665}, 0.04,
    ),
    "qgroundcontrol": (
        "Timestamp,roll,pitch,heading,rollRate,pitchRate,yawRate,groundSpeed,airSpeed,climbRate,altitudeAMSL,throttlePct,"
        "gps.lat,gps.lon,battery.voltage,wind.direction\n"
        "2023-04-12 12:13:30.100,180,0.5,183,90,0.2,-0.3,3.2,0,0.1,498.3,56,47.5,8.5,15.9,--.--\n"
        "2023-04-12 12:13:31.100,-1.1,0.6,184,0.2,0.1,-0.2,3.3,0,0.2,498.5,57,47.5,8.5,15.9,--.--\n",
        {"angles": np.pi, "rates": np.pi / 2, "speeds": 3.2, "gps": 47.5}, 1,
    ),
    "motec": (
        '"Format","MoTeC CSV File",,,"Workbook",""\n"Venue","Track",,,"Worksheet",""\n"Log Time","14:30:00"\n'
        '"Sample Rate","100.000","Hz",,"End Time","0.030","s"\n\n"Time","Ground Speed","Engine RPM"\n'
        '"s","km/h","rpm"\n\n'
        '"0.000","36","3000"\n"0.010","36","3000"\n',
        {"signals": 10}, 0.01,
    ),
    "aim": (
        '"Format","AiM CSV File"\n"Session","Track"\n"Time","3:35 PM"\n"Sample Rate","20"\n"Duration","92.130"\n\n'
        '"Time","GPS Speed","GPS LatAcc","GPS Latitude","GPS Longitude","GPS Altitude"\n'
        '"s","km/h","g","deg","deg","m"\n\n'
        '"0.000","36","1","45.5","7.5","100"\n"0.050","36","1","45.5","7.5","100"\n',
        {"gps": 45.5, "signals": 10}, 0.05,
    ),
    "torque": (
        "GPS Time, Device Time, Longitude, Latitude,GPS Speed (Meters/second), Horizontal Dilution of Precision,"
        " Altitude, Bearing, G(x),Engine RPM(rpm)\n"
        "Sun Oct 05 14:22:01 GMT 2026,05-Oct-2026 14:22:01.100,7.5,45.5,10,1,500,36,0,-\n"
        "GPS Time, Device Time, Longitude, Latitude,GPS Speed (Meters/second), Horizontal Dilution of Precision,"
        " Altitude, Bearing, G(x),Engine RPM(rpm)\n"
        "Sun Oct 05 14:22:02 GMT 2026,05-Oct-2026 14:22:02.100,7.5,45.5,10,1,500,36,0,2000\n",
        {"gps": 45.5}, None,
    ),
    "vbox": (
        "File created on 19/08/2026 @ 11:20:05\n\n[header]\nsatellites\ntime\nlatitude\nlongitude\nvelocity kmh\n"
        "heading\nheight\n\n[comments]\nLog Rate (Hz) : 10.00\n\n[column names]\n"
        "sats time lat long velocity heading height\n\n[data]\n"
        "014 163920.600 +02730.00000000 -00450.00000000 036.000 090.000 +0100.00\n"
        "014 163920.700 +02730.00000000 -00450.00000000 036.000 090.000 +0100.00\n",
        {"gps": 45.5, "motion": 10}, 0.1,
    ),
    "plotjuggler": (
        "__time,/odom/pose/position/x,/odom/pose/position/y,/imu/accel/z\n1624114000.0,1,2,\n1624114000.1,1,2,\n"
        "1624114000.11,,,9.8\n1624114000.2,1,2,\n1624114000.3,1,2,\n1624114000.4,1,2,\n",
        {"odom": 1}, 0.1,
    ),
    "crazyflie": (
        "Timestamp,stateEstimate.x,stateEstimate.y,stateEstimate.z,stabilizer.roll,stabilizer.pitch,stabilizer.yaw,pm.vbat\n"
        "119637,1,2,3,0,90,0,3.9\n119737,1,2,3,0,90,0,3.9\n",
        {"position": 1, "pm": 3.9}, 0.1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPORTS)
def test_a_known_program_is_recognised_and_said(tmp_path, name):
    content, first, step = EXPORTS[name]
    path = tmp_path / ("run.vbo" if name == "vbox" else "run.csv")
    path.write_text(content, encoding="utf-8")
    assert tables.claims(path)
    (recording,) = recordings(path)
    assert f"the shipped recipe {name}" in recording.notes[0]
    for stream, value in first.items():
        assert recording.samples[stream].data[0, 0] == pytest.approx(value), stream
        if step:
            assert recording.samples[stream].time[1] == pytest.approx(step, rel=1e-5)


def test_solutions_of_rtklib_have_a_date_and_a_time_under_one_name(tmp_path):
    head = "% program   : RTKLIB\n%\n%  GPST                  latitude(deg) longitude(deg)  height(m)   Q  ns"
    rows = [f"2017/05/25 09:01:{i:02d}.200   {35 + i / 1e5:.9f}  139.100000000  70.3000   1  9" for i in range(50)]
    recording = suggested(tmp_path, head, rows, "rover.pos")
    np.testing.assert_allclose(recording.samples["gps"].time, np.arange(50))
    np.testing.assert_allclose(recording.samples["gps"].data[0], [35, 139.1, 70.3])
    assert recording.origin_utc == pytest.approx(1495702860.2 - 18, abs=1e-6)  # GPS time is ahead of UTC
    assert not any("zone" in note for note in recording.notes)


def test_the_fixes_that_blackbox_decode_writes_beside_its_table(tmp_path):
    head = "time (us), GPS_numSat, GPS_coord[0], GPS_coord[1], GPS_altitude, GPS_speed (m/s), GPS_ground_course"
    rows = [f"{i * 100000}, 14, {47 + i / 1e5:.7f}, 8.5, 430, 5.00, 350.0" for i in range(40)]
    recording = suggested(tmp_path, head, rows, "LOG00001.01.gps.csv")
    assert recording.specs["gps"].kind == "gps"
    np.testing.assert_allclose(recording.samples["gps"].data[0, :2], [47, 8.5])


def test_euroc_calls_its_columns_by_their_frames(tmp_path):
    imu = "#timestamp [ns]," + ",".join(
        f"{q}_RS_S_{axis} [{u}]" for q, u in (("w", "rad s^-1"), ("a", "m s^-2")) for axis in "xyz"
    )
    truth = "#timestamp, " + ", ".join(
        [*(f"p_RS_R_{axis} [m]" for axis in "xyz"), *(f"q_RS_{axis} []" for axis in "wxyz")]
    )
    rows = [f"{1403636579758555392 + i * 5000000},{np.sin(i):.4f},2,3,4,5,6" for i in range(30)]
    recording = suggested(tmp_path, imu, rows)
    assert {name: spec.units[0] for name, spec in recording.specs.items()} == {
        "accelerometer": "m/s^2",
        "gyro": "rad/s",
    }
    np.testing.assert_array_equal(recording.samples["accelerometer"].data[0], [4, 5, 6])
    recording = suggested(tmp_path, truth, [f"{row},0.1" for row in rows])
    assert {name: spec.kind for name, spec in recording.specs.items()} == {
        "position": "position",
        "attitude": "orientation",
    }


PHYPHOX_META = {
    "meta/device.csv": '"property";"value"\n"version";"1.1"\n',
    "meta/time.csv": '"event";"experiment time";"system time"\n"START";0,0;1,7E9\n',
}


def put(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_phyphox_in_another_language_with_decimal_commas(tmp_path):
    head = '"Zeit (s)";"Beschleunigung x (m/s^2)";"Beschleunigung y (m/s^2)";"Beschleunigung z (m/s^2)"\n'
    rows = "".join(f"{i / 100:.9E};1,5E-1;{i};9,81E0\n".replace(".", ",") for i in range(50))
    (recording,) = recordings(put(tmp_path / "many", {"Accelerometer.csv": head + rows, **PHYPHOX_META}))
    np.testing.assert_allclose(recording.samples["accelerometer"].data[:, 1], np.arange(50))
    np.testing.assert_allclose(recording.samples["accelerometer"].time, np.arange(50) / 100)
    (alone,) = recordings(put(tmp_path / "one", {"Rohdaten.csv": head + rows, **PHYPHOX_META}))
    ((name, samples),) = alone.samples.items()
    assert alone.specs[name].units == ("m/s^2",) * 3
    np.testing.assert_allclose(samples.data[:, 1], np.arange(50))


def test_an_experiment_of_phyphox_with_one_sensor_is_what_its_header_says(tmp_path):
    rows = "".join(f"{i},{47 + i / 1e5},8.5,400,5\n" for i in range(20))
    content = '"Time (s)","Latitude (°)","Longitude (°)","Height (m)","Velocity (m/s)"\n' + rows
    (recording,) = recordings(put(tmp_path, {"Raw Data.csv": content, **PHYPHOX_META}))
    assert recording.specs["gps"].kind == "gps"
    assert any("no stream is read from: meta/device.csv, meta/time.csv" in note for note in recording.notes)


def test_files_of_one_name_in_several_folders_are_streams_of_their_own(tmp_path):
    files = {
        f"{k}/Raw Data.csv": '"Time (s)","Foo (lx)"\n' + "".join(f"{i},{i * k}\n" for i in range(20)) for k in (1, 2, 3)
    }
    (recording,) = recordings(put(tmp_path, files | PHYPHOX_META))
    assert sorted(samples.data[1, 0] for samples in recording.samples.values()) == [1, 2, 3]


def test_a_recording_of_sensor_logger_may_lack_a_gyro(tmp_path):
    stamps = [1_700_000_000_000_000_000 + 10_000_000 * i for i in range(30)]
    files = {
        "Metadata.csv": "version,device name,recording epoch time\n3,phone,1700000000000\n",
        "Annotation.csv": "time,seconds_elapsed,text,millisecond_press_duration\n",
        "Accelerometer.csv": "time,seconds_elapsed,z,y,x\n" + "".join(f"{t},0,3,2,{i}\n" for i, t in enumerate(stamps)),
    }
    path = put(tmp_path / "walk", files)
    assert tables.claims(path)
    (recording,) = recordings(path)
    np.testing.assert_array_equal(recording.samples["linear_acceleration"].data[:, 0], np.arange(30))


def test_units_that_a_known_programs_table_tells_count(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text(
        "loopIteration, time (us), gyroADC[0] (rad/s), gyroADC[1] (rad/s), gyroADC[2] (rad/s), vbatLatest (V),"
        " amperageLatest (A)\n0, 40000006, 3, 0, 0, 16.5, 1\n2, 40000506, 2, 0, 0, 16.4, 1\n"
    )
    (recording,) = recordings(path)
    assert recording.samples["gyro"].data[0, 0] == 3
    assert recording.samples["battery"].data[0, 0] == 16.5
    assert any("gyroADC[0] is in rad/s; the recipe's deg/s is not" in note for note in recording.notes)


def test_units_that_a_known_programs_table_tells_are_those_that_its_recipe_does_not(tmp_path):
    axes = ", ".join(f"accSmooth[{i}]{{0}}" for i in range(3))
    head = f"loopIteration, time (us), gyroADC[0], gyroADC[1], gyroADC[2], {axes}"
    for told, unit, value in ((" (g)", "m/s^2", 9.80665), ("", "", 1)):
        (tmp_path / "run.csv").write_text(
            head.format(told) + "".join(f"\n{i}, {i * 1000}, 1, 2, 3, 0, 0, 1" for i in range(9))
        )
        (recording,) = recordings(tmp_path / "run.csv")
        assert recording.specs["accelerometer"].units[2] == unit
        assert recording.samples["accelerometer"].data[0, 2] == pytest.approx(value)


def test_the_unit_of_a_known_programs_clock_counts_too(tmp_path):
    """As of blackbox_decode --unit-frame-time s."""
    rows = "".join(f"{i}, {40 + i / 500:.3f}, {i}, 0, 0\n" for i in range(30))
    head = "loopIteration, time (s), gyroADC[0], gyroADC[1], gyroADC[2]\n"
    (tmp_path / "run.csv").write_text(head + rows)
    (recording,) = recordings(tmp_path / "run.csv")
    np.testing.assert_allclose(recording.samples["gyro"].time, np.arange(30) / 500, atol=1e-9)


def test_counts_of_blackbox_explorer_are_no_volts(tmp_path):
    path = tmp_path / "run.csv"
    path.write_text(
        '"Product","Blackbox flight data recorder by Nicholas Sherlock"\n"looptime","125"\n'
        '"loopIteration","time","gyroADC[0]","gyroADC[1]","gyroADC[2]","vbatLatest","amperageLatest"\n'
        "0,40000006,180,0,0,1650,100\n8,40001006,90,0,0,1649,100\n"
    )
    (recording,) = recordings(path)
    assert recording.samples["gyro"].data[0, 0] == pytest.approx(np.pi)
    assert "battery" not in recording.specs
    assert any("no stream is read from" in note and "vbatLatest" in note for note in recording.notes)


FOLDERS = {
    "sensor_logger": {
        "Metadata.csv": "version,device name,recording epoch time\n3,phone,1700000000000\n",
        "Gyroscope.csv": "time,seconds_elapsed,z,y,x\n1700000000000000000,0,3,2,1\n1700000000010000000,0.01,3,2,1\n",
        "TotalAcceleration.csv": "time,seconds_elapsed,z,y,x\n1700000000000000000,0,9.8,0,0.1\n",
        "Orientation.csv": "time,seconds_elapsed,qz,qy,qx,qw,roll,pitch,yaw\n1700000000000000000,0,0,0,0,1,0,0,0\n",
    },
    "phyphox": {
        "Gyroscope.csv": '"Time (s)","Gyroscope x (rad/s)","Gyroscope y (rad/s)","Gyroscope z (rad/s)"\n0.0,1,2,3\n',
        "Accelerometer.csv": '"Time (s)","Acceleration x (m/s^2)","Acceleration y (m/s^2)","Acceleration z (m/s^2)"\n'
        "3.8E-2,0,0,9.8\n",
        "meta/device.csv": '"property","value"\n"version","1.1"\n',
        "meta/time.csv": '"event","experiment time","system time"\n"START",0.0,1.7E9\n',
    },
    "ulog2csv": {
        "log_1_sensor_combined_0.csv": "timestamp,gyro_rad[0],gyro_rad[1],gyro_rad[2],gyro_integral_dt,"
        "accelerometer_timestamp_relative,accelerometer_m_s2[0],accelerometer_m_s2[1],accelerometer_m_s2[2]\n"
        "1000000,1,2,3,0,0,0,0,-9.8\n",
        "log_1_vehicle_gps_position_0.csv": "timestamp,lat,lon,alt,fix_type\n"
        "1000000,0,0,0,0\n1100000,455000000,75000000,100000,3\n",
        "log_1_actuator_motors_0.csv": f"timestamp,{','.join(f'control[{i}]' for i in range(12))}\n"
        f"1000000,0.1,0.2,0.3,0.4{',nan' * 8}\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDERS)
def test_a_known_program_s_folder_is_one_recording(tmp_path, name):
    folder = tmp_path / "run"
    for file, content in FOLDERS[name].items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(content)
    with zipfile.ZipFile(tmp_path / "run.zip", "w") as archive:
        for file in FOLDERS[name]:
            archive.write(folder / file, f"run/{file}")
    for path in (folder, tmp_path / "run.zip"):
        assert tables.claims(path)
        assert known.recognised(path) == name
        (recording,) = recordings(path)
        assert recording.samples["gyro"].data[0].tolist() == [1, 2, 3]
        assert abs(recording.samples["accelerometer"].data[0, 2]) == 9.8
    if name == "ulog2csv":
        np.testing.assert_allclose(recording.samples["gps"].data, [[45.5, 7.5, 100]])
        np.testing.assert_allclose(recording.samples["motors"].data[0, :5], [0.1, 0.2, 0.3, 0.4, np.nan])
    shutil.copytree(folder, tmp_path / "again")
    assert not tables.claims(tmp_path)  # two recordings are no single one


@pytest.mark.parametrize("flights", [("1", "10"), ("1", "1_2")])
def test_two_flights_of_a_known_program_in_one_folder_are_two_recordings(flights, tmp_path):
    for flight in flights:
        for file, content in (FOLDERS["ulog2csv"] | {"log_1_cpuload_0.csv": "timestamp,load\n1000000,0.5\n"}).items():
            (tmp_path / file.replace("log_1_", f"log_{flight}_")).write_text(content)
    assert known.recognised(tmp_path) == "ulog2csv"
    for flight, recording in zip(flights, recordings(tmp_path), strict=True):
        assert recording.name.endswith(f"log_{flight}")
        np.testing.assert_allclose(recording.samples["gps"].data, [[45.5, 7.5, 100]])
        assert f"files that no stream is read from: log_{flight}_cpuload_0.csv" in recording.notes


def test_every_recipe_of_a_program_says_its_source():
    for name, recipe in known.exporters().items():
        comment = recipe.path.read_text(encoding="utf-8").partition("format =")[0]
        assert re.match(r"# .{40,}", comment), name


def test_a_known_program_that_writes_semicolons_is_recognised(tmp_path):
    rows = "".join(f'\n"{i / 20:.2f}";"{70 + i}"'.replace(".", ",") for i in range(30))
    text = f'"Format";"AIM CSV File"\n"Sample Rate";"20"\n\n"Time";"GPS Speed"\n"s";"km/h"\n{rows}'
    (tmp_path / "a.csv").write_text(text)
    assert known.recognised(tmp_path / "a.csv") == "aim"


def test_a_known_program_s_receiver_without_a_fix_is_no_stream(tmp_path):
    header = "GPS Time, Device Time, Longitude, Latitude, Altitude, G(x), G(y), G(z), Engine RPM(rpm)\n"
    rows = "".join(f"-,23-Feb-2022 06:34:{i:02d}.403,-,-,-,0.1,{i / 10},9.8,{800 + i}\n" for i in range(20))
    (tmp_path / "trackLog.csv").write_text(header + rows)
    (recording,) = recordings(tmp_path / "trackLog.csv")
    assert recording.about["recipe"] == "torque"
    assert set(recording.specs) == {"accelerometer", "signals"}
    assert "gps: left out, as its columns hold nothing" in recording.notes


def test_a_known_program_s_table_without_a_row_is_refused(tmp_path):
    (tmp_path / "run.csv").write_text(EXPORTS["racecapture"][0].splitlines()[0] + "\n")
    with pytest.raises(RecipeError, match="no column of any stream"):
        recordings(tmp_path / "run.csv")
