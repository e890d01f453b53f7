"""Aligned logs against episodes that are aligned one at a time, in memory and in a file."""

import functools
import tempfile
import tracemalloc

import numpy as np
import pytest

from tests.oscillator import SPECS, episode
from worldmodel.errors import WorldModelError
from worldmodel.logs import aligned as module
from worldmodel.logs.align import TickLayout, align
from worldmodel.logs.aligned import AlignedLog
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.types import Commands

LAYOUT = TickLayout(0.05, SPECS)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "a.h5"
    with LogWriter(path, SPECS) as writer:
        for seed, seconds in enumerate((2.0, 0.3, 1.5)):
            writer.append(episode(seed, seconds))
    return Log(path)


@pytest.fixture(params=["in memory", "in a file"])
def on_disk(request, monkeypatch):
    if request.param == "in a file":
        monkeypatch.setattr(module, "MEMORY_BUDGET_BYTES", 0)
    return request.param == "in a file"


def parts(ticks):
    return ticks.values, ticks.mask, ticks.age_s, *ticks.actions, ticks.frames


def test_each_episode_is_as_if_aligned_alone(log, on_disk):
    aligned = AlignedLog(log, LAYOUT, [2, 0, 1])
    assert (len(aligned), aligned.episodes, aligned._on_disk) == (3, [2, 0, 1], on_disk)
    for ticks, i in zip(aligned, aligned.episodes, strict=True):
        expected = align(log.episodes[i], LAYOUT)
        for found, part in zip(parts(ticks), parts(expected), strict=True):
            np.testing.assert_array_equal(found, part)
            assert found.dtype == part.dtype
        np.testing.assert_array_equal(ticks.origin, expected.origin)
    np.testing.assert_array_equal(aligned[-1].values, aligned[2].values)
    assert [len(t.values) for t in aligned[:2]] == aligned.lengths[:2].tolist()
    with pytest.raises(IndexError):
        aligned[3]


def test_spans_are_slices_of_the_episodes(log, on_disk):
    aligned = AlignedLog(log, LAYOUT)
    places = np.array([[2, 10], [0, 4], [1, 4], [2, 25], [2, 10]])
    for first, length in ((-4, 7), (0, 1), (1, 0), (-2, 3)):
        chosen = places[: 2 if length == 7 else None]
        spans = aligned.spans(chosen, first, length)
        for row, (e, t) in enumerate(chosen):
            for found, part in zip(parts(spans), parts(aligned[e]), strict=True):
                np.testing.assert_array_equal(found[row], part[t + first : t + first + length])
        spans.values[:] = 7  # copies: nobody else sees it
        assert not (aligned[2].values == 7).any()


def test_what_is_shared_cannot_be_changed(log, on_disk):
    with pytest.raises(ValueError, match="read-only"):
        AlignedLog(log, LAYOUT)[0].values[0, 0] = 1


def test_streams_of_one_kind_only(log, on_disk):
    for kind in ("sensor", "action", "video"):
        layout = TickLayout(0.05, tuple(s for s in SPECS if s.kind == kind))
        aligned = AlignedLog(log, layout)
        spans = aligned.spans(np.array([[0, 9], [2, 8]]), -3, 5)
        assert spans.values.shape == (2, 5, layout.size)
        assert spans.frames.shape == (2, 5, len(layout.videos))
        assert spans.actions.values.shape == (2, 5, layout.action_count)


class Repeated:
    """Stands for a log of many long episodes that are all alike."""

    def __init__(self, seconds, count):
        self.durations_s, self.episodes = np.full(count, seconds), range(count)


def test_a_big_log_is_never_held_twice_and_in_a_file_not_even_once(log, on_disk, monkeypatch):
    one = align(log.episodes[0], LAYOUT)
    long = one._replace(
        **{name: np.concatenate([getattr(one, name)] * 50) for name in ("values", "mask", "age_s", "frames", "held")},
        actions=Commands(*(np.concatenate([part] * 50) for part in one.actions)),
    )
    monkeypatch.setattr(module, "align", lambda *_: long)
    monkeypatch.setattr(module, "MEMORY_BUDGET_BYTES", 0 if on_disk else 1 << 40)
    repeated = Repeated((len(long.values) - 1) * LAYOUT.dt, 40)
    tracemalloc.start()
    aligned = AlignedLog(repeated, LAYOUT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole = aligned._ticks.nbytes
    assert whole == 40 * len(long.values) * aligned._ticks.itemsize
    assert peak < (0.1 if on_disk else 1.1) * whole
    np.testing.assert_array_equal(aligned[39].values, long.values)


def test_the_file_has_no_name_so_that_nothing_can_leave_it_behind(log, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MEMORY_BUDGET_BYTES", 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    aligned = AlignedLog(log, LAYOUT)
    assert aligned._on_disk
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_said_with_what_to_do(log, monkeypatch):
    monkeypatch.setattr(module, "MEMORY_BUDGET_BYTES", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", functools.partial(open, "/dev/full", "w+b", buffering=0))
    with pytest.raises(WorldModelError, match="disk is full") as error:
        AlignedLog(log, LAYOUT)
    assert "TMPDIR" in str(error.value)
