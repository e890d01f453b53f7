"""What `imagine_to` writes: the trajectory as a log, a plot, and a film."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.oscillator import ORIGIN, SPECS, episode, write_log
from tests.untrained import untrained_run
from worldmodel.draw import draw_track, panel_title
from worldmodel.draw.film import enlarged
from worldmodel.errors import WorldModelError
from worldmodel.geo import geodetic_to_enu
from worldmodel.imagine import Session, Trajectory, imagine_to
from worldmodel.imagine import output as module
from worldmodel.imagine.output import trajectory_film, write_trajectory
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


@pytest.fixture(autouse=True)
def ready(run, monkeypatch):
    """Every session is the run's own, which is compiled once."""
    monkeypatch.setattr(module, "Session", lambda run: run.session)


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


def test_the_trajectory_is_a_log_with_a_member_axis(run, path, tmp_path):
    files = imagine_to(run, path, tmp_path / "out", **OPTIONS)
    assert [f.name for f in files] == ["camera.webm", "trajectory.h5", "trajectory.png"] == names(tmp_path / "out")
    trajectory = run.imagine(path, **OPTIONS)
    log = Log(tmp_path / "out" / "trajectory.h5")
    assert log.about == {"source": "imagined", "start_s": pytest.approx(2.0)}
    assert repr(log.streams) == repr(Log(path).streams)  # unknown noise is NaN, which equals nothing
    (written,) = log.episodes
    for name, (time, data) in trajectory.imagined.items():
        stream = written.streams[name]
        assert stream.data.shape == (len(time), 3, *log.streams[name].sample_shape)
        np.testing.assert_array_equal(stream.time, time)
        np.testing.assert_array_equal(stream.data, data.astype(stream.data.dtype))


def test_the_written_positions_and_angles_are_those_of_the_machine(run, path, tmp_path):
    write_trajectory(run.imagine(path, **OPTIONS), tmp_path / "t.h5")
    streams = Log(tmp_path / "t.h5").episodes[0].streams
    recorded = Log(path).episodes[1].streams["gps"]
    away = geodetic_to_enu(streams["gps"].data.reshape(-1, 3), recorded.data[recorded.time <= 2.0][-1])
    assert np.abs(away).max() < 200
    assert np.unique(streams["gps"].data[:, :, 0]).size > 6  # float64: a metre is 1e-5 degrees
    assert np.abs(streams["phase"].data).max() <= np.float32(np.pi)


