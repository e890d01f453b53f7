"""From sources to one log, whatever the format: detection, parts, the union of streams, processes, being killed."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from worldmodel.errors import LogFormatError, RecipeError, WorldModelError
from worldmodel.logs.health.examination import examined
from worldmodel.logs.ingest import importer as registry
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.conversion import Parts, convert_all
from worldmodel.logs.ingest.importer import Options, importers, needed
from worldmodel.logs.ingest.joining import join
from worldmodel.logs.ingest.notes import in_lines
from worldmodel.logs.ingest.recording import Recording, exact
from worldmodel.logs.ingest.sources import find_sources
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Samples, StreamSpec

GYRO = StreamSpec("gyro", "sensor", ("z",), ("rad/s",), 100.0)
FILM = (4, 6)


def read(path, options):
    """`three 10 gyro accelerometer`: an episode of ten samples of both, which begin at 3."""
    for line in path.read_text().splitlines():
        start, count, *names = line.split()
        recording = Recording(f"{path.name} {start}", about={"description": "a made-up machine"})
        values = np.arange(int(start), int(start) + int(count), dtype=float)
        for name in names:
            unit = "deg/s" if name == "degrees" else "rad/s"
            spec = StreamSpec("gyro" if name == "degrees" else name, "sensor", ("z",), (unit,), 100.0)
            recording.add(spec, values / 100, values[:, None])
        options.advance(len(line) + 1)
        yield recording


@pytest.fixture
def made_up(monkeypatch):
    ours = SimpleNamespace(
        claims=lambda path: path.suffix == ".ours",
        read=read,
        parts=lambda path: sorted(path.parent.glob(f"{path.stem}*.ours")),
    )
    monkeypatch.setitem(importers(), "ours", ours)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.ours").write_text(text)
    return folder


@pytest.mark.usefixtures("made_up")
class TestSources:
    def test_a_folder_stands_for_all_that_is_in_it(self, tmp_path):
        (tmp_path / "deeper").mkdir()
        write(tmp_path / "deeper", a="0 1 gyro")
        write(tmp_path, b="0 1 gyro")
        (tmp_path / "notes.doc").write_text("")
        (tmp_path / ".hidden.ours").write_text("")
        found = find_sources(tmp_path)
        assert [(s.path.name, s.format) for s in found.sources] == [("b.ours", "ours"), ("a.ours", "ours")]
        assert [path.name for path in found.unclaimed] == ["notes.doc"]

    def test_files_of_one_recording_are_one_source(self, tmp_path):
        write(tmp_path, a="0 1 gyro", ab="1 1 gyro", c="2 1 gyro")
        names = [(s.path.name, len(s.parts)) for s in find_sources([tmp_path / "a.ours", tmp_path]).sources]
        assert names == [("a.ours", 2), ("c.ours", 1)]

    def test_links_that_lead_back_or_nowhere_are_passed_over(self, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        write(folder, a="0 1 gyro")
        for name, target in (("me", "me"), ("up", ".."), ("here", "."), ("nowhere", "gone")):
            (folder / name).symlink_to(target)
        assert [source.path.name for source in find_sources(folder).sources] == ["a.ours"]

    def test_what_nobody_claims_is_said(self, tmp_path):
        write(tmp_path, a="0 1 gyro")
        (tmp_path / "notes.doc").write_text("")
        report = ingest(tmp_path, tmp_path / "log.h5", progress=False)
        assert report.notes == ("left out, as no format claims them: notes.doc",)

    def test_an_unknown_format_names_those_that_are_known(self, tmp_path):
        with pytest.raises(RecipeError, match=r"no format 'theirs'[\s\S]*ours"):
            ingest(write(tmp_path, a="0 1 gyro"), tmp_path / "log.h5", format="theirs")


def test_a_package_brings_an_importer(monkeypatch):
    """By an entry point, and is asked before our own."""
    point = EntryPoint("theirs", f"{__name__}:theirs", registry.ENTRY_POINTS)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.ENTRY_POINTS else [])
    found = importers.__wrapped__()
    assert next(iter(found)) == "theirs"
    assert found["theirs"] is theirs


theirs = SimpleNamespace(claims=lambda path: False, read=read)


def test_a_library_that_is_missing_gives_the_line_that_installs_it():
    with pytest.raises(RecipeError, match=r"pip install 'worldmodel-toolkit\[ros\]'"):
        needed("no_such_library", "ros")


@pytest.mark.usefixtures("made_up")
class TestUnion:
    def test_an_episode_may_lack_streams(self, tmp_path):
        write(tmp_path, a="0 3 gyro\n3 2 accelerometer", b="5 4 gyro odometer")
        report = ingest(tmp_path, tmp_path / "log.h5", progress=False)
        log = Log(tmp_path / "log.h5")
        lengths = [{name: len(stream) for name, stream in e.streams.items()} for e in log.episodes]
        assert lengths == [
            {"accelerometer": 0, "gyro": 3, "odometer": 0},
            {"accelerometer": 2, "gyro": 0, "odometer": 0},
            {"accelerometer": 0, "gyro": 4, "odometer": 4},
        ]
        np.testing.assert_array_equal(log.episodes[2].streams["odometer"].data[:, 0], [5, 6, 7, 8])
        assert report.notes == (
            "gyro: 1 of 3 episodes have none of it",
            "accelerometer: 2 of 3 episodes have none of it",
            "odometer: 2 of 3 episodes have none of it",
        )
        assert log.about == {"description": "a made-up machine", "sources": ["a.ours", "b.ours"]}

    @pytest.mark.parametrize("folder", ["one source", "two sources"])
    def test_units_become_those_of_the_first(self, tmp_path, folder):
        files = {"a": "0 1 gyro\n90 1 degrees"} if folder == "one source" else {"a": "0 1 gyro", "b": "90 1 degrees"}
        ingest(write(tmp_path, **files), tmp_path / "log.h5", progress=False)
        log = Log(tmp_path / "log.h5")
        np.testing.assert_allclose(log.episodes[1].streams["gyro"].data, [[np.pi / 2]], 1e-6)

    def test_an_ingest_with_nothing_in_it_is_an_error(self, tmp_path):
        with pytest.raises(RecipeError, match=r"a\.ours holds no recording"):
            ingest(write(tmp_path, a=""), tmp_path / "log.h5", progress=False)
        with pytest.raises(RecipeError, match=r"a\.ours 0 has no samples"):
            ingest(write(tmp_path, a="0 0 gyro"), tmp_path / "log.h5", progress=False)
        assert [path.name for path in tmp_path.iterdir()] == ["a.ours"]


def test_a_film_goes_through_a_file(tmp_path):
    pictures = np.arange(5 * 4 * 6 * 3, dtype=np.uint8).reshape(5, *FILM, 3)
    recording = Recording("a")
    recording.add_film("camera", zip([0.0, 0.1, 0.1, 0.2, 0.3], pictures, strict=True), FILM, tmp_path)
    assert isinstance(recording.samples["camera"].data, np.memmap)
    (done,) = examined(recording)  # drops the frame whose time was there before
    np.testing.assert_array_equal(done.samples["camera"].data, pictures[[0, 1, 3, 4]])
    assert [finding.count for finding in done.findings if finding.check == "clock: repeats"] == [1]
    assert list(tmp_path.iterdir()) == []


TABLES = {f"t{i}.csv": "t,v\n" + "".join(f"{row / 100},{row * (i + 1)}\n" for row in range(300)) for i in range(4)}
RECIPE = """
format = "worldmodel-recipe"
version = 1
[clock]
column = "t"
[streams.wheel]
kind = "sensor"
columns = { speed = "v" }
rate_hz = 100
"""


@pytest.fixture
def tables(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in TABLES.items():
        (folder / name).write_text(text)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return folder


def content(path: Path) -> str:
    """A hash of all that a log holds, whatever the order of its bytes."""
    digest = hashlib.sha256()

    def add(name: str, item: h5py.Group | h5py.Dataset) -> None:
        digest.update(f"{name} {sorted((key, repr(value)) for key, value in item.attrs.items())}".encode())
        if isinstance(item, h5py.Dataset):
            digest.update(repr(item[()].tolist()).encode())

    with h5py.File(path) as file:
        add("/", file["/"])
        file.visititems(add)
    return digest.hexdigest()


def test_processes_make_the_same_log(tables, tmp_path):
    for workers in (1, 2):
        options = {"recipe": tmp_path / "recipe.toml", "workers": workers, "progress": False}
        ingest(tables, tmp_path / f"{workers}.h5", **options)
    assert content(tmp_path / "1.h5") == content(tmp_path / "2.h5")


@pytest.mark.parametrize("workers", [1, 2])
def test_many_small_steps_are_shown_together_and_all_of_them(tmp_path, workers):
    (tmp_path / "logs").mkdir()
    for name in "ab":  # a reader of CAN advances line by line
        lines = "".join(f"({i / 100:.6f}) can0 123#{i % 256:02x}\n" for i in range(3000))
        (tmp_path / "logs" / f"{name}.log").write_text(lines)
    (tmp_path / "a.dbc").write_text('VERSION ""\nBO_ 291 A: 8 X\n SG_ a : 0|8@1+ (1,0) [0|0] "" X\n')
    found = find_sources(tmp_path / "logs").sources
    steps: list[int] = []
    options = Options(dbc=(tmp_path / "a.dbc",))
    jobs = [(source, tmp_path / f"{i}.h5") for i, source in enumerate(found)]
    assert len(list(convert_all(jobs, options, workers, None, steps.append, print, {}))) == 2
    assert sum(steps) == sum(source.bytes for source in found)
    assert len(steps) < 1000


def test_an_error_in_a_process_reaches_the_user(tables, tmp_path):
    (tables / "t2.csv").write_text("t,other\n0,1\n")
    with pytest.raises(RecipeError, match=r"t2\.csv lacks columns"):
        ingest(tables, tmp_path / "log.h5", recipe=tmp_path / "recipe.toml", workers=2, progress=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_refused_is_left_out_where_that_is_asked_for(tables, tmp_path, workers):
    (tables / "t2.csv").write_text("t,other\n0,1\n")
    options = {"recipe": tmp_path / "recipe.toml", "workers": workers, "progress": False}
    report = ingest(tables, tmp_path / "log.h5", skip=True, **options)
    assert report.episodes == ("t0.csv", "t1.csv", "t3.csv")
    (line,) = [note for note in report.notes if "left out" in note]
    assert "t2.csv lacks columns" in line
    with pytest.raises(RecipeError, match=r"t2\.csv lacks columns") as refused:
        ingest(tables, tmp_path / "no.h5", **options)
    assert "--skip" in refused.value.__notes__[0]
    with pytest.raises(RecipeError, match=r"t2\.csv lacks columns"):
        ingest(tables / "t2.csv", tmp_path / "no.h5", skip=True, **options)


def test_a_rate_is_that_of_the_longest_recording(tmp_path, made_up):
    def fast_at_first(path, options):
        for number, recording in enumerate(read(path, options)):
            recording.specs["gyro"] = dataclasses.replace(GYRO, rate_hz=100.0 if number == 1 else 120.0)
            yield recording

    importers()["ours"].read = fast_at_first
    ingest(write(tmp_path, a="0 2 gyro\n0 50 gyro\n0 3 gyro"), tmp_path / "log.h5", progress=False)
    assert Log(tmp_path / "log.h5").streams["gyro"].rate_hz == 100


KILLED = """
import sys, time
from pathlib import Path
from worldmodel.logs.ingest import conversion, ingest
whole = conversion.convert
def slowly(source, options, part):
    gathered = whole(source, options, part)
    print(source.path.name, flush=True)
    if source.path.name == "t2.csv": time.sleep(60)
    return gathered
