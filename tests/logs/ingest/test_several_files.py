"""One recording from several files: on which clock they are joined, and what is said where none is known."""

import datetime
import re
import shlex
import shutil
import zipfile

import numpy as np
import pytest

from tests.logs.ingest.table_case import HEAD, read_file
from worldmodel.errors import LogFormatError, RecipeError
from worldmodel.logs.ingest import ingest, load_recipe, suggest
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

UNIX = 1_700_000_000
JOINED = (
    '[clock]\ncolumn = "t"\norigin = "unix"\n'
    '[streams.wheel]\nfile = "wheel.csv"\nkind = "sensor"\ncolumns = { speed = "v" }\nrate_hz = "measured"\n'
    '[streams.imu]\nfile = "imu.csv"\nkind = "sensor"\ncolumns = { x = "ax" }\nrate_hz = "measured"\n'
    "clock = { column = 't', origin = ORIGIN }\n"
    '[streams.gyro]\nfile = "imu.csv"\nkind = "sensor"\ncolumns = { z = "gz" }\nrate_hz = "measured"\n'
    "where = { gz = { above = 0 } }\nclock = { column = 't', origin = ORIGIN }\nlag_s = 0.25\n"
)

ALONE = (
    '[clock]\ncolumn = "t"\norigin = ORIGIN\n'
    '[streams.imu]\nkind = "sensor"\ncolumns = { x = "ax" }\nrate_hz = "measured"\n'
)


def put(folder, files):
    for name, (columns, rows) in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        lines = [columns, *(",".join(f"{value:.12g}" for value in row) for row in rows)]
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def drive(folder, begins_s=12.5, boot=0.0):
    """A folder with a wheel that counts from 1970, and an IMU that counts since it was switched on."""
    imu = [(boot + begins_s + i / 10, i, i - 1) for i in range(5)]
    return put(folder, {"wheel.csv": ("t,v", [(UNIX + i / 10, i) for i in range(5)]), "imu.csv": ("t,ax,gz", imu)})


def by(folder, origin):
    (recording,) = read_file(folder, JOINED.replace("ORIGIN", origin))
    return recording


@pytest.mark.parametrize("begins_s", [0.0, 12.5])
def test_a_clock_begins_with_the_recording_where_the_recipe_says_so(tmp_path, begins_s):
    recording = by(drive(tmp_path / "run", begins_s), '"recording"')
    assert recording.origin_utc == pytest.approx(UNIX - 0.05)
    times = {name: samples.time + recording.origin_utc - UNIX for name, samples in recording.samples.items()}
    np.testing.assert_allclose(times["wheel"], np.arange(5) / 10, atol=1e-6)
    np.testing.assert_allclose(times["imu"], np.arange(5) / 10, atol=1e-6)
    np.testing.assert_allclose(times["gyro"], np.arange(2, 5) / 10 - 0.25, atol=1e-6)  # a known lag is taken off then
    assert f"{UNIX - begins_s:.3f} s are added" in recording.notes[0]
    assert "imu, gyro" in recording.notes[0]


@pytest.mark.parametrize("origin", [f"{UNIX - 12.5}", "2023-11-14T22:13:07.5Z", "2023-11-14T23:13:07.5+01:00"])
def test_a_clock_counts_since_when_the_recipe_says(tmp_path, origin):
    recording = by(drive(tmp_path / "run"), origin)
    np.testing.assert_allclose(recording.samples["imu"].time, recording.samples["wheel"].time, atol=1e-6)
    assert recording.origin_utc == pytest.approx(UNIX - 0.05)
    (alone,) = read_file(drive(tmp_path / "alone") / "imu.csv", ALONE.replace("ORIGIN", origin))
    assert alone.origin_utc == pytest.approx(UNIX)


@pytest.mark.parametrize("origin", ['"boot"', "2023-11-14T22:13:07.5", "1700000000000", "true", "inf"])
def test_since_when_no_clock_counts(tmp_path, origin):
    (tmp_path / "r.toml").write_text(HEAD + JOINED.replace("ORIGIN", origin))
    with pytest.raises(RecipeError, match=r"streams.imu.clock.origin is wrong[\s\S]*recording, or since when"):
        load_recipe(tmp_path / "r.toml")