def test_the_film_shows_log_dream_and_difference_side_by_side():
    trajectory = made_up()
    frames = trajectory_film(trajectory, "camera")
    assert frames.shape == (5 + 4, 16, 3 * 16, 3)
    assert frames.dtype == np.uint8
    left, middle, right = np.split(frames.astype(int), 3, axis=2)
    logged, dreamt = (source["camera"].data.astype(int) for source in (trajectory.logged, trajectory.imagined))
    np.testing.assert_array_equal(left[:8], logged)
    np.testing.assert_array_equal(middle[:5], logged[:5] // 2)  # the context, dimmed
    np.testing.assert_array_equal(middle[5:], dreamt[:, 0])
    assert (right[:5] == 0).all()
    apart = 2 * np.abs(logged[5:] - dreamt[:3, 0]).mean(-1)  # twice as strong, in grey
    np.testing.assert_allclose(right[5:8], np.repeat(np.minimum(apart, 255)[..., None], 3, -1), atol=1)
    assert len(np.unique(left[8])) == 1  # after the log's end there is no truth to show,
    assert (right[8] == 0).all()  # and nothing to differ from


def test_the_film_of_a_log_without_frames_shows_the_dream_alone():
    trajectory = made_up()
    trajectory.logged["camera"] = Samples(np.zeros(0), np.zeros((0, 16, 16, 3), np.uint8))
    frames = trajectory_film(trajectory, "camera")
    assert len(frames) == 4
    np.testing.assert_array_equal(frames[:, :, 16:32], trajectory["camera"].data[:, 0])


def test_small_frames_are_enlarged_to_be_watched_and_large_ones_are_not():
    frames = np.arange(2 * 16 * 16 * 3, dtype=np.uint8).reshape(2, 16, 16, 3)
    large = enlarged(frames)
    assert large.shape == (2, 128, 128, 3)
    np.testing.assert_array_equal(large.reshape(2, 16, 8, 16, 8, 3)[:, :, 7, :, 3], frames)
    assert enlarged(np.zeros((1, 240, 320, 3), np.uint8)).shape == (1, 240, 320, 3)


def test_the_video_file_holds_the_film(run, path, tmp_path):
    imagine_to(run, path, tmp_path / "out", **OPTIONS)
    expected = enlarged(trajectory_film(run.imagine(path, **OPTIONS), "camera"))[:, ::2, ::2].astype(float)
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


def test_the_plot_shows_every_column_and_the_film():
    figure = made_up().plot().figure
    film, panels = figure.subfigs
    titles = [axes.get_title("left") for axes in panels.axes]
    assert titles == [
        "gps · on the ground", "position · x (m)", "velocity · v (m/s)", "phase · angle (rad)", "gps · east (m)",
        "gps · north (m)", "gps · up (m)", "force · f (N)",
    ]  # fmt: skip
    (strip,) = film.axes
    assert [label.get_text() for label in strip.get_xticklabels()] == ["seen", "+0.1 s", "+0.2 s", "+0.3 s", "+0.4 s"]


def test_the_fan_holds_what_was_seen_what_came_and_every_future():
    trajectory = made_up()
    axes = trajectory.plot().figure.subfigs[1].axes[1]  # of `position`
    lines = {tuple(np.round(line.get_ydata(), 6)) for line in axes.lines}
    time, data = trajectory.logged["position"]
    for values in (data[time <= 1.0, 0], data[time > 1.0, 0], *trajectory["position"].data[:, :, 0].T):
        assert tuple(np.round(values, 6)) in lines
    assert tuple(np.round(trajectory["position"].data[:, :, 0].mean(1), 6)) in lines


def legend(figure) -> dict:
    """What the picture says that its lines are, by their words."""
    (shown,) = figure.legends
    return {text.get_text(): line for text, line in zip(shown.get_texts(), shown.get_lines(), strict=True)}


def drawn(axes, values):
    """The line of these readings."""
    (line,) = [x for x in axes.lines if len(x.get_ydata()) == len(values) and np.allclose(x.get_ydata(), values)]
    return line


def look(line):
    return line.get_color(), line.get_linestyle()


def test_the_picture_says_what_its_lines_are():
    trajectory = made_up()
    panels = trajectory.plot().figure.subfigs[1]
    said, axes = legend(panels), panels.axes[1]
    assert list(said) == ["seen", "what came", "2 imagined futures", "their mean"]
    time, data = trajectory.logged["position"]
    members = trajectory["position"].data[:, :, 0]
    for words, values in {
        "seen": data[time <= 1.0, 0],
        "what came": data[time > 1.0, 0],
        "2 imagined futures": members[:, 0],
        "their mean": members.mean(1),
    }.items():
        assert look(drawn(axes, values)) == look(said[words])


def test_what_was_recorded_under_other_commands_is_no_truth(run, path):
    given = {"force": Samples(np.array([0.0]), np.array([[1.0]]))}
    assert run.imagine(path, **OPTIONS).as_recorded
    assert not run.imagine(path, actions=given, **OPTIONS).as_recorded
    trajectory = dataclasses.replace(made_up(), as_recorded=False)
    panels = trajectory.plot().figure.subfigs[1]
    said, axes = legend(panels), panels.axes[1]
    assert "what came" not in said
    time, data = trajectory.logged["position"]
    line = drawn(axes, data[time > 1.0, 0])
    assert line.get_linestyle() == "--"
    assert look(line) == look(said["recorded, under the recorded commands"])
    left, _, right = np.split(trajectory_film(trajectory, "camera")[5:], 3, axis=2)
    assert len(np.unique(left)) == 1  # no frame came of these commands,
    assert (right == 0).all()  # and nothing to differ from


def test_where_nothing_came_yet_the_picture_speaks_of_nothing_that_did():
    trajectory = made_up()
    for name, (time, data) in trajectory.logged.items():
        trajectory.logged[name] = Samples(time[time <= 1.0], data[time <= 1.0])
    assert list(legend(trajectory.plot().figure.subfigs[1])) == ["seen", "2 imagined futures", "their mean"]


def test_a_stream_of_no_samples_is_drawn_as_nothing():
    trajectory = made_up()
    for part in (trajectory.logged, trajectory.imagined):
        part["gps"] = Samples(np.zeros(0), part["gps"].data[:0])
    titles = [axes.get_title("left") for axes in trajectory.plot().figure.subfigs[1].axes]
    assert "gps · up (m)" in titles


def test_long_names_leave_room_for_the_next_panel():
    assert panel_title("gyro", "x", "rad/s") == "gyro · x (rad/s)"
    for stream, column in (("a" * 40, "right_shoulder_pitch_1"), ("arm", "b" * 60), ("c" * 30, "d" * 30)):
        title = panel_title(stream, column, "m/s^2")
        assert len(title) <= 38 + 3
        assert title.endswith(f"{column[-5:]} (m/s^2)")


def test_an_angle_that_wraps_is_averaged_and_drawn_the_short_way_round():
    trajectory = made_up()
    turning = np.array([3.0, 3.1, -3.1, -3.0])[:, None, None] * np.ones((1, 2, 1))
    trajectory.imagined["phase"] = Samples(trajectory["phase"].time, turning)
    axes = next(a for a in trajectory.plot().figure.subfigs[1].axes if a.get_title("left").startswith("phase"))
    drawn = [line.get_ydata() for line in axes.lines]
    member = next(y for y in drawn if len(y) == 5)
    np.testing.assert_array_equal(np.isnan(member), [False, False, True, False, False])


def test_without_video_there_is_no_film(run, path, tmp_path, monkeypatch):
    monkeypatch.setattr(Session, "imagine", lambda *a, **k: made_up(film_of=False))
    imagine_to(run, path, tmp_path / "out", **OPTIONS)
    assert names(tmp_path / "out") == ["trajectory.h5", "trajectory.png"]


@pytest.mark.parametrize("stage", ["Session.imagine", "write_trajectory", "Trajectory.plot", "write_video"])
@pytest.mark.parametrize("existing", [False, True])
def test_a_failure_leaves_nothing_half_written(run, path, tmp_path, monkeypatch, stage, existing):
    monkeypatch.setattr(Session, "imagine", lambda *a, **k: made_up())

    def fail(*_, **__):
        raise RuntimeError("in the middle")

    owner, _, name = stage.rpartition(".")
    monkeypatch.setattr(
        getattr(module, owner) if owner == "Trajectory" else {"Session": Session}.get(owner, module), name, fail
    )
    if existing:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "trajectory.h5").write_text("mine")
    with pytest.raises(RuntimeError, match="in the middle"):
        imagine_to(run, path, tmp_path / "out", force=existing, **OPTIONS)
    assert names(tmp_path) == (["out"] if existing else [])
    assert not existing or names(tmp_path / "out") == ["trajectory.h5"]


