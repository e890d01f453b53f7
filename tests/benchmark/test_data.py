"""The logs of a problem: other worlds to test on, columns that nothing measures, recordings that are missing."""

import dataclasses

import numpy as np
import pytest

from tests.benchmark.made_up import lag_problem, write_recordings
from worldmodel.benchmark import PROBLEMS, Simulated
from worldmodel.benchmark.data import make_logs, sources
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log


def small(hidden=()):
    logs = Simulated("cartpole", episodes=2, held_out=1, seconds=0.5, hidden=hidden)
    return dataclasses.replace(PROBLEMS["cartpole_5"], logs=logs)


def test_worlds_of_a_seed_are_its_own_and_are_not_tested_on(tmp_path):
    made = [make_logs(small(), tmp_path, seed, []) for seed in (0, 1)]
    hashes = [Log(path).episode_sha256 for logs in made for path in (logs.train, *logs.tests.values())]
    assert [len(part) for part in hashes] == [2, 1, 2, 1]
    assert len({one for part in hashes for one in part}) == 6
    before = made[0].train.stat().st_mtime_ns
    assert make_logs(small(), tmp_path, 0, []) == made[0]
    assert made[0].train.stat().st_mtime_ns == before


def test_hidden_columns_are_in_neither_log_nor_truth_and_nothing_else_changes(tmp_path):
    seen, hidden = (
        make_logs(small(part), tmp_path / name, 0, []) for name, part in (("a", ()), ("b", ("*.velocity",)))
    )
    for before, after in ((seen.train, hidden.train), (seen.tests["held_out"], hidden.tests["held_out"])):
        whole, cut = Log(before, truth=True), Log(after, truth=True)
        assert {name: spec.columns for name, spec in cut.streams.items()} == {
            "cart": ("position",), "pole": ("angle",), "push": ("force",),
        }  # fmt: skip
        assert cut.streams["pole"].circular == (True,)
        assert cut.about == whole.about
        for one, other in zip(whole.episodes, cut.episodes, strict=True):
            assert other.duration_s == one.duration_s
            np.testing.assert_array_equal(other.streams["pole"].data, one.streams["pole"].data[:, :1])
            np.testing.assert_array_equal(other.truth["pole"].data, one.truth["pole"].data[:, :1])
            np.testing.assert_array_equal(other.truth["state"].data, one.truth["state"].data)
    assert sorted(path.name for path in hidden.train.parent.iterdir()) == ["held_out.h5", "train.h5"]


def test_positions_are_taken_away_in_longer_episodes_of_other_worlds(tmp_path, monkeypatch):
    monkeypatch.setattr("worldmodel.benchmark.data._OUTAGES", 2)
    problem = dataclasses.replace(small(), logs=dataclasses.replace(small().logs, out_s=0.5))
    assert make_logs(small(), tmp_path / "plain", 0, []).outage is None
    made = make_logs(problem, tmp_path, 0, [])
    with Log(made.outage, truth=True) as long, Log(made.train) as train:
        assert [episode.duration_s for episode in long.episodes] == pytest.approx([1.2, 1.2])
        assert long.has_truth
        assert not set(long.episode_sha256) & set(train.episode_sha256)


def test_a_split_that_finds_nothing_is_said(tmp_path):
    data = write_recordings(tmp_path)
    problem = lag_problem(data)
    (data / "lag" / "test0.csv").unlink()
    with pytest.raises(WorldModelError, match=r"No recording is there for held_out[\s\S]*train0"):
        make_logs(problem, tmp_path / "out", 0, sources(problem, data))


def test_damaged_files_are_left_out(tmp_path):
    data = write_recordings(tmp_path)
    problem = lag_problem(data)
    left = dataclasses.replace(problem, logs=dataclasses.replace(problem.logs, leave_out=("train[12].csv",)))
    assert [path.name for path in sources(left, data)] == ["test0.csv", "train0.csv"]


def test_one_recording_is_cut_and_its_last_parts_test(tmp_path):
    data = write_recordings(tmp_path)
    problem = lag_problem(data)
    parts = dataclasses.replace(
        problem.logs, files="lag/test0.csv", train=("* part [12]",), hidden=("valve.*",), cut_s=2.5
    )
    made = make_logs(dataclasses.replace(problem, logs=parts), tmp_path / "out", 0, [data / "lag" / "test0.csv"])
    whole = np.loadtxt(data / "lag" / "test0.csv", delimiter=",", skiprows=1)[:, 0]
    train, test = Log(made.train), Log(made.tests["held_out"])
    assert [episode.name for episode in train.episodes] == ["test0.csv part 1", "test0.csv part 2"]
    assert [episode.name for episode in test.episodes] == ["test0.csv part 3"]  # 0.4 s are left and are none
    assert list(train.streams) == ["level"]
    for i, episode in enumerate((*train.episodes, *test.episodes)):
        level = episode.streams["level"]
        np.testing.assert_allclose(level.time, np.arange(25) / 10, atol=1e-9)
        np.testing.assert_array_equal(level.data[:, 0], whole[25 * i : 25 * (i + 1)].astype(level.data.dtype))
