"""A process of its own that returns, raises, crashes and hangs, and is there again after it."""

import os
import time
from pathlib import Path

import pytest

from worldmodel.errors import RecipeError
from worldmodel.logs.ingest.apart import Apart, StoppedError
from worldmodel.logs.ingest.conversion import convert
from worldmodel.logs.ingest.formats.damage import read_json
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