conversion.convert = slowly
ingest(sys.argv[1], sys.argv[2], recipe=sys.argv[3], progress=False)
"""


def test_what_a_killed_ingest_has_finished_is_not_done_again(tables, tmp_path):
    recipe, out = tmp_path / "recipe.toml", tmp_path / "killed.h5"
    command = [sys.executable, "-c", KILLED, str(tables), str(out), str(recipe)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(3)] == ["t0.csv\n", "t1.csv\n", "t2.csv\n"]
        os.kill(process.pid, signal.SIGKILL)
    assert not out.exists()
    parts = sorted(Parts(out).folder.glob("*.h5"))
    assert len(parts) == 3
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert again.stdout.split() == ["t3.csv"]
    ingest(tables, tmp_path / "straight.h5", recipe=recipe, progress=False)
    assert content(out) == content(tmp_path / "straight.h5")
    assert not Parts(out).folder.exists()


SCRIPT = """
import sys
import worldmodel as wm
open("runs.txt", "a").write("ran\\n")
wm.ingest(sys.argv[1:], "log.h5", recipe="recipe.toml", workers=2, progress=False)
"""


def test_a_script_without_a_guard_runs_once_though_processes_read(tables, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", str(tables)]
    found = os.environ | {"PYTHONPATH": os.getcwd()}
    subprocess.run(command, cwd=tmp_path, timeout=120, check=True, capture_output=True, env=found)
    assert (tmp_path / "runs.txt").read_text() == "ran\n"
    ingest(tables, tmp_path / "straight.h5", recipe=tmp_path / "recipe.toml", progress=False)
    assert content(tmp_path / "log.h5") == content(tmp_path / "straight.h5")


def test_two_at_once_do_not_write_one_log(tables, tmp_path):
    out = tmp_path / "log.h5"
    with Parts(out), pytest.raises(WorldModelError, match=r"Another ingest writes .*log\.h5"):
        ingest(tables, out, recipe=tmp_path / "recipe.toml", progress=False)
    ingest(tables, out, recipe=tmp_path / "recipe.toml", progress=False)
    assert not Parts(out).folder.exists()


def test_a_source_that_changed_is_read_again(tables, tmp_path):
    source, parts = find_sources(tables, "tables").sources[0], Parts(tmp_path / "log.h5")
    first = parts.of(source, Options(recipe=tmp_path / "recipe.toml"))
    assert parts.of(source, Options(recipe=tmp_path / "recipe.toml")) == first
    assert parts.of(source, Options(recipe=tmp_path / "recipe.toml", size=(8, 8))) != first
    time.sleep(0.01)
    (tables / "t0.csv").write_text("t,v\n0,1\n")
    assert parts.of(source, Options(recipe=tmp_path / "recipe.toml")) != first
    second = parts.of(source, Options(recipe=tmp_path / "recipe.toml"))
    (tmp_path / "recipe.toml").write_text(RECIPE.replace("100", "50"))
    assert parts.of(source, Options(recipe=tmp_path / "recipe.toml")) != second


def test_what_is_larger_than_a_shard_is_a_folder_that_reads_as_one_log(tables, tmp_path):
    recipe = tmp_path / "recipe.toml"
    (tables / "t1.csv").write_text("t,v\n0,7\n0.01,8\n")
    parts = []
    for source in sorted(tables.glob("*.csv")):
        parts.append(tmp_path / f"{source.stem}.h5")
        ingest(source, parts[-1], recipe=recipe, progress=False)
    assembly = join(parts, tmp_path / "whole.h5", {}, force=False)
    sharded = join(parts, tmp_path / "shards", {}, force=False, shard_bytes=2 * parts[0].stat().st_size)
    assert [path.name for path in sorted((tmp_path / "shards").iterdir())] == ["shard-0000.h5", "shard-0001.h5"]
    whole, shards = Log(tmp_path / "whole.h5"), Log(tmp_path / "shards")
    assert whole.episode_sha256 == shards.episode_sha256
    assert sharded.episodes == assembly.episodes == [f"t{i}.csv" for i in range(4)]


def test_other_machines_are_refused_by_name(tmp_path, made_up):
    def other(path, options):
        for recording in read(path, options):
            if path.stem == "b":
                spec = StreamSpec("gyro", "sensor", ("x", "y"), ("rad/s",) * 2, 100.0)
                recording.add(spec, np.zeros(1), np.zeros((1, 2)))
            yield recording

    importers()["ours"].read = other
    with pytest.raises(LogFormatError, match=r"b\.ours 0 has other streams than a\.ours 0"):
        ingest(write(tmp_path, a="0 1 gyro", b="0 1 gyro"), tmp_path / "log.h5", progress=False)


def log_of(path, columns, value, kind="action", unit="rad/s"):
    spec = StreamSpec("outputs", kind, columns, (unit,) * len(columns), 100.0)
    with LogWriter(path, [spec]) as log:
        log.append({"outputs": Samples(np.arange(2) / 100, np.full((2, len(columns)), value))}, name=path.stem)
    return path


def test_a_stream_has_the_columns_of_the_recording_with_most(tmp_path):
    """Those of another unit become the first's too."""
    narrow = log_of(tmp_path / "narrow.h5", ("a", "c"), 180.0, unit="deg/s")
    wide = log_of(tmp_path / "wide.h5", ("a", "b", "c"), 2.0)
    for order in ([narrow, wide], [wide, narrow]):
        assembly = join(order, tmp_path / "log.h5", {}, force=True)
        with Log(tmp_path / "log.h5") as log:
            assert log.streams["outputs"].columns == ("a", "b", "c")
            there = {episode.name: episode.streams["outputs"].data[0] for episode in log.episodes}
        np.testing.assert_allclose(there["narrow"], [np.pi, np.nan, np.pi], rtol=1e-6)
        np.testing.assert_allclose(there["wide"], [2, 2, 2], rtol=1e-6)
        assert list(assembly.missing()) == ["outputs: 1 of 2 episodes lack b, NaN there"]