def test_all_clocks_may_begin_with_the_recording(tmp_path):
    files = {
        "wheel.csv": ("t,v", [(3 + i, i) for i in range(4)]),
        "imu.csv": ("t,ax,gz", [(90 + i, i, 1) for i in range(4)]),
    }
    recipe = JOINED.replace('"unix"', '"recording"').replace("ORIGIN", '"recording"').replace("lag_s = 0.25\n", "")
    (recording,) = read_file(put(tmp_path / "run", files), recipe)
    for name in ("wheel", "imu", "gyro"):
        assert recording.samples[name].time.tolist() == [0, 1, 2, 3]
    assert np.isnan(recording.origin_utc)


@pytest.mark.parametrize(("motors_s", "together"), [(61.5, True), (58.25, True), (900.0, False), (5.0, False)])
def test_clocks_that_begin_with_the_recording_keep_what_lies_between_them_where_they_meet(tmp_path, motors_s, together):
    files = {
        "wheel.csv": ("t,v", [(UNIX + i / 10, i) for i in range(100)]),
        "imu.csv": ("t,ax,gz", [(60 + i / 10, i, 1) for i in range(100)]),
        "motors.csv": ("ms,u", [((motors_s + i / 10) * 1000, i) for i in range(100)]),
    }
    motors = (
        '[streams.motors]\nfile = "motors.csv"\nkind = "action"\ncolumns = { u = "u" }\nrate_hz = 10\n'
        'clock = { column = "ms", unit = "ms", origin = "recording" }\n'
    )
    recipe = JOINED.replace("ORIGIN", '"recording"').replace("lag_s = 0.25\n", "") + motors
    (recording,) = read_file(put(tmp_path / "run", files), recipe)
    first = {name: samples.time[0] + recording.origin_utc - UNIX for name, samples in recording.samples.items()}
    begins_s = motors_s - 60 if together else 0.0
    assert first["motors"] - first["imu"] == pytest.approx(begins_s, abs=1e-6)
    assert first["gyro"] == first["imu"]
    assert min(first["motors"], first["imu"]) - first["wheel"] == pytest.approx(0, abs=1e-6)
    added = [note for note in recording.notes if "s are added" in note]
    assert len(added) == (1 if together else 2)
    assert ("one, since their times meet" in added[0]) == together


IMU, GPS = "t,ax,ay,az,gx,gy,gz", "t,lat,lon,alt"
STREAMS = {"accelerometer", "gyro", "gps"}


def runs(folder, *names, start=UNIX, files=("imu.csv", "gps.csv"), apart_s=100):
    """A folder for each run, with an IMU and a receiver in a file each; the runs follow each other."""
    for number, name in enumerate(names):
        times = start + apart_s * number + np.arange(60) / 10
        rows = {
            files[0]: (IMU, [(t, np.sin(t), 0.1, 9.8, 0.01, np.cos(t), 0.02) for t in times]),
            files[1]: (GPS, [(t, 45 + i / 1e6, 7, 100) for i, t in enumerate(times[::5])]),
        }
        put(folder / name, rows)
    return folder


def ingested(folder, text, out):
    """The log that a suggested recipe makes of a folder."""
    (out / "r.toml").write_text(text)
    return Log(ingest(folder, out / "log.h5", recipe=out / "r.toml", progress=False, force=True).path)


@pytest.mark.parametrize("start", [UNIX, 0])
@pytest.mark.parametrize("files", [("imu.csv", "gps.csv"), ("imu/data.csv", "gps/data.csv")])
def test_each_run_of_a_folder_is_a_recording_of_the_same_sensors(tmp_path, start, files):
    apart_s = 100 if start else 0  # without dates each begins at 0
    folder = runs(tmp_path / "runs", "run1", "run2", "run3", start=start, files=files, apart_s=apart_s)
    text = suggest(folder)
    assert "each of 3 folders is taken for a recording: run1, run2, run3" in text
    log = ingested(folder, text, tmp_path)
    assert set(log.streams) == STREAMS
    assert log.episode_names == ("run1", "run2", "run3")
    assert [len(episode.streams["gyro"]) for episode in log.episodes] == [60, 60, 60]


