"""What is done to recordings: nothing is lost without being counted, and what is written is read."""

import contextlib
import json
import warnings

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.logs.health.build import action, gps, noise, record, sensor
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs import Log, LogWriter
from worldmodel.logs.health.cutting import Picked
from worldmodel.logs.health.examination import examined
from worldmodel.logs.health.finding import FINDINGS, Finding, grouped, in_a_line
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.assembly import Assembly
from worldmodel.types import StreamSpec

RECIPE = """
format = "worldmodel-recipe"
version = 1
[clock]
column = "t"
[streams.wheel]
kind = "sensor"
columns = { speed = "v" }
rate_hz = 10
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wheel.toml").write_text(RECIPE)
    return tmp_path


def write(path, time, values):
    path.write_text("t,v\n" + "".join(f"{t},{v}\n" for t, v in zip(time, values, strict=True)))
    return path


def wheel(folder, name, time, seed=0):
    return write(folder / name, time, np.round(noise(len(time), seed=seed)[:, 0], 6))


stamps = st.one_of(
    st.floats(-1e6, 1e6), st.sampled_from([0.0, 0.1, 0.2, 1.0, 1e9, 1.78e9, float("nan"), float("inf"), -5.0, 1e300])
)
clocks = st.one_of(
    st.lists(stamps, min_size=1, max_size=30),
    st.lists(st.sampled_from([0.1, 0.1, 0.1, 0.0, -0.1, -5.0, 4000.0, 1e8]), min_size=1, max_size=40).map(
        lambda steps: list(np.cumsum(steps))
    ),
)
readings = st.one_of(
    st.floats(-1e3, 1e3), st.sampled_from([0.0, 9999.0, -1.0, float("nan"), float("inf"), -float("inf")])
)


@settings(max_examples=60, deadline=None)
@given(clocks, st.data())
def test_what_ingest_writes_the_reader_reads_and_every_row_is_kept_or_counted(tmp_path_factory, clock, data):
    values = data.draw(st.lists(readings, min_size=len(clock), max_size=len(clock)))
    other = sorted(t for t in clock if np.isfinite(t))[:: data.draw(st.integers(1, 3))]
    recording = record(
        (sensor("wheel", ["speed"], ["m/s"], 10.0), clock, values),
        (action("u", ["u"], rate_hz=10.0), other, np.arange(len(other), dtype=float)),
    )
    path = tmp_path_factory.mktemp("log") / "log.h5"
    try:
        with LogWriter(path, ()) as log:
            assembly = Assembly().into(log)
            for part in examined(recording):
                assembly.append(part)
    except WorldModelError:
        return  # refused, with a reason
    with Log(path) as log:
        read = [(s.time, s.data) for e in log.episodes for name, s in e.streams.items() if name == "wheel"]
    assert all((np.diff(time) > 0).all() for time, _ in read)
    left_out = sum(f.count for f in assembly.findings if (f.severity, f.stream) == ("mask", "wheel") and not f.columns)
    assert sum(len(time) for time, _ in read) + left_out == len(clock)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.sampled_from([0.0, 0.02, 0.5]), st.sampled_from([0, 3, 8]))
def test_no_recording_makes_a_check_fail(seed, count, spoilt, digits):
    random = np.random.default_rng(seed)
    time = np.sort(random.uniform(0, count / 10, count)) if seed % 2 else np.arange(count) / 10.0

    def data(columns):
        values = np.round(np.cumsum(random.normal(size=(count, columns)), 0) * 10.0 ** random.integers(-6, 6), digits)
        odd = random.choice([np.nan, np.inf, -np.inf, 0.0, -1.0, 9999.0, 1e30, 1e308], values.shape)
        return np.where(random.uniform(size=values.shape) < spoilt, odd, values)

    quaternion, xyz = ("qw", "qx", "qy", "qz"), ("x", "y", "z")
    specs = (
        gps(("speed", "m/s"), ("fix_type", ""), ("hdop", "")),
        StreamSpec("attitude", "orientation", quaternion, ("",) * 4, 10.0),
        StreamSpec("pose", "pose", (*xyz, *quaternion), ("m",) * 3 + ("",) * 4, 10.0),
        sensor("gyro", xyz, ["rad/s"] * 3, 10.0),
        sensor("joints", ("a", "roll"), ["rad"] * 2, 10.0, circular=(True, False)),
        action("targets", ("a", "roll"), ["rad"] * 2, 10.0),
        sensor("imu", (*quaternion, *xyz), [""] * 4 + ["m/s^2"] * 3, 10.0),
    )
    recording = record(*((spec, time, data(len(spec.columns))) for spec in specs))
    with contextlib.suppress(RecipeError), warnings.catch_warnings():
        warnings.simplefilter("error")
        examined(recording)


def test_what_was_found_is_kept_in_the_log_by_episode(folder):
    time = np.concatenate([np.arange(200) / 10, np.arange(200) / 10])
    wheel(folder, "two.csv", time)
    with open(folder / "wheel.toml", "a") as recipe:
        recipe.write("\n[cut]\nback_s = 1e6\n")  # or the table itself would be cut
    report = ingest([folder / "two.csv"], folder / "log.h5", recipe=folder / "wheel.toml", progress=False)
    assert report.episodes == ("two.csv part 1", "two.csv part 2")
    kept = [Finding.from_json(one) for one in Log(folder / "log.h5").about[FINDINGS]]
    assert kept == list(report.findings)
    assert [(f.episode, f.severity, f.count, f.row) for f in kept] == [("two.csv part 1", "cut", 1, 200)]
    assert "cut there, into 2 episodes" in report.lines[0]


def test_findings_of_several_files_are_one_line_a_kind(folder):
    for name in "abcdef":
        write(folder / f"{name}.csv", np.arange(100) / 10, np.full(100, ord(name)))
    report = ingest([folder], folder / "log.h5", recipe=folder / "wheel.toml", progress=False)
    assert len(report.findings) == 6
    (line,) = [line for line in report.lines if "never moves" in line]
    assert line.startswith("a.csv: wheel: speed (97) never moves")
    assert "in 6 of 6 episodes, also b.csv, c.csv, d.csv and others" in line


def test_a_line_tells_all_that_is_found_of_a_stream():
    data = np.column_stack([np.arange(100.0), np.arange(100.0) + 500])
    data[[7, 9], [0, 1]] = 9999, 65535
    (done,) = examined(record((sensor("range", "ab", ["m", "m"], 10.0), np.arange(100) / 10, data)))
    (line,) = (in_a_line(group, 1) for group in grouped(done.findings) if group[0].check == "values: sentinel")
    assert "a is 9999 in 1 of 100 rows" in line
    assert "; also b is 65535 in 1 of 100 rows" in line


def test_strict_makes_everything_that_is_found_an_error(folder):
    time = np.arange(300) / 10
    time[50] = time[49]
    wheel(folder, "a.csv", time)
    assert ingest([folder / "a.csv"], folder / "log.h5", recipe=folder / "wheel.toml", progress=False).findings
    with pytest.raises(RecipeError, match=r"a\.csv[\s\S]*1 of 300 rows repeat[\s\S]*--strict[\s\S]*do:"):
        ingest([folder / "a.csv"], folder / "b.h5", recipe=folder / "wheel.toml", strict=True, progress=False)
    assert not (folder / "b.h5").exists()


def test_copies_among_sources_are_told_and_refused_by_strict(folder):
    wheel(folder, "a.csv", np.arange(300) / 10)
    wheel(folder, "b.csv", np.arange(300) / 10)
    report = ingest([folder], folder / "log.h5", recipe=folder / "wheel.toml", progress=False)
    assert [f.check for f in report.findings] == ["copies: whole"]
    with pytest.raises(RecipeError, match="same recording"):
        ingest([folder], folder / "c.h5", recipe=folder / "wheel.toml", strict=True, progress=False)


def test_many_findings_fit_into_a_log(tmp_path):
    found = [Finding("clock: repeats", "wheel", "mask", "x" * 200, "y" * 100, 1, 2, 3.0).to_json()] * 1000
    with LogWriter(tmp_path / "log.h5", [sensor("wheel", ["v"], ["m/s"])], about={FINDINGS: found}) as log:
        log.append({"wheel": record((sensor("wheel", ["v"], ["m/s"]), [0.0], [1.0])).samples["wheel"]})
    assert Log(tmp_path / "log.h5").about[FINDINGS] == json.loads(json.dumps(found))


def test_a_film_is_cut_and_thinned_without_being_read():
    film = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=(2, 3))
    pictures = np.arange(20 * 18, dtype=np.uint8).reshape(20, 2, 3, 3)
    time = np.concatenate([np.arange(10), np.arange(10)]) / 10.0
    time[4] = time[3]
    first, second = examined(record((film, time, pictures)))
    assert isinstance(first.samples["camera"].data, Picked)
    np.testing.assert_array_equal(first.samples["camera"].data[0:9], pictures[[0, 1, 2, 3, 5, 6, 7, 8, 9]])
    np.testing.assert_array_equal(np.asarray(second.samples["camera"].data), pictures[10:])


def test_a_log_that_another_process_holds_is_called_that(tmp_path):
    with h5py.File(tmp_path / "log.h5", "w") as held:
        held["a"] = 1
        held.flush()
        with pytest.raises(WorldModelError, match="locked: another process is writing it"):
            _open_elsewhere(tmp_path / "log.h5")


def _open_elsewhere(path):
    """As `Log(path)` in another process: within one, HDF5 knows that it has the file open."""
    import subprocess
    import sys

    code = f"from worldmodel.logs import Log; Log({str(path)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    raise WorldModelError(done.stderr)