def test_an_output_that_exists_is_refused_without_force(run, path, tmp_path, monkeypatch):
    monkeypatch.setattr(Session, "imagine", lambda *a, **k: made_up())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trajectory.h5").write_text("mine")
    with pytest.raises(WorldModelError, match="exists already"):
        imagine_to(run, path, tmp_path / "out", **OPTIONS)
    assert names(tmp_path / "out") == ["trajectory.h5"]
    imagine_to(run, path, tmp_path / "out", force=True, **OPTIONS)
    assert names(tmp_path / "out") == ["camera.webm", "trajectory.h5", "trajectory.png"]


def test_a_trajectory_shows_itself_and_becomes_a_frame():
    trajectory = made_up()
    assert repr(trajectory).startswith(
        "<Trajectory of 2 futures, 0.40 s from 1.00 s\n  position sensor [4x2x1]: x, 1.10"
    )
    html = trajectory._repr_html_()
    assert "camera video [4x2x16x16x3]" in html
    assert "data:image/png;base64," in html
    assert trajectory.plot()._repr_png_().startswith(b"\x89PNG")
    frame = trajectory.to_frame()
    assert list(frame.columns) == ["stream", "column", "unit", "time_s", "member", "value"]
    assert len(frame) == 4 * 2 * (1 + 1 + 1 + 3 + 1)  # times, members, columns; no video
    wide = frame[frame.stream == "gps"].pivot(index="time_s", columns=["column", "member"], values="value")
    data = trajectory["gps"].data
    np.testing.assert_array_equal(wide["altitude"].to_numpy(), data[:, :, 2])
    np.testing.assert_array_equal(wide.index, trajectory["gps"].time)


def test_a_trajectory_is_saved_as_the_command_saves_it(run, path, tmp_path):
    trajectory = run.imagine(path, **OPTIONS)
    files = trajectory.save(tmp_path / "kept")
    assert [file.name for file in files] == ["camera.webm", "trajectory.h5", "trajectory.png"]
    written = Log(tmp_path / "kept" / "trajectory.h5").episodes[0].streams["gps"]
    np.testing.assert_array_equal(written.data, trajectory["gps"].data)
    with pytest.raises(WorldModelError, match="exists already"):
        trajectory.save(tmp_path / "kept")


@pytest.mark.parametrize("metres", [0.6, 1.3, 3.9, 8.1, 47.0])
def test_the_numbers_beside_a_map_are_few_enough_to_stand_apart(metres):
    figure = Figure()
    axes = figure.subplots()
    way = np.linspace(0, metres, 30)[:, None] * [1, 0.2]
    draw_track(axes, way, way[:0], way[None])
    low, high = axes.get_xlim()
    assert 2 <= sum(low <= tick <= high for tick in axes.get_xticks()) <= 6


def test_what_nobody_told_has_no_panel():
    trajectory = made_up()
    for part in (trajectory.logged["gps"], trajectory.imagined["gps"]):
        part.data[..., 2] = np.nan  # as of fixes without an altitude
    before, after = (
        [axes.get_title(loc="left") or axes.get_title() for axes in each.plot().figure.subfigs[1].axes]
        for each in (made_up(), trajectory)
    )
    assert [title for title in before if title not in after] == ["gps · up (m)"]


def test_a_moment_in_a_long_recording_is_written_in_seconds():
    figure = made_up().later(2e5).plot().figure
    figure.canvas.draw()
    axes = figure.subfigs[1].axes[1]
    assert axes.xaxis.get_offset_text().get_text() == ""
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert all("e" not in label for label in labels)
    assert 2 <= len(labels) <= 6  # which would run into each other
