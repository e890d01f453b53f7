"""The faulty tables beside the project, each as its README says: read right, or refused for the right reason."""

import os
from pathlib import Path

import numpy as np
import pytest

from worldmodel.errors import WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import tables
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

LOGS = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data"))
CASES = LOGS.parent / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the faulty cases are not at {CASES}")

READ = {  # source: recipe, samples of each episode, seconds of the first
    "dialects/bom_crlf.csv": ("dialects/yaw.toml", [100], 9.9),
    "dialects/comment_header.csv": ("dialects/yaw.toml", [100], 9.9),
    "dialects/nul_tail.csv": ("dialects/yaw.toml", [100], 9.9),
    "dialects/scope_de.csv": ("dialects/scope.toml", [100], 9.9),
    "dialects/trailing_comma.csv": ("dialects/yaw.toml", [100], 9.9),
    "dialects/truncated_last_line.csv": ("dialects/yaw.toml", [100], 9.9),
    "dialects/units_row.csv": ("dialects/yaw.toml", [100], 9.9),
    "dialects/utf16.csv": ("dialects/yaw.toml", [100], 9.9),
    "header_bytes/latin1_cells.csv": ("header_bytes/yaw.toml", [500], 4.99),
    "header_bytes/model-2026-09-12.csv": ("header_bytes/edgetx.toml", [900], 89.9),
    "misc/log.tsv": ("misc/tab2.toml", [1000], 9.99),
    "misc/log.txt": ("misc/yaw100.toml", [1000], 9.99),
    "misc/log.csv.gz": ("misc/yaw100.toml", [1000], 9.99),
    "misc/none.csv": ("misc/yaw100.toml", [1000], 9.99),
    "misc/ms_as_s.csv": ("misc/ms_right.toml", [1000], 9.99),
    "times/iso_utc.csv": ("times/speed.toml", [60], 59.0),
    "times/iso_offset_dst.csv": ("times/speed.toml", [60], 59.9),
    "times/gpslogger_mixed_fraction.csv": ("times/gpslogger.toml", [60], 58.671),
    "clock/episodes_in_one_file.csv": ("clock/arm.toml", [200] * 6, 19.9),
    "clock/steps_back_90s.csv": ("clock/car.toml", [300, 900], 29.9),
}
REFUSED = {  # source: recipe, what is said
    "misc/ms_as_s.csv": ("misc/ms.toml", ["0.1 Hz", 'unit = "ms"', "would fit"]),
    "misc/noheader.csv": ("misc/yaw100.toml", ["no line is a header"]),
    "misc/empty.csv": ("misc/yaw100.toml", ["no rows"]),
    "misc/zero.csv": ("misc/yaw100.toml", ["empty"]),
    "misc/heading.csv": ("misc/circ.toml", ["rad", "0.01745"]),
    "times/excel_serial.csv": ("times/speed.toml", ['unit = "excel_days"']),
    "times/excel_mangled_epoch.csv": ("times/speed.toml", ["599 of 600", "spreadsheet"]),
    "times/day_first.csv": ("times/speed.toml", ["26/10/2025 10:59:30", "day_first"]),
    "whole_seconds/bridge_5hz.csv": ("whole_seconds/bridge.toml", ["2700 of 3000", "whole seconds", "spread"]),
}
BY_A_KEY = {  # source: recipe, what is replaced in it, samples, seconds
    "times/day_first.csv": ("times/speed.toml", '"time"\ndates = "day_first"', 60, 59.0),
    "times/excel_serial.csv": ("times/speed.toml", '"time"\nunit = "excel_days"', 60, 59.0),
    "whole_seconds/bridge_5hz.csv": ("whole_seconds/bridge.toml", '"timestamp"\nduplicates = "spread"', 3000, 299.9),
    "header_bytes/model-2026-09-12.csv": ("header_bytes/edgetx.toml", '["Date", "Time"]\norigin = "unix"', 900, 89.9),
}


OTHERS = {  # with tests of their own, below
    "clock/no_rtc_then_ntp.csv",
    "gps_no_position/airdata_like.csv",
    "gps_no_position/nmea_ddmm.csv",
    "gps_no_position/swapped.csv",
    "gps_no_position/ulog_1e7.csv",
    "spaces_in_header/LOG00007.01.csv",
}


