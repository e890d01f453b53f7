"""What `imagine_to` writes: the trajectory as a log, a plot, and a film."""

import numpy as np
import pytest

from tests.oscillator import ORIGIN, SPECS, episode, write_log
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.geo import geodetic_to_enu
from worldmodel.imagine import Imaginer, Trajectory, imagine, imagine_to
from worldmodel.imagine import output as module
from worldmodel.imagine.output import film, plot_trajectory, write_trajectory
from worldmodel.logs.reader import Log
from worldmodel.logs.video import read_frames
from worldmodel.types import Samples

CAMERA = next(s for s in SPECS if s.kind == "video")
OPTIONS = {"episode": 1, "at_s": 2.0, "members": 3, "seed": 2}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "a.h5", 2)


@pytest.fixture(scope="module")
def run(path):
    return untrained_run(Log(path), dt=0.05, context=20, horizon=12)


@pytest.fixture(scope="module")
def imaginer(run):
    return Imaginer(run.model, OPTIONS["seed"])


@pytest.fixture(autouse=True)
def ready(run, imaginer, monkeypatch):
    """`runs/here` is a run, and compiled."""
    monkeypatch.setattr("worldmodel.imagine.trajectory.load_run", lambda folder: {"runs/here": run}[str(folder)])
    monkeypatch.setattr("worldmodel.imagine.trajectory.Imaginer", lambda model, seed: imaginer)


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def made_up(film_of=True):
    """A trajectory by hand: frames logged from 0.6 to 1.3 s, imagined from 1.1 to 1.4 s by two members."""
    rng = np.random.default_rng(0)
    streams = {s.name: s for s in SPECS if film_of or s.kind != "video"}
    logged = {n: Samples(t[t <= 1.3 + 1e-9], d[t <= 1.3 + 1e-9]) for n, (t, d) in episode(0).items() if n in streams}
    time = 1 + np.arange(1, 5) / 10
    imagined = {n: Samples(time, rng.normal(size=(4, 2, *s.sample_shape))) for n, s in streams.items()}
    imagined["gps"] = Samples(time, ORIGIN + rng.normal(size=(4, 2, 3)) * (1e-5, 1e-5, 1))
    if film_of:
        frames = rng.integers(0, 256, size=(12, 16, 16, 3)).astype(np.uint8)
        logged["camera"] = Samples(0.6 + np.arange(8) / 10, frames[:8])
        imagined["camera"] = Samples(time, rng.integers(0, 256, size=(4, 2, 16, 16, 3)).astype(np.uint8))
    return Trajectory(1.0, streams, imagined, logged, 1_700_000_000.0)


def test_the_trajectory_is_a_log_with_a_member_axis(path, tmp_path):
    files = imagine_to("runs/here", path, tmp_path / "out", **OPTIONS)
    assert [f.name for f in files] == ["camera.webm", "trajectory.h5", "trajectory.png"] == names(tmp_path / "out")
    trajectory = imagine("runs/here", path, **OPTIONS)
    log = Log(tmp_path / "out" / "trajectory.h5")
    assert log.about == {"source": "imagined", "start_s": pytest.approx(2.0)}
    assert repr(log.streams) == repr(Log(path).streams)  # unknown noise is NaN, which equals nothing
    (written,) = log.episodes
    for name, (time, data) in trajectory.imagined.items():
        stream = written.streams[name]
        assert stream.data.shape == (len(time), 3, *log.streams[name].sample_shape)
        np.testing.assert_array_equal(stream.time, time)
        np.testing.assert_array_equal(stream.data, data.astype(stream.data.dtype))


def test_the_written_positions_and_angles_are_those_of_the_machine(path, tmp_path):
    write_trajectory(imagine("runs/here", path, **OPTIONS), tmp_path / "t.h5")
    streams = Log(tmp_path / "t.h5").episodes[0].streams
    recorded = Log(path).episodes[1].streams["gps"]
    away = geodetic_to_enu(streams["gps"].data.reshape(-1, 3), recorded.data[recorded.time <= 2.0][-1])
    assert np.abs(away).max() < 200
    assert np.unique(streams["gps"].data[:, :, 0]).size > 6  # float64: a metre is 1e-5 degrees
    assert np.abs(streams["phase"].data).max() <= np.float32(np.pi)