def test_a_run_may_lack_a_file(tmp_path):
    folder = runs(tmp_path / "runs", "run1", "run2", "run3")
    (folder / "run2" / "gps.csv").unlink()
    text = suggest(folder)
    assert "gps.csv is not in run2" in text
    log = ingested(folder, text, tmp_path)
    assert [len(episode.streams["gps"]) for episode in log.episodes] == [12, 0, 12]


def test_runs_may_lie_deeper_and_in_an_archive(tmp_path):
    folder = runs(runs(tmp_path / "days", "d1/run1", "d1/run2"), "d2/run1", start=UNIX + 1e5)
    assert set(ingested(folder, suggest(folder), tmp_path).streams) == STREAMS
    with zipfile.ZipFile(tmp_path / "days.zip", "w") as archive:
        for file in folder.rglob("*.csv"):
            archive.write(file, file.relative_to(folder))
    for recipe in (None, tmp_path / "r.toml"):
        report = ingest(tmp_path / "days.zip", tmp_path / "log.h5", recipe=recipe, progress=False, force=True)
        assert report.episodes == ("days.zip d1/run1", "days.zip d1/run2", "days.zip d2/run1")
        assert set(report.streams) == STREAMS


def test_devices_that_recorded_at_once_are_one_recording(tmp_path):
    folder = runs(tmp_path / "both", "left", "right", apart_s=0)
    text = suggest(folder)
    assert "as their dates say" in text
    (recording,) = tables.read(folder, Options(recipe=write(tmp_path / "r.toml", text)))
    assert set(recording.samples) == {f"{name}{end}" for name in STREAMS for end in ("", "_2")}


def test_devices_that_recorded_at_once_on_several_days_are_a_recording_each(tmp_path):
    folder = runs(
        runs(tmp_path / "days", "d1 left", "d1 right", apart_s=0), "d2 left", "d2 right", start=UNIX + 1e5, apart_s=0
    )
    assert ingested(folder, suggest(folder), tmp_path).episode_names == ("d1 left", "d1 right", "d2 left", "d2 right")


def flat(folder, *names, apart_s=100, start=UNIX, called="{run}_{file}"):
    """The files of `runs` in one folder."""
    folder.mkdir()
    for file in runs(folder.with_name("deep"), *names, start=start, apart_s=apart_s).rglob("*.csv"):
        file.rename(folder / f"{called.format(run=file.parent.name, file=file.stem)}.csv")
    return folder


@pytest.mark.parametrize("start", [UNIX, 0])
@pytest.mark.parametrize("called", ["{run}_{file}", "2024-05-{run} {file}", "{file}_{run}", "{file}-of-{run}"])
def test_files_of_several_runs_in_one_folder_are_a_recording_each_by_their_names(tmp_path, start, called):
    folder = flat(tmp_path / "all", "r1", "r2", "r3", start=start, apart_s=100 if start else 0, called=called)
    (folder / "notes.md").write_text("A windy day.")
    text = suggest(folder)
    assert "# doubt: files are taken for 3 recordings, by what they are called: " in text
    assert "no tables: notes.md" in text
    log = ingested(folder, text, tmp_path)
    assert set(log.streams) == STREAMS
    assert [name[-2:] for name in log.episode_names] == ["r1", "r2", "r3"]
    assert [len(episode.streams["gyro"]) for episode in log.episodes] == [60, 60, 60]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    assert len(ingest(tmp_path / "all.zip", tmp_path / "zip.h5", progress=False).episodes) == 3


@pytest.mark.parametrize("made", [runs, flat])
def test_a_table_without_a_clock_may_lie_beside_runs(tmp_path, made):
    folder = put(made(tmp_path / "all", "r1", "r2"), {"results.csv": ("run,score", [(1, 0.3), (2, 0.1), (3, 0.7)])})
    text = suggest(folder)
    assert "# doubt: no clock can be told in results.csv, which is left out" in text
    log = ingested(folder, text, tmp_path)
    assert (set(log.streams), len(log.episodes)) == (STREAMS, 2)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in folder.rglob("*.csv"):
            archive.write(file, file.relative_to(folder))
    assert len(ingest(tmp_path / "all.zip", tmp_path / "zip.h5", progress=False).episodes) == 2
    put(folder, {"results.csv": ("t,score", [(UNIX + i, i % 7) for i in range(50)])})  # such as the weather's
    assert "results.csv" in re.findall(r'file = "(.*)"', suggest(folder))


