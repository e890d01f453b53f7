"""Who learns, who selects and who measures."""

import dataclasses
import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oscillator import SPECS, episode, write_log
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.training.plan import Options, new_settings
from worldmodel.training.roles import (
    ROLES,
    EpisodeRef,
    assign_roles,
    copies_note,
    groups_of_copies,
    having,
    pieces_note,
    shared_roles,
    simulated_note,
    unmeasured_note,
)
from worldmodel.training.settings import RunSettings
from worldmodel.training.telling import shares

SHORT = {"context": 0.4, "horizon": 0.2, "dt": 0.02}


def having_each(roles):
    return [{i for i, own in roles.items() if role in own} for role in ROLES]


@given(st.lists(st.integers(1, 4), min_size=3, max_size=40), st.floats(0.001, 0.499), st.integers(0, 2**32 - 1))
def test_three_roles_are_disjoint_whole_and_never_part_copies(sizes, share, seed):
    ends = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    groups = [list(range(a, b)) for a, b in itertools.pairwise(ends)]
    roles = assign_roles(groups, share, seed)
    learn, select, measure = having_each(roles)
    assert learn | select | measure == set(range(sum(sizes)))
    assert len(learn) + len(select) + len(measure) == sum(sizes)
    for own in (learn, select, measure):
        assert own
        assert all(own.issuperset(group) or own.isdisjoint(group) for group in groups)
    assert roles == assign_roles(groups, share, seed)


@pytest.mark.parametrize(
    ("count", "share", "told"),
    [
        (40, 0.1, "32 learn, 4 select, 4 measure"),
        (2, 0.1, "1 learn, 1 select and measure"),
        (1, 0.1, "1 learn and select"),
        (3, 0.0, "2 learn, 1 learn and select"),
    ],
)
def test_each_episode_is_counted_once(count, share, told):
    roles = assign_roles([[i] for i in range(count)], share, 0)
    assert shares([EpisodeRef("", "", roles[i]) for i in range(count)]) == told


def test_the_share_is_of_select_and_of_measure_and_the_seed_decides():
    groups = [[i] for i in range(40)]
    learn, select, measure = having_each(assign_roles(groups, 0.1, 0))
    assert (len(learn), len(select), len(measure)) == (32, 4, 4)
    assert len({frozenset(having_each(assign_roles(groups, 0.1, seed))[2]) for seed in range(5)}) > 1


@pytest.mark.parametrize(
    ("count", "share", "expected", "says"),
    [
        (1, 0.1, [1, 1, 0], "No episode is kept back"),
        (2, 0.1, [1, 1, 1], "also chose the checkpoint and set the spread, so what they measure is flattered"),
        (3, 0.1, [1, 1, 1], ""),
        (9, 0.0, [9, 1, 0], "none is left to measure on"),
    ],
)
def test_with_too_few_episodes_the_run_says_which_roles_share(count, share, expected, says):
    roles = assign_roles([[i] for i in range(count)], share, 0)
    assert [len(own) for own in having_each(roles)] == expected
    sentence = shared_roles(EpisodeRef("", "", roles[i]) for i in range(count))
    assert says in sentence
    assert bool(says) == bool(sentence)


@pytest.mark.parametrize(("count", "share", "said"), [(1, 0.1, True), (2, 0.1, False), (3, 0.1, False), (9, 0.0, True)])
def test_where_nothing_is_left_to_measure_on_it_is_said_what_to_do(count, share, said):
    roles = assign_roles([[i] for i in range(count)], share, 0)
    note = unmeasured_note(EpisodeRef("", "", roles[i]) for i in range(count))
    assert bool(note) == said
    assert not said or {"--log", "--holdout", "--cut-every"} <= set(re.findall(r"--[\w-]+", note))


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.floats(0.001, 0.499), st.integers(0, 2**32 - 1))
def test_simulated_episodes_teach_and_recorded_ones_have_the_roles_that_they_have_alone(kinds, share, seed):
    simulated = {i for i, kind in enumerate(kinds) if kind}
    recorded = [[i] for i in range(len(kinds)) if i not in simulated]
    roles = assign_roles([[i] for i in range(len(kinds))], share, seed, simulated)
    assert roles.keys() == set(range(len(kinds)))
    if recorded:
        assert {roles[i] for i in simulated} <= {("learn",)}
        assert {i: roles[i] for (i,) in recorded} == assign_roles(recorded, share, seed)
    else:
        assert roles == assign_roles([[i] for i in range(len(kinds))], share, seed)


