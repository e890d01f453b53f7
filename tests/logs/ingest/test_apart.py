"""A process of its own that returns, raises, crashes and hangs, and is there again after it."""

import itertools
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import conversion, ingest
from worldmodel.logs.ingest.apart import Apart, NoRoomError, StoppedError
from worldmodel.logs.ingest.conversion import convert
from worldmodel.logs.ingest.formats.damage import read_json
from worldmodel.logs.ingest.formats.tables import loading
from worldmodel.logs.ingest.importer import Options, importers
from worldmodel.logs.ingest.sources import Source


@pytest.fixture
def apart():
    one = Apart()
    yield one
    one.stop()


def test_a_call_is_answered_and_the_process_kept(apart):
    first = apart(os.getpid, limit_s=30)
    assert first == apart(os.getpid, limit_s=30) != os.getpid()
    with pytest.raises(RecipeError, match="cannot be read as JSON"):
        apart(read_json, Path(__file__), limit_s=30)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        apart(divmod, 1, 0, limit_s=30)
    assert apart(os.getpid, limit_s=30) == first


@pytest.mark.parametrize(("function", "given", "told"), [(time.sleep, 60, "no end in 0"), (os._exit, 3, "crashed")])
def test_a_process_that_hangs_or_crashes_is_said_and_replaced(apart, function, given, told):
    first = apart(os.getpid, limit_s=30)
    with pytest.raises(StoppedError, match=told):
        apart(function, given, limit_s=0.2 if function is time.sleep else 30)
    assert apart(os.getpid, limit_s=30) != first


def test_a_reader_that_is_stopped_is_a_damaged_file(tmp_path, monkeypatch):
    def stopped(*given, **more):
        raise StoppedError("its reader came to no end in 60 s")

    (tmp_path / "a.hdf5").write_bytes(b"damaged")
    monkeypatch.setattr("worldmodel.logs.ingest.conversion.apart", stopped)
    assert all(importers()[name].APART for name in ("hdf5", "dataflash")), "their libraries hang on some damage"
    with pytest.raises(RecipeError, match=r"(?s)a\.hdf5 cannot be read: it is damaged.*no end in 60 s"):
        convert(Source(tmp_path / "a.hdf5", "hdf5", (tmp_path / "a.hdf5",)), Options(), tmp_path / "part.h5")


def test_a_process_that_takes_too_much_memory_is_stopped_before_the_system_is_out_of_it(apart, monkeypatch):
    left = itertools.chain([40e9, 30e9, 5e9], itertools.repeat(0.5e9))
    monkeypatch.setattr("worldmodel.logs.ingest.apart.available_bytes", lambda: next(left))
    with pytest.raises(NoRoomError, match=r"more than the 40\.0 GB"):
        apart(time.sleep, 60, limit_s=None)
    left = itertools.repeat(0.4e9)  # little that stays as it is
    apart(time.sleep, 0.3, limit_s=None)


def chatter(advance):
    for _ in range(400):
        advance(1)
        time.sleep(0.01)


def test_memory_is_looked_at_however_often_something_comes(apart, monkeypatch):
    left = itertools.chain([40e9, 30e9], itertools.repeat(0.1e9))
    monkeypatch.setattr("worldmodel.logs.ingest.apart.available_bytes", lambda: next(left))
    with pytest.raises(NoRoomError):
        apart(chatter, limit_s=None, advance=lambda count: None)


def test_a_process_that_the_system_kills_was_too_large(apart):
    with pytest.raises(NoRoomError, match="out of memory"):
        apart(signal.raise_signal, signal.SIGKILL, limit_s=30)


def table(folder: Path, name: str) -> Path:
    rows = (f"{0.01 * i:.2f},{np.sin(i):.4f}" for i in range(200))
    (folder / name).write_text("time,a\n" + "\n".join(rows) + "\n")
    return folder / name


def test_a_source_that_does_not_fit_into_memory_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    a = table(tmp_path, "a.csv")
    monkeypatch.setattr("worldmodel.logs.ingest.conversion.available_bytes", lambda: 16.0 * a.stat().st_size - 1)
    left = itertools.chain([8e9], itertools.repeat(0.1e9))
    monkeypatch.setattr("worldmodel.logs.ingest.apart.available_bytes", lambda: next(left))
    with pytest.raises(RecipeError, match=r"(?s)a\.csv does not fit into memory.*8\.0 GB.*files of a shorter time"):
        ingest(a, tmp_path / "log.h5", progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_what_does_not_fit_beside_another_is_read_when_that_is_done(tmp_path, monkeypatch):
    both = [table(tmp_path, name) for name in ("a.csv", "b.csv")]
    looks = itertools.count(1)  # two as they begin, and at the third one of them is stopped
    monkeypatch.setattr("worldmodel.logs.ingest.apart.available_bytes", lambda: 0.1e9 if next(looks) == 3 else 8e9)
    assert ingest(both, tmp_path / "log.h5", workers=2, progress=False).episodes == ("a.csv", "b.csv")
    assert next(looks) > 3


def test_a_text_that_finds_no_room_beside_another_is_read_when_that_is_done_and_watched(tmp_path, monkeypatch):
    both = [table(tmp_path, name) for name in ("a.csv", "b.csv")]
    watched, calls = set(), itertools.count()

    def in_process(self, function, source, *given, **more):
        watched.add(self)
        if next(calls) == 0:
            loading._check_room(source.path, 1e20)
        return Apart.__call__(self, function, source, *given, **more)

    alone = type("", (Apart,), {"__call__": in_process})
    monkeypatch.setattr("worldmodel.logs.ingest.conversion.Apart", alone)
    monkeypatch.setattr("worldmodel.logs.ingest.conversion.apart", alone())
    assert ingest(both, tmp_path / "log.h5", workers=2, progress=False).episodes == ("a.csv", "b.csv")
    assert conversion.apart in watched