def test_a_file_that_a_run_lacks_is_refused_unless_the_recipe_says_that_it_may(tmp_path):
    folder = flat(tmp_path / "all", "r1", "r2", "r3")
    text = suggest(folder)
    (folder / "r2_gps.csv").unlink()
    with pytest.raises(RecipeError, match=r"does not have one file 'r2_gps.csv'"):
        ingested(folder, text, tmp_path)
    assert "*_gps.csv is not in r2" in suggest(folder)
    log = ingested(folder, suggest(folder), tmp_path)
    assert [len(episode.streams["gps"]) for episode in log.episodes] == [12, 0, 12]


def test_files_of_a_phone_are_the_sensors_that_they_are_called_in_each_run(tmp_path):
    rows = [(i / 100, 0.1, 0.2, np.sin(0.3 * i)) for i in range(50)]
    names = [f"{run}_{sensor}.csv" for run in ("walk", "climb") for sensor in ("Accelerometer", "Gyroscope")]
    folder = put(tmp_path / "all", dict.fromkeys(names, ("t,x,y,z", rows)))
    log = ingested(folder, suggest(folder), tmp_path)
    assert set(log.streams) == {"accelerometer", "gyroscope"}
    assert len(log.episodes) == 2


@pytest.mark.parametrize("case", ["at once", "other columns"])
def test_names_that_tell_no_recordings_do_not_part_them(tmp_path, case):
    folder = flat(tmp_path / "all", "left", "right", apart_s=0 if case == "at once" else 100)
    if case == "other columns":
        put(folder, {"right_gps.csv": ("t,volts", [(UNIX + i, 12 + i % 3) for i in range(60)])})
    assert "by what they are called" not in suggest(folder)


def write(path, text):
    path.write_text(text)
    return path


def test_folders_of_a_known_program_have_its_recipe(tmp_path):
    for run in ("one", "two"):
        (tmp_path / run / "meta").mkdir(parents=True)
        for name in ("device", "time"):
            (tmp_path / run / "meta" / f"{name}.csv").write_text("a,b\n1,2\n")
    assert "# An export of the phone app phyphox" in suggest(tmp_path)


@pytest.mark.parametrize("ending", [".csv", "/data.csv"])
def test_files_that_are_called_what_a_sensor_is_are_that_sensor(tmp_path, ending):
    """Of all sensors of a phone the columns are called x, y and z."""
    times = np.arange(50) / 100
    put(
        tmp_path / "run",
        {
            f"Accelerometer{ending}": ("t,x,y,z", [(t, 0.1, 0.2, 9.8 + 0.1 * np.sin(30 * t)) for t in times]),
            f"LinearAcceleration{ending}": ("t,x,y,z", [(t, 0.1, 0.2, 0.1 * np.sin(30 * t)) for t in times]),
            f"Gyroscope{ending}": ("t,x,y,z", [(t, 0.1, 0.2, np.sin(30 * t)) for t in times]),
        },
    )
    report = ingest(tmp_path / "run", tmp_path / "log.h5", progress=False)
    assert set(report.streams) == {"accelerometer", "linear_acceleration", "gyroscope"}
    assert len(report.episodes) == 3
    assert any("share no stream, and are an episode each" in note for note in report.notes)
    log = ingested(tmp_path / "run", suggest(tmp_path / "run"), tmp_path)
    assert len(log.episodes) == 1
    assert log.streams["gyroscope"].units == ("rad/s",) * 3