@pytest.mark.parametrize(
    ("recorded", "share", "alone", "beside"),
    [
        (12, 0.1, [10, 1, 1], [6, 5, 1]),
        (6, 0.1, [4, 1, 1], [3, 2, 1]),
        (7, 0.1, [5, 1, 1], [3, 3, 1]),
        (3, 0.1, [1, 1, 1], [1, 1, 1]),
        (80, 0.1, [64, 8, 8], [64, 8, 8]),
        (12, 0.3, [4, 4, 4], [4, 4, 4]),
        (2, 0.1, [1, 1, 1], [1, 1, 1]),
        (12, 0.0, [12, 1, 0], [12, 1, 0]),
    ],
)
def test_beside_simulated_episodes_five_recorded_ones_select_for_a_network(recorded, share, alone, beside):
    groups = [[i] for i in range(recorded + 200)]
    for network, expected in ((True, beside), (False, alone)):
        roles = assign_roles(groups, share, 0, range(recorded, recorded + 200), network)
        assert [len(own) for own in having_each({i: roles[i] for i in range(recorded)})] == expected
    assert [len(own) for own in having_each(assign_roles(groups[:recorded], share, 0))] == alone


def test_a_run_on_recorded_and_simulated_logs_selects_and_measures_on_recorded_ones(tmp_path):
    real = write_log(tmp_path / "real.h5", 4, 1.0)
    simulated = write_log(tmp_path / "sim.h5", 20, 1.0, seed=100, about={"simulator": "MuJoCo"})
    for logs in ([real, simulated], [simulated, real], [tmp_path]):
        settings = new_settings(Log(logs), logs, Options(**SHORT))
        names = [(e.simulated, e.roles) for e in settings.episodes]
        assert sum(kind for kind, _ in names) == 20
        assert {roles for kind, roles in names if kind} == {("learn",)}
        assert [len(having(role, (e for e in settings.episodes if not e.simulated))) for role in ROLES] == [2, 1, 1]
        assert "20 simulated episodes were learned from beside 4 recorded ones" in simulated_note(settings.episodes)
    alone = new_settings(Log(simulated), [simulated], Options(network=True, **SHORT))
    assert len(alone.measure) == len(alone.select) == 2
    enough = new_settings(Log(simulated), [simulated], Options(holdout=0.3, **SHORT))
    assert enough.fitted == enough.learn
    assert enough.left_out == enough.select
    more = write_log(tmp_path / "more.h5", 12, 1.0, seed=200)
    for network, count in ((True, 5), (False, 1)):
        settings = new_settings(Log([more, simulated]), [more, simulated], Options(network=network, **SHORT))
        assert len(settings.select) == count
        assert settings.enough_select == network
        recorded = [i for i in settings.fitted if not settings.episodes[i].simulated]
        assert recorded == sorted({*range(12)} - {*settings.measure})  # those that select are fitted on, too
        assert settings.left_out == settings.fitted
        assert len(settings.teachers) == 20
        text = settings.to_json()
        assert RunSettings.from_json(text, tmp_path).left_out == settings.left_out
        older = {key: value for key, value in json.loads(text).items() if key != "in_turn"}
        before = RunSettings.from_json(json.dumps(older), tmp_path).left_out
        assert before == (settings.select if settings.enough_select else settings.left_out)  # as it was trained
    assert simulated_note(alone.episodes) == ""


def test_copies_are_grouped():
    assert groups_of_copies(6, [(1, 4), (0, 2, 5)]) == [[0, 2, 5], [1, 4], [3]]


@pytest.fixture(scope="module")
def doubled(tmp_path_factory) -> Path:
    """Twelve recordings, of which four are one drive."""
    path = tmp_path_factory.mktemp("doubled") / "a.h5"
    with LogWriter(path, SPECS) as writer:
        for i, seed in enumerate([0, 1, 2, 3, 0, 4, 5, 0, 6, 7, 0, 8]):
            writer.append(episode(seed, 1.0), name=f"drive {i}")
    return path


def test_copies_in_a_log_share_a_role_and_are_reported(doubled):
    log = Log(doubled)
    for seed in range(8):
        settings = new_settings(log, [doubled], Options(seed=seed, holdout=0.2, **SHORT))
        assert len({settings.episodes[i].roles for i in (0, 4, 7, 10)}) == 1
        seen = {settings.episodes[i].sha256 for i in settings.learn + settings.select}
        assert seen.isdisjoint(settings.episodes[i].sha256 for i in settings.measure)
    assert copies_note(log).startswith("4 episodes are copies of one another")
    assert "drive 0, drive 4, drive 7, drive 10" in copies_note(log)