@pytest.mark.parametrize(("one", "other"), [(("a", "b"), ("b", "c")), (("0", "1"), ("0", "1", "2"))])
def test_columns_of_other_machines_do_not_become_one_stream(tmp_path, one, other):
    parts = [log_of(tmp_path / "one.h5", one, 1.0), log_of(tmp_path / "other.h5", other, 1.0)]
    with pytest.raises(LogFormatError, match="other has other streams than one"):
        join(parts, tmp_path / "log.h5", {}, force=False)


def test_notes_that_are_nearly_the_same_are_one_line():
    notes = ["gyro: none", *(f"f{i}: gps: {i} of 9 rows left out" for i in range(6)), "f1: other", "f2: gps: none"]
    assert in_lines(notes, [f"f{i}" for i in range(8)]) == [
        "gyro: none",
        "f0: gps: 0 of 9 rows left out; the like in 6 of 8 episodes, also f1, f2, f3 and others",
        "f1: other",
        "f2: gps: none",
    ]


def test_the_end_of_a_long_list_is_counted():
    names = [f"estimator_innovations_{i}" for i in range(40)]
    (line,) = in_lines([f"f0: messages that no stream is made of: {', '.join(names)}"], ["f0"])
    assert line == f"f0: messages that no stream is made of: {', '.join(names[:12])} and 28 more"