def test_numbered_files_of_a_sensor_are_that_sensor(tmp_path):
    """As a logger makes that begins a new file by the hour."""
    rows = [(i / 100, 0.1, 0.2, 9.8 + 0.1 * np.sin(i)) for i in range(50)]
    names = ("Accelerometer.csv", "Accelerometer_1.csv", "Accelerometer_2024-05-01 09.csv")
    folder = put(tmp_path / "all", dict.fromkeys(names, ("t,x,y,z", rows)))
    report = ingest(folder, tmp_path / "log.h5", progress=False)
    assert (len(report.episodes), report.streams) == (3, ("accelerometer",))
    assert set(ingested(folder, suggest(folder), tmp_path).streams) == {"accelerometer"}


def test_files_of_one_sensor_tell_their_units_together_whatever_they_are_called(tmp_path):
    """Of which one is of a machine that stands still."""
    still, turns = (
        [(i / 100, *(size * np.sin(i / 9 + k) for k in range(3))) for i in range(500)] for size in (0.5, 200)
    )
    files = {"gyro.csv": ("t,gx,gy,gz", turns), "gyro_old.csv": ("t,gx,gy,gz", still)}
    log = Log(ingest(put(tmp_path / "all", files), tmp_path / "log.h5", progress=False).path)
    reach = [float(np.abs(episode.streams["gyro"].data).max()) for episode in log.episodes]
    assert reach == pytest.approx([np.radians(200), np.radians(0.5)], rel=0.01)


def test_clocks_of_files_that_never_meet_are_a_doubt(tmp_path):
    text = suggest(drive(tmp_path / "run"))
    assert "the clocks of imu.csv and of wheel.csv never meet" in text
    assert 'origin = "recording"' in text


def test_a_folder_whose_files_are_of_one_time_is_one_recording_by_itself(tmp_path):
    folder = runs(tmp_path / "runs", "run1", "run2")
    (folder / "run1" / "notes.md").write_text("A windy day.")
    report = ingest(folder, tmp_path / "log.h5", progress=False)
    assert report.episodes == ("run1", "run2")
    assert set(report.streams) == STREAMS
    assert any("one recording, as their dates say" in note for note in report.notes)
    assert any("left out, as they are no tables: notes.md" in note for note in report.notes)
    assert ingest(folder / "run1", tmp_path / "one.h5", progress=False).episodes == ("run1",)


def test_files_are_an_episode_each_where_nothing_tells_that_they_are_of_one_time(tmp_path):
    folder = runs(tmp_path / "a", "run1", start=0) / "run1"
    report = ingest(folder, tmp_path / "log.h5", progress=False)
    assert report.episodes == ("gps.csv", "imu.csv")
    (told,) = (note for note in report.notes if "gps.csv, imu.csv share no stream" in note)
    suggests, joins = re.findall(r"`worldmodel (.+?)`", told)
    (tmp_path / "recipe.toml").write_text(suggest(shlex.split(suggests)[2]))
    assert "whose clocks agree" in (tmp_path / "recipe.toml").read_text()
    _, source, *_, out = shlex.split(joins)
    assert out == str(tmp_path / "log.h5")
    assert ingest(source, out, recipe=tmp_path / "recipe.toml", progress=False, force=True).episodes == ("run1",)


def test_an_error_of_files_that_do_not_fit_tells_the_commands_that_join_them(tmp_path):
    times = [i / 10 for i in range(30)]
    files = {name: (f"t,{column}", [(t, t % 0.7) for t in times]) for name, column in (("a.csv", "v"), ("b.csv", "w"))}
    with pytest.raises(LogFormatError, match=r"ingest --suggest \S*two > recipe.toml[\s\S]*two --recipe recipe.toml"):
        ingest(put(tmp_path / "two", files), tmp_path / "log.h5", progress=False)


def with_column(text, name, values):
    head, *rows = text.splitlines()
    return "\n".join([f"{head},{name}", *(f"{row},{value}" for row, value in zip(rows, values, strict=False))]) + "\n"


def late(folder):
    text = (runs(folder / "others", "run", start=UNIX + 1000) / "run" / "gps.csv").read_text()
    shutil.rmtree(folder / "others")
    (folder / "gps.csv").write_text(text)


def another_machine(folder):
    """Its log of the same time, by a firmware that writes one column more."""
    (folder / "gps.csv").write_text(with_column((folder / "imu.csv").read_text(), "temp", range(60)))