def test_an_episode_that_is_too_short_for_a_window_neither_selects_nor_measures(tmp_path):
    with LogWriter(tmp_path / "a.h5", SPECS) as writer:
        for i, seconds in enumerate([0.5, 1, 0.5, 1, 0.5, 1, 0.5]):
            writer.append(episode(i, seconds))
    log = Log(tmp_path / "a.h5")
    for seed in range(5):
        settings = new_settings(log, [tmp_path / "a.h5"], Options(seed=seed, **SHORT))
        assert set(settings.select + settings.measure) < {1, 3, 5}
        assert (len(settings.select), len(settings.measure)) == (1, 1)


@pytest.fixture
def run(doubled):
    """A run on `doubled`: it learned from drive 0 and its copies, selected on 8, 9, and 3, 11 are to measure."""
    run = untrained_run(Log(doubled), dt=0.02, context=10, horizon=10)
    roles = {**dict.fromkeys(range(12), ("learn",)), 8: ("select",), 9: ("select",), 3: ("measure",), 11: ("measure",)}
    return with_roles(run, doubled, roles)


def with_roles(run, path, roles):
    refs = [EpisodeRef(e.name, e.sha256, roles[i]) for i, e in enumerate(Log(path).episodes)]
    run.settings = run.settings.__class__(**{**vars(run.settings), "episodes": tuple(refs), "logs": (str(path),)})
    return run


def test_of_its_own_log_only_what_nothing_touched_is_measured(run, doubled):
    assert run.unseen(Log(doubled)) == [3, 11] == having("measure", run.settings.episodes)
    assert run.unseen_note(Log(doubled)) == "10 of 12 episodes are left out: the run has seen them."


def test_a_drive_that_was_learned_from_is_known_again_in_another_log(run, tmp_path):
    """Written anew, in another file, under another name, beside drives that are new."""
    with LogWriter(tmp_path / "b.h5", SPECS) as writer:
        for seed in (50, 0, 6, 51, 3):
            writer.append(episode(seed, 1.0), name=f"other {seed}")
    assert run.unseen(Log(tmp_path / "b.h5")) == [0, 3, 4]


def test_a_log_that_is_all_new_needs_no_note(run, tmp_path):
    log = Log(write_log(tmp_path / "b.h5", 2, 1.0, seed=70))
    assert run.unseen(log) == [0, 1]
    assert run.unseen_note(log) == ""


def test_measurements_say_that_a_run_learned_from_simulated_episodes(run, tmp_path):
    refs = tuple(dataclasses.replace(e, simulated=i < 2) for i, e in enumerate(run.settings.episodes))
    run.settings = dataclasses.replace(run.settings, episodes=refs)
    note = run.unseen_note(Log(write_log(tmp_path / "b.h5", 2, 1.0, seed=70)))
    assert note.startswith("2 simulated episodes were learned from beside 10 recorded ones")


def test_a_log_of_nothing_new_is_refused(run, tmp_path):
    with pytest.raises(WorldModelError, match=r"has seen every episode of .*b.h5[\s\S]*do:"):
        run.unseen(Log(write_log(tmp_path / "b.h5", 2, 1.0)))


def test_what_shares_roles_is_measured_with_a_note(run, doubled):
    roles = {**dict.fromkeys(range(12), ("learn",)), 3: ("select", "measure")}
    run = with_roles(run, doubled, roles)
    assert run.unseen(Log(doubled)) == [3]
    assert "is flattered" in run.unseen_note(Log(doubled))


def test_of_few_long_recordings_of_which_most_are_kept_back_it_is_said_how_to_cut_them():
    roles = assign_roles([[i] for i in range(3)], 0.1, 0)
    few = [EpisodeRef("", "", roles[i]) for i in range(3)]
    note = pieces_note(few, [2400.0] * 3, 128.0)
    assert note.startswith("2 of 3 long recordings")
    assert "`worldmodel ingest --cut-every 300` makes about 24 episodes" in note
    assert pieces_note(few, [1000.0, 2400.0, 2400.0], 128.0) == ""
    roles = assign_roles([[i] for i in range(24)], 0.1, 0)
    assert pieces_note([EpisodeRef("", "", roles[i]) for i in range(24)], [2400.0] * 24, 128.0) == ""
