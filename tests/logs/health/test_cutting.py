"""Recordings cut every so many seconds: each sample in one episode, none in two, and these one after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.command_line import done
from tests.logs.health.build import action, noise, record, sensor
from tests.logs.ingest.table_case import BODY, HEAD
from tests.logs.ingest.test_ros import START, write_json
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs import Log
from worldmodel.logs.health.cutting import cut_every
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.recording import Recording

GYRO, DRIVE = sensor("gyro", "xyz", ("rad/s",) * 3), action("drive", ["throttle"])
RECIPE = HEAD + BODY + "[cut]\nevery_s = EVERY\n"


def times(steps: list[float], start: float) -> np.ndarray:
    return start + np.cumsum(steps)


streams = st.lists(
    st.tuples(st.lists(st.floats(0.01, 5), min_size=1, max_size=60), st.floats(-3, 3)), min_size=1, max_size=3
)


@given(streams, st.floats(0.5, 50), st.floats(0, 1e9))
def test_no_sample_is_lost_none_is_twice_and_episodes_follow_each_other(given_streams, seconds, origin):
    made = [(sensor(f"s{i}", "x", ("m",)), times(*each)) for i, each in enumerate(given_streams)]
    recording = record(*((spec, time, np.arange(len(time))) for spec, time in made))
    recording.origin_utc = origin
    try:
        parts = cut_every(recording, seconds)
    except RecipeError:
        assert seconds < sum(max(steps) for steps, _ in given_streams) + 6
        return
    assert len({part.name for part in parts}) == len(parts)
    for spec, time in made:
        own = [part for part in parts if spec.name in part.samples]
        np.testing.assert_array_equal(
            np.concatenate([part.samples[spec.name].data[:, 0] for part in own]), np.arange(len(time))
        )
        shifted = [part.samples[spec.name].time + (part.origin_utc - origin) for part in own]
        np.testing.assert_allclose(np.concatenate(shifted), time, atol=1e-5)  # of 1e9 s
    first = min(time[0] for _, time in made)
    ends = [first - 1.0]
    for part in parts:
        there = [s.time + (part.origin_utc - origin) for s in part.samples.values()]
        assert min(time[0] for time in there) > ends[-1] - 1e-5
        assert len(parts) == 1 or min(s.time[0] for s in part.samples.values()) == pytest.approx(0, abs=1e-9)
        ends.append(max(time[-1] for time in there))
        assert ends[-1] - min(time[0] for time in there) < 1.5 * seconds + 1e-5


@pytest.mark.parametrize(
    ("length", "lengths"),
    [(249, [100, 149]), (250, [100, 100, 50]), (350, [100, 100, 100, 50]), (149, [149]), (20, [20])],
)
def test_what_is_left_at_the_end_is_an_episode_where_it_is_half_as_long(length, lengths):
    parts = cut_every(record((GYRO, np.arange(length + 1) / 10, noise(length + 1, 3))), 10.0)
    assert [len(part.samples["gyro"].time) for part in parts] == [*lengths[:-1], lengths[-1] + 1]
    assert parts[0].name == ("drive" if len(lengths) == 1 else "drive 0 to 10 s")
    assert len(lengths) == 1 or parts[-1].name == f"drive {10 * (len(lengths) - 1)} to {length / 10:g} s"


def test_where_nothing_was_recorded_there_is_no_episode():
    time = np.concatenate([np.arange(100) / 10, 95 + np.arange(100) / 10])
    parts = cut_every(record((GYRO, time, noise(200, 3)), (DRIVE, [0.0], [1])), 10.0)
    assert [part.name for part in parts] == ["drive 0 to 10 s", "drive 90 to 104.9 s"]
    assert [sorted(part.samples) for part in parts] == [["drive", "gyro"], ["gyro"]]


def test_pictures_stay_with_their_times(tmp_path):
    recording = Recording("film")
    frames = ((i / 10, np.full((4, 6, 3), i, np.uint8)) for i in range(50))
    recording.add_film("camera", frames, (4, 6), tmp_path)
    parts = cut_every(recording, 1.0)
    assert [np.asarray(part.samples["camera"].data)[:, 0, 0, 0].tolist() for part in parts] == [
        list(range(start, start + 10)) for start in range(0, 50, 10)
    ]


def test_episodes_shorter_than_what_lies_between_samples_are_refused():
    with pytest.raises(RecipeError, match="longer ones"):
        cut_every(record((GYRO, np.arange(100.0), noise(100, 3))), 1e-9)


def test_a_table_is_cut_by_its_recipe_and_what_is_asked_for_counts_before_it(tmp_path):
    values = np.round(noise(1000)[:, 0], 6)
    values[7] = np.nan
    rows = "".join(f"{i / 10},{'' if np.isnan(x) else x}\n" for i, x in enumerate(values))
    (tmp_path / "a.csv").write_text("t,x\n" + rows)
    (tmp_path / "r.toml").write_text(RECIPE.replace("EVERY", "20"))
    given = {"recipe": tmp_path / "r.toml", "progress": False}
    report = ingest(tmp_path / "a.csv", tmp_path / "log.h5", **given)
    assert report.episodes == tuple(f"a.csv {start} to {end} s" for start, end in
                                    ((0, 20), (20, 40), (40, 60), (60, 80), (80, 99.9)))  # fmt: skip
    assert any("cut into 5 episodes of 20 s" in line for line in report.lines)
    assert sum("1 of 1000 readings are NaN" in line for line in report.lines) == 1
    with Log(tmp_path / "log.h5") as log:
        read = np.concatenate([episode.streams["s"].data[:, 0] for episode in log.episodes])
        np.testing.assert_array_equal(read, values.astype(np.float32))
        assert all(episode.streams["s"].time[0] == 0 for episode in log.episodes)
        assert log.copies() == []
    assert len(ingest(tmp_path / "a.csv", tmp_path / "other.h5", cut_every_s=50, **given).episodes) == 2


def test_recordings_of_any_format_are_cut_and_keep_their_date(tmp_path):
    messages = [("/x", "Own", i * 10**9, {"x": i}) for i in range(30)]
    write_json(tmp_path / "a.mcap", messages)
    ran = done("ingest", tmp_path / "a.mcap", "--cut-every", 10, "--out", tmp_path / "log.h5")
    assert "3 episodes" in ran.out
    assert "--cut-every" not in ran.out
    with Log(tmp_path / "log.h5") as log:
        assert [episode.origin_utc - START for episode in log.episodes] == [0, 10, 20]
        assert [episode.streams["x"].data[:, 0].tolist() for episode in log.episodes] == [
            list(range(start, start + 10)) for start in (0, 10, 20)
        ]


def test_one_episode_alone_says_what_makes_several_of_it(tmp_path):
    (tmp_path / "a.csv").write_text("t,x\n" + "".join(f"{i / 10},{i % 7}\n" for i in range(50)))
    assert "--cut-every SECONDS" in done("ingest", tmp_path / "a.csv", "--out", tmp_path / "log.h5").out


@pytest.mark.parametrize("every", ["0", "-1", "nan", "inf", '"a minute"', "true"])
def test_a_recipe_that_cuts_every_nothing_is_refused(tmp_path, every):
    (tmp_path / "a.csv").write_text("t,x\n0,1\n1,2\n")
    (tmp_path / "r.toml").write_text(RECIPE.replace("EVERY", every))
    with pytest.raises(RecipeError, match=r"cut\.every_s"):
        ingest(tmp_path / "a.csv", tmp_path / "log.h5", recipe=tmp_path / "r.toml", progress=False)


@pytest.mark.parametrize("every", [0, -5, float("nan"), float("inf")])
def test_no_length_is_refused(tmp_path, every):
    (tmp_path / "a.csv").write_text("t,x\n0,1\n1,2\n")
    with pytest.raises(WorldModelError, match="--cut-every"):
        ingest(tmp_path / "a.csv", tmp_path / "log.h5", cut_every_s=every, progress=False)
    assert not (tmp_path / "log.h5").exists()