def test_no_case_is_forgotten():
    there = {path.relative_to(CASES).as_posix() for path in CASES.rglob("*") if path.is_file()}
    assert {name for name in there if not name.endswith((".toml", ".xml", ".md"))} == {*READ, *REFUSED, *OTHERS}


def test_rows_before_the_first_fix_are_left_out_and_counted(tmp_path):
    recipe = CASES / "gps_no_position/airdata.toml"
    ingest(CASES / "gps_no_position/airdata_like.csv", tmp_path / "log.h5", recipe=recipe, progress=False)
    with Log(tmp_path / "log.h5") as log:
        (episode,) = log.episodes
        (gps,) = (stream for stream in episode.streams.values() if stream.spec.kind == "gps")
        (finding,) = log.about["findings"]
        assert gps.data[0, :2] == pytest.approx([45, 7])
        assert gps.time[0] == pytest.approx(15.0)
    assert (finding["check"], finding["severity"]) == ("gps: no position", "mask")


def test_a_latitude_that_is_a_longitude_is_refused(tmp_path):
    recipe = CASES / "gps_no_position/swapped.toml"
    with pytest.raises(WorldModelError, match="seem to be swapped"):
        ingest(CASES / "gps_no_position/swapped.csv", tmp_path / "log.h5", recipe=recipe, progress=False)


def test_a_clock_that_the_network_has_set_is_cut_there(tmp_path):
    source = CASES / "clock/no_rtc_then_ntp.csv"
    report = ingest(source, tmp_path / "log.h5", recipe=CASES / "clock/car.toml", progress=False)
    assert len(report.episodes) == 2
    with Log(tmp_path / "log.h5") as log:
        rows = sum(len(next(iter(episode.streams.values()))) for episode in log.episodes)
    assert rows == len(source.read_text().splitlines()) - 1


def recordings(source, recipe):
    return list(tables.read(CASES / source, Options(recipe=recipe)))


@pytest.mark.parametrize("source", READ)
def test_a_case_that_is_read(source):
    recipe, counts, seconds = READ[source]
    found = recordings(source, CASES / recipe)
    first = [next(iter(recording.samples.values())) for recording in found]
    assert [len(samples.time) for samples in first] == counts
    assert first[0].time[-1] == pytest.approx(seconds, abs=1e-6)
    assert all((np.diff(samples.time) > 0).all() for samples in first)


@pytest.mark.parametrize("source", REFUSED)
def test_a_case_that_is_refused(source):
    recipe, words = REFUSED[source]
    with pytest.raises(WorldModelError) as caught:
        recordings(source, CASES / recipe)
    assert all(word in str(caught.value) for word in words), caught.value


@pytest.mark.parametrize("source", BY_A_KEY)
def test_a_case_that_a_key_of_the_recipe_makes_right(tmp_path, source):
    recipe, keys, count, seconds = BY_A_KEY[source]
    text = (CASES / recipe).read_text()
    clock = text.partition("column = ")[2].partition("\n")[0]
    (tmp_path / "r.toml").write_text(text.replace(f"column = {clock}", f"column = {keys}"))
    (recording,) = recordings(source, tmp_path / "r.toml")
    samples = next(iter(recording.samples.values()))
    assert len(samples.time) == count
    assert samples.time[-1] == pytest.approx(seconds, abs=2e-3)
    assert (np.diff(samples.time) > 0).all()


@pytest.mark.parametrize("source", ["ulog_1e7.csv", "nmea_ddmm.csv"])
def test_other_spellings_of_degrees_are_suggested(source):
    (recording,) = recordings(f"gps_no_position/{source}", None)
    place = recording.samples["gps"].data[0]
    assert place[:2] == pytest.approx([45, 7] if source == "ulog_1e7.csv" else [45.50205667, 7.50946333], abs=1e-6)
    assert place[2] == pytest.approx(200)
    assert any("positions are taken for" in note for note in recording.notes)


def test_names_match_without_their_spaces_and_words_in_other_columns_are_no_fault():
    (recording,) = recordings("spaces_in_header/LOG00007.01.csv", None)
    assert "betaflight" in recording.notes[0]
    assert recording.specs["gyro"].rate_hz == 2000
    np.testing.assert_allclose(recording.samples["gyro"].data[0], np.radians([-3, 19, 3]))