def test_the_film_shows_log_dream_and_difference_side_by_side():
    trajectory = made_up()
    frames = film(trajectory, "camera")
    assert frames.shape == (5 + 4, 16 * 4, 3 * 16 * 4, 3)
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames.reshape(9, 16, 4, 48, 4, 3)[:, :, 1, :, 2], frames[:, ::4, ::4])  # enlarged
    left, middle, right = np.split(frames[:, ::4, ::4].astype(int), 3, axis=2)
    logged, dreamt = (source["camera"].data.astype(int) for source in (trajectory.logged, trajectory.imagined))
    np.testing.assert_array_equal(left[:8], logged)
    np.testing.assert_array_equal(middle[:5], logged[:5] // 2)  # the context, dimmed
    np.testing.assert_array_equal(middle[5:], dreamt[:, 0])
    assert (right[:5] == 0).all()
    np.testing.assert_array_equal(right[5:8], np.abs(logged[5:] - dreamt[:3, 0]))
    assert len(np.unique(left[8])) == 1  # after the log's end there is no truth to show,
    assert (right[8] == 0).all()  # and nothing to differ from


def test_the_film_of_a_log_without_frames_shows_the_dream_alone():
    trajectory = made_up()
    trajectory.logged["camera"] = Samples(np.zeros(0), np.zeros((0, 16, 16, 3), np.uint8))
    frames = film(trajectory, "camera")
    assert len(frames) == 4
    np.testing.assert_array_equal(frames[:, ::4, 64:128:4], trajectory.imagined["camera"].data[:, 0])


def test_the_video_file_holds_the_film(path, tmp_path):
    imagine_to("runs/here", path, tmp_path / "out", **OPTIONS)
    expected = film(imagine("runs/here", path, **OPTIONS), "camera").astype(float)
    read = list(read_frames(tmp_path / "out" / "camera.webm", (64, 192)))
    assert len(read) == len(expected) > 10
    np.testing.assert_allclose([t for t, _ in read], np.arange(len(read)) / 10, atol=0.02)
    difference = np.stack([frame for _, frame in read]) - expected
    assert np.abs(difference).mean() < 12  # VP9 loses some
    for panel in range(2):
        part = slice(64 * panel, 64 * panel + 64)
        columns = np.stack([frame for _, frame in read])[:, :, part].mean((1, 3))
        same = np.corrcoef(columns.ravel(), expected[:, :, part].mean((1, 3)).ravel())[0, 1]
        assert same > 0.9


def test_the_plot_has_a_row_a_column_and_the_start_in_each(tmp_path, monkeypatch):
    import matplotlib.axes

    rows, starts = [], []
    label, line = matplotlib.axes.Axes.set_ylabel, matplotlib.axes.Axes.axvline
    monkeypatch.setattr(
        matplotlib.axes.Axes, "set_ylabel", lambda self, text, **k: (rows.append(text), label(self, text, **k))
    )
    monkeypatch.setattr(matplotlib.axes.Axes, "axvline", lambda self, x, **k: (starts.append(x), line(self, x, **k)))
    plot_trajectory(made_up(), tmp_path / "plot.png")
    units = [text.split("\n") for text in rows]
    assert ["position", "x [m]"] in units
    assert {"east [m]", "north [m]", "up [m]"} <= {unit for _, unit in units}
    assert len(rows) == 7
    assert starts == [1.0] * 7
    assert matplotlib.image.imread(tmp_path / "plot.png").std() > 0.05


def test_without_video_there_is_no_film(path, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "imagine", lambda *a, **k: made_up(film_of=False))
    imagine_to("runs/here", path, tmp_path / "out", **OPTIONS)
    assert names(tmp_path / "out") == ["trajectory.h5", "trajectory.png"]


@pytest.mark.parametrize("stage", ["imagine", "write_trajectory", "plot_trajectory", "write_video"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_leaves_nothing_half_written(path, tmp_path, monkeypatch, stage, existing):
    monkeypatch.setattr(module, "imagine", lambda *a, **k: made_up())

    def fail(*_, **__):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(module, stage, fail)
    if existing:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "trajectory.h5").write_text("mine")
    with pytest.raises(RuntimeError, match="in the middle"):
        imagine_to("runs/here", path, tmp_path / "out", force=existing, **OPTIONS)
    assert names(tmp_path) == (["out"] if existing else [])
    assert not existing or names(tmp_path / "out") == ["trajectory.h5"]


def test_an_output_that_exists_is_refused_without_force(path, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "imagine", lambda *a, **k: made_up())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trajectory.h5").write_text("mine")
    with pytest.raises(WorldModelError, match="exists already"):
        imagine_to("runs/here", path, tmp_path / "out", **OPTIONS)
    assert names(tmp_path / "out") == ["trajectory.h5"]
    imagine_to("runs/here", path, tmp_path / "out", force=True, **OPTIONS)
    assert names(tmp_path / "out") == ["camera.webm", "trajectory.h5", "trajectory.png"]