def test_stamps_that_float32_has_rounded_are_whole_periods_again():
    """Such as do not follow the rate stay as they are, as do those that would be one."""
    told = np.arange(3000) / 30
    np.testing.assert_array_equal(exact(told.astype(np.float32), 30.0), told)
    for other in (told + 0.001, told * 1.001, np.array([0.0, 1e-9])):
        np.testing.assert_array_equal(exact(other, 30.0), other)


@pytest.mark.parametrize(("shift", "told"), [(0, True), (0.3, True), (5, False)])
def test_recordings_of_one_time_that_share_no_stream_are_told(tmp_path, shift, told):
    """Sensors that wrote a file each, which become an episode each."""
    for name, start in (("imu", 1_700_000_000), ("car", 1_700_000_000 + shift)):
        column = {"imu": "gyro_x,gyro_y,gyro_z", "car": "speed,throttle,gear"}[name]
        rows = "".join(f"{start + i / 10:.1f},{np.sin(i):.4f},{i},{i % 7}\n" for i in range(20))
        (tmp_path / f"{name}.csv").write_text(f"timestamp,{column}\n{rows}")
    report = ingest([tmp_path / "imu.csv", tmp_path / "car.csv"], tmp_path / "log.h5", progress=False)
    assert any("recorded at the same time, and share no stream" in note for note in report.notes) == told


@pytest.mark.parametrize(
    ("name", "words"),
    [("LOG1.BBL", "blackbox_decode"), ("lap.xrk", "Race Studio"), ("a.pkl", "pickles"), ("a.odd", "--format")],
)
def test_what_is_not_read_is_told_what_makes_a_known_format_of_it(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"H Product:Blackbox flight data recorder\n" + bytes(100))
    with pytest.raises(RecipeError, match=words):
        ingest(tmp_path / name, tmp_path / "log.h5", progress=False)
