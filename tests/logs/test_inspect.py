"""What `inspect` says of a log made by hand, against numbers counted by hand."""

import io
import math

import matplotlib.axes
import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from worldmodel.errors import WorldModelError
from worldmodel.logs.inspect import print_summary, summarise
from worldmodel.logs.plot import plot_log
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec

SPECS = (
    StreamSpec("imu", "sensor", ("a", "b"), ("m/s^2", "rad/s"), 12.5),
    StreamSpec("once", "sensor", ("x",), ("m",), 1.0),
    StreamSpec("never", "sensor", ("y",), ("m",), 1.0),
    StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 1.0),
    StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 2.0, size=(8, 8)),
    StreamSpec("drive", "action", ("u",), ("V",), 2.0),
)
FRAMES = np.zeros((2, 8, 8, 3), np.uint8)
FRAMES[0, 3, 4], FRAMES[1, 0, 0] = (10, 200, 3), (250, 20, 3)
FIRST = {  # one gap, from 0.3 to 1.0; 0.2 s between samples is no gap
    "imu": Samples(
        np.array([0, 0.1, 0.2, 0.3, 1.0, 1.2]),
        np.array([[1, -1], [np.nan, 2], [3, np.inf], [-4, -np.inf], [5, 7], [np.nan, 0.5]]),
    ),
    "once": Samples(np.array([0.5]), np.array([[np.nan]])),
    "gps": Samples(np.array([0.0, 1.0]), np.array([[48.1, 11.6, 500], [48.1001, 11.6002, 502.5]])),
    "camera": Samples(np.array([0.0, 0.5]), FRAMES),
    "drive": Samples(np.array([0.0, 0.5]), np.array([[-2.0], [2.0]])),
}
SECOND = {"imu": Samples(3 + np.array([0, 0.1, 0.2, 0.3, 2.3]), np.array([[0, 0], [1, 1], [2, 2], [3, 3], [4, 9]]))}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "made.h5"
    with LogWriter(path, SPECS, about={"source": "by hand"}) as writer:
        writer.append(FIRST, name="first", origin_utc=1_700_000_000.0)
        writer.append(SECOND, name="second", duration_s=5.5)
    return Log(path)


def test_streams_are_counted_over_all_episodes(log):
    streams = {s.spec.name: s for s in summarise(log).streams}
    assert streams.keys() == {s.name for s in SPECS}
    assert {n: s.samples for n, s in streams.items()} == {
        "imu": 11, "once": 0, "never": 0, "gps": 2, "camera": 2, "drive": 2,
    }  # fmt: skip
    assert streams["imu"].measured_rate_hz == pytest.approx(10)
    assert streams["camera"].measured_rate_hz == pytest.approx(2)
    assert math.isnan(streams["once"].measured_rate_hz)
    assert math.isnan(streams["never"].measured_rate_hz)


def test_rows_of_a_wide_table_that_hold_none_of_a_stream_are_no_samples_of_it(tmp_path):
    imu, gps = (StreamSpec(name, "sensor", ("x",), ("m",), rate) for name, rate in (("imu", 100.0), ("gps", 10.0)))
    time, data = np.arange(101) / 100, np.arange(101.0)[:, None]
    slow = np.where(np.arange(101) % 10 == 0, data[:, 0], np.nan)[:, None]
    with LogWriter(tmp_path / "wide.h5", [imu, gps]) as writer:
        writer.append({"imu": Samples(time, data), "gps": Samples(time, slow)})
    streams = {s.spec.name: s for s in summarise(Log(tmp_path / "wide.h5")).streams}
    assert (streams["gps"].samples, streams["gps"].not_finite, streams["gps"].gaps) == (11, (0,), 0)
    assert streams["gps"].measured_rate_hz == pytest.approx(10)
    assert streams["imu"].measured_rate_hz == pytest.approx(100)


def test_gaps_are_long_intervals_within_an_episode(log):
    streams = {s.spec.name: s for s in summarise(log).streams}
    assert (streams["imu"].gaps, streams["imu"].longest_gap_s) == (2, pytest.approx(2.0))
    assert all((s.gaps, s.longest_gap_s) == (0, 0) for n, s in streams.items() if n != "imu")


def test_ranges_are_of_finite_readings_and_others_are_counted(log):
    streams = {s.spec.name: s for s in summarise(log).streams}
    imu = streams["imu"]
    assert (imu.low, imu.high, imu.not_finite) == ((-4, -1), (5, 9), (2, 2))
    assert streams["once"].not_finite == (0,)  # its one row is no sample of it
    assert all(math.isnan(v) for v in (*streams["once"].low, *streams["never"].low, *streams["never"].high))
    camera = streams["camera"]
    assert (camera.low, camera.high, camera.not_finite) == ((0, 0, 0), (250, 200, 3), (0, 0, 0))
    assert streams["gps"].high == pytest.approx((48.1001, 11.6002, 502.5), abs=1e-9)


def test_ranges_do_not_depend_on_how_many_rows_are_read_at_once(log, monkeypatch):
    whole = summarise(log).streams
    monkeypatch.setattr("worldmodel.logs.inspect._BLOCK", 1)
    for one, other in zip(whole, summarise(log).streams, strict=True):
        assert str(one) == str(other)  # NaN is not equal to itself, but reads the same


