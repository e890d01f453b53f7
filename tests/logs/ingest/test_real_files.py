"""The real recordings beside the project: each is claimed by its format, and nothing but what is beside them is not."""

import os
from collections import Counter
from pathlib import Path

import pytest

from worldmodel.logs.ingest.sources import find_sources

LOGS = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data"))
pytestmark = pytest.mark.skipif(not LOGS.is_dir(), reason=f"the real recordings are not at {LOGS}")

SOURCES = {
    "comma2k19": {"comma2k19": 1},
    "donkeycar": {"donkeycar": 1},
    "double_pendulum": {"tables": 10},
    "emps": {"tables": 2},
    "gopro": {"gopro": 2},
    "lerobot_g1": {"lerobot": 1},
    "nanobench": {"tables": 30},
    "px4": {"ulog": 7},
    "silverbox": {"tables": 1},
    "tanks": {"tables": 1},
}
BESIDE = {"LICENSE", "README", "SOURCE", "identified"}


def test_no_recording_is_forgotten():
    assert {path.name for path in LOGS.iterdir() if path.is_dir()} == SOURCES.keys()


@pytest.mark.parametrize("name", SOURCES)
def test_all_that_is_a_recording_is_claimed(name):
    found = find_sources(LOGS / name)
    assert Counter(source.format for source in found.sources) == SOURCES[name]
    own = {path for source in found.sources for path in source.parts}
    left = [path for path in (LOGS / name).rglob("*") if path.is_file() and not own & {path, *path.parents}]
    assert {path.stem for path in left} <= BESIDE