def fleet(folder):
    """Two machines of which each tells its battery."""
    for file, column in (("gps.csv", "speed"), ("imu.csv", "wheel")):
        rows = [(UNIX + i / 10, 12 - i / 1e3, i % 7) for i in range(60)]
        put(folder, {file: (f"t,battery,{column}", rows)})


def episodes(folder):
    file = folder / "imu.csv"
    file.write_text(with_column(file.read_text(), "episode", [i // 20 for i in range(60)]))


def local(folder):
    """Dates without a zone."""
    dates = [datetime.datetime.fromtimestamp(UNIX + i / 10, datetime.UTC).isoformat(" ")[:-6] for i in range(60)]
    (folder / "gps.csv").write_text("t,v\n" + "".join(f"{date},{i % 7}\n" for i, date in enumerate(dates)))


UNCERTAIN = {
    "other times": late,
    "alike": lambda folder: shutil.copy(folder / "imu.csv", folder / "gps.csv"),
    "another machine": another_machine,
    "a fleet": fleet,
    "episodes in a file": episodes,
    "a zone that is not told": local,
    "a track beside them": lambda folder: (folder / "0001.gpx").write_text("<gpx></gpx>"),
    "a folder beside them": lambda folder: (folder / "more").mkdir(),
    "no clock": lambda folder: (folder / "settings.csv").write_text("a,b\n3,2\n1,2\n"),
}


@pytest.mark.parametrize("case", UNCERTAIN)
def test_a_folder_that_is_no_recording_for_certain_is_none(tmp_path, case):
    folder = runs(tmp_path / "runs", "run") / "run"
    assert tables.claims(folder)
    UNCERTAIN[case](folder)
    assert not tables.claims(folder)


def test_what_a_suggested_recipe_of_several_files_does_not_read_or_know_is_told(tmp_path):
    folder = runs(tmp_path / "runs", "run") / "run"
    episodes(folder)
    text = suggest(folder)
    assert "# doubt: episode of imu.csv seems to tell episodes apart, and is not read" in text
    local(folder)
    (folder / "gps.csv").rename(folder / "wheel.csv")
    assert "# doubt: wheel.csv: the times tell no zone that is known" in suggest(folder)


def test_a_recipe_for_one_file_is_for_each_file_of_a_folder(tmp_path):
    folder = runs(tmp_path / "runs", "run") / "run"
    keys = '[clock]\ncolumn = "t"\n[streams.s]\nkind = "sensor"\ncolumns = { z = "az" }\nrate_hz = 10\n'
    recipe = write(tmp_path / "r.toml", HEAD + keys)
    report = ingest(folder, tmp_path / "log.h5", recipe=recipe, skip=True, progress=False)
    assert report.episodes == ("imu.csv",)


def test_logs_of_a_sensor_each_are_refused_together_with_what_joins_them(tmp_path):
    folder = runs(tmp_path / "runs", "run") / "run"
    logs = [ingest(folder / f"{name}.csv", tmp_path / f"{name}.h5", progress=False).path for name in ("imu", "gps")]
    with pytest.raises(
        LogFormatError, match=r"gps.h5 has other streams[\s\S]*ingest the sources[\s\S]*--suggest FOLDER"
    ):
        Log(logs)
    with pytest.raises(RecipeError, match=r"imu.h5 is a log already[\s\S]*ingest the sources of all into one log"):
        ingest(logs, tmp_path / "both.h5", progress=False)


def test_a_file_does_not_inherit_what_another_files_clock_has(tmp_path):
    times = [(int(t), round(t % 1 * 1e9), t) for t in UNIX + np.arange(100) / 10]
    files = {
        "a.csv": ("sec,nanosec,ax,ay,az", [(sec, ns, np.sin(t), 0, 9.8) for sec, ns, t in times]),
        "b.csv": ("t,lat,lon", [(t, 45 + t % 1e4 / 1e6, 7) for _, _, t in times]),
    }
    log = Log(ingest(put(tmp_path / "run", files), tmp_path / "log.h5", progress=False).path)
    assert log.episode_names == ("run",)
    np.testing.assert_allclose(log.episodes[0].streams["accelerometer"].time, np.arange(100) / 10, atol=1e-4)