def test_episodes_have_their_length_origin_and_samples(log):
    summary = summarise(log)
    first, second = summary.episodes
    assert (first.name, first.duration_s, first.origin_utc) == ("first", 1.2, 1_700_000_000.0)
    assert (second.name, second.duration_s) == ("second", 5.5)
    assert math.isnan(second.origin_utc)
    assert second.samples == {"imu": 5, "once": 0, "never": 0, "gps": 0, "camera": 0, "drive": 0}
    assert summary.duration_s == pytest.approx(6.7)
    assert summary.about == {"source": "by hand"}


def test_the_tables_say_the_same(log):
    console = Console(file=io.StringIO(), width=200)
    print_summary(log, console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["imu", "sensor", "2", "11", "12.5", "10", "2", "2.000"] in lines
    assert ["camera", "video", "8x8x3", "2", "2", "2", "0"] in lines
    assert ["imu", "a", "m/s^2", "-4", "5", "2"] in lines
    assert ["b", "rad/s", "-1", "9", "2"] in lines
    assert ["gps", "latitude", "deg", "48.1", "48.1001", "0"] in lines
    assert ["0", "first", "1.20", "2023-11-14", "22:13:20", "never,", "once"] in lines
    (second,) = [line for line in lines if line[:4] == ["1", "second", "5.50", "unknown"]]
    assert {name.rstrip(",") for name in second[4:]} == {"once", "never", "gps", "camera", "drive"}
    assert ["2", "episodes,", "6.7", "s", "in", "all"] in lines


def test_a_narrow_terminal_breaks_no_word(tmp_path):
    names = [f"relative_speed_{i}" for i in range(528, 532)]
    spec = StreamSpec("acceleration_command_of_the_front_axle", "sensor", tuple(names), ("m/s",) * 4, 10.0)
    data = -(10.0 ** np.arange(36).reshape(9, 4))
    with LogWriter(tmp_path / "log.h5", [spec], about={"sources": [f"drive_{i}.csv" for i in range(40)]}) as writer:
        writer.append({spec.name: Samples(np.arange(9) / 10, data)})
    console = Console(file=io.StringIO(), width=80)
    print_summary(Log(tmp_path / "log.h5"), console)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines[2:])
    assert [line.split()[-5] for line in lines if "m/s" in line] == names
    assert "  sources: drive_0.csv, drive_1.csv, drive_2.csv, drive_3.csv, drive_4.csv and 35 more" in lines[1]


def test_the_picture_shades_the_gaps_and_joins_no_line_over_them(log, tmp_path, monkeypatch):
    spans, lines = set(), []
    shade, draw = matplotlib.axes.Axes.axvspan, matplotlib.axes.Axes.plot
    monkeypatch.setattr(
        matplotlib.axes.Axes, "axvspan", lambda self, a, b, **k: (spans.add((a, b)), shade(self, a, b, **k))
    )
    monkeypatch.setattr(matplotlib.axes.Axes, "plot", lambda self, *a, **k: (lines.append((a, k)), draw(self, *a, **k)))
    assert plot_log(log, tmp_path / "log.png") == tmp_path / "log.png"
    image = matplotlib.image.imread(tmp_path / "log.png")
    assert image.std() > 0.05
    assert spans == {(0.3, 1.0)}
    (readings,) = [a[1] for a, k in lines if k.get("label") == "b"]
    np.testing.assert_array_equal(readings, [-1, 2, np.nan, np.nan, np.nan, 7, 0.5])


def test_no_legend_of_the_picture_covers_anything(tmp_path):
    radar = [f"{what}_{i}" for i in range(528, 542) for what in ("forward", "left", "relative_speed_of_target")]
    units = ("m", "m", "m/s") * 14
    specs = (
        StreamSpec("radar", "sensor", tuple(radar), units, 20.0),
        StreamSpec("arm", "sensor", tuple(f"right_shoulder_pitch_{i}" for i in range(8)), ("rad",) * 8, 20.0),
        StreamSpec("can", "action", tuple(f"signal_{i}" for i in range(120)), ("",) * 120, 20.0),
    )
    with LogWriter(tmp_path / "log.h5", specs) as writer:
        time = np.arange(40) / 20
        rng = np.random.default_rng(0)
        writer.append({s.name: Samples(time, rng.normal(size=(40, len(s.columns)))) for s in specs}, name="a")
    figure = Log(tmp_path / "log.h5").episodes[0].plot().figure
    figure.canvas.draw()
    every = [axis for part in figure.subfigs for axis in part.axes]
    boxes = [axis.get_window_extent() for axis in every]
    legends = [axis.get_legend().get_window_extent() for axis in every]
    for i, legend in enumerate(legends):
        assert legend.x1 <= figure.bbox.x1
        assert not any(legend.overlaps(box) for box in [*boxes, *legends[:i]])
    drawn = [line for axis in every for line in axis.lines]
    assert len(drawn) == 42 + 8 + 96  # of very many, those for which a picture has room, and it says so
    assert "the first 96 of 120 columns" in " ".join(axis.get_title("left") for axis in every)
    assert all(len({line.get_color() for line in axis.lines}) == len(axis.lines) for axis in every)


def test_an_episode_that_lacks_streams_is_drawn_too(log, tmp_path):
    plot_log(log, tmp_path / "log.png", episode=1)
    assert matplotlib.image.imread(tmp_path / "log.png").std() > 0.02


def test_a_picture_that_exists_is_refused_without_force(log, tmp_path):
    (tmp_path / "log.png").write_text("mine")
    with pytest.raises(WorldModelError, match="exists already"):
        plot_log(log, tmp_path / "log.png")
    assert (tmp_path / "log.png").read_text() == "mine"
    plot_log(log, tmp_path / "log.png", force=True)
    assert [p.name for p in tmp_path.iterdir()] == ["log.png"]
