"""Clocks of tables: every way to write a time, each against the same times worked out by hand."""

import calendar
import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.logs.ingest.table_case import BODY, HEAD, read, read_file
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest, load_recipe, suggest
from worldmodel.logs.ingest.formats.tables.stamps import spread, wrapped

START = calendar.timegm((2025, 10, 26, 10, 59, 30))  # UTC
CLOCKS = {
    "seconds": ("100.0 100.5 101.5", ""),
    "milliseconds": ("100000 100500 101500", 'unit = "ms"'),
    "minutes": ("1 1.00833333333333 1.025", 'unit = "minutes"'),
    "UTC in seconds": (f"{START} {START}.5 {START + 1}.5", 'origin = "unix"'),
    "ISO": ("2025-10-26T10:59:30Z 2025-10-26T10:59:30.5Z 2025-10-26T10:59:31.5Z", 'origin = "unix"'),
    "offsets, in and out of summer time": (
        "2025-10-26T12:59:30.0+02:00 2025-10-26T11:59:30.5+0100 2025-10-26T10:59:31.5+00", 'origin = "unix"'
    ),
    "day first": ("26/10/2025 10:59:30|26/10/2025 10:59:30.5|26/10/2025 10:59:31.5", 'dates = "day_first"'),
    "day first with points": ("26.10.25 10:59:30|26.10.25 10:59:30.5|26.10.25 10:59:31.5", 'dates = "day_first"'),
    "month first, half days": (
        "10/26/2025 10:59:30 AM|10/26/2025 10:59:30.5 AM|10/26/2025 10:59:31.5 AM", 'dates = "month_first"'
    ),
    "names of months": ("26-Oct-2025 10:59:30|26-Oct-2025 10:59:30.5|26-Oct-2025 10:59:31.500000", ""),
    "names of months in French": ("26-oct.-2025 10:59:30|26 oct. 2025 10:59:30.5|26 Octobre 2025 10:59:31.5", ""),
    "names of months in German": ("26-Okt-2025 10:59:30|26. Okt. 2025 10:59:30.5|26. Oktober 2025 10:59:31.5", ""),
    "as Java writes it": (
        "Sun Oct 26 10:59:30 GMT 2025|Sun Oct 26 10:59:30.5 GMT 2025|Sun Oct 26 10:59:31.5 GMT 2025", ""
    ),
    "a format": ("20251026 105930.0 20251026 105930.5 20251026 105931.5", 'dates = "%Y%m%d %H%M%S.%f"'),
    "a time zone": ("2025-10-26 11:59:30 2025-10-26 11:59:30.5 2025-10-26 11:59:31.5", 'time_zone = "Europe/Berlin"'),
    "Excel's days": (" ".join(f"{25569 + (START + s) / 86400:.10f}" for s in (0, 0.5, 1.5)), 'unit = "excel_days"'),
    "MATLAB's days": (" ".join(f"{719529 + (START + s) / 86400:.10f}" for s in (0, 0.5, 1.5)), 'unit = "matlab_days"'),
    "seconds of a GPS week": ("39588.0 39588.5 39589.5", 'unit = "week_s"\nweek = 2390'),
    "digits of the time of day": ("235959.5 000000.0 000001.0", 'unit = "hhmmss"'),
    "time of day over midnight": ("23:59:59.5 00:00:00 00:00:01.000", ""),
}  # fmt: skip
TELLS_NO_DATE = ("seconds", "milliseconds", "minutes", "digits of the time of day", "time of day over midnight")


@pytest.mark.parametrize("clock", CLOCKS)
def test_every_clock_tells_the_same_times(tmp_path, clock):
    text, keys = CLOCKS[clock]
    words = text.split("|") if "|" in text else text.split()
    stamps = [" ".join(words[i : i + len(words) // 3]) for i in range(0, len(words), len(words) // 3)]
    content = "t;x\n" + "".join(f"{stamp};{i}\n" for i, stamp in enumerate(stamps))
    dated = clock not in TELLS_NO_DATE
    keys = keys if "origin" in keys or not dated else f'{keys}\norigin = "unix"'
    (recording,) = read(tmp_path, content, BODY.replace('column = "t"', f'column = "t"\n{keys}'))
    np.testing.assert_allclose(recording.samples["s"].time, [0, 0.5, 1.5], atol=2e-5)
    if dated:
        assert recording.origin_utc == pytest.approx(START, abs=1e-4)


def test_date_and_time_of_day_in_two_columns(tmp_path):
    content = "Date,Time,x\n2025-10-26,10:59:30.000,1\n2025-10-26,10:59:30.500,2\n"
    body = BODY.replace('"t"', '["Date", "Time"]\norigin = "unix"')
    (recording,) = read(tmp_path, content, body)
    np.testing.assert_allclose(recording.samples["s"].time, [0, 0.5])
    assert recording.origin_utc == START


def test_a_date_whose_order_is_not_told_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"row 0 \(column 't'\)[\s\S]*02/03/2025[\s\S]*day_first"):
        read(tmp_path, "t,x\n02/03/2025 10:00:00,1\n02/03/2025 10:00:01,2\n")


@pytest.mark.parametrize("stamp", ["31/02/2025 10:00:00", "1/1/2025 10:61:00", "soon", "2025-10-26T25:00:00"])
def test_what_is_no_time_is_refused(tmp_path, stamp):
    with pytest.raises(RecipeError, match="row 1"):
        body = BODY.replace('"t"', '"t"\ndates = "day_first"')
        read(tmp_path, f"t,x\n1/1/2025 10:00:00,1\n{stamp},2\n1/1/2025 10:00:02,1\n", body)


@given(st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2099, 1, 1)), st.sampled_from(["day", "month"]))
@settings(max_examples=30, deadline=None)
def test_any_instant_comes_back(tmp_path_factory, when, first):
    form = "%d/%m/%Y %H:%M:%S.%f" if first == "day" else "%m-%d-%Y, %I:%M:%S.%f %p"
    content = f't;x\n"{when.strftime(form)}";1\n'
    body = BODY.replace('"t"', f'"t"\ndates = "{first}_first"\norigin = "unix"')
    (recording,) = read(tmp_path_factory.mktemp("t"), content, body)
    assert recording.origin_utc == pytest.approx(when.replace(tzinfo=datetime.UTC).timestamp(), abs=1e-6)


def test_whole_seconds_are_spread_evenly(tmp_path):
    """At 4 Hz, from within a second to within another."""
    true = np.arange(2, 38) / 4
    content = "t,x\n" + "".join(f"{int(t)},{t}\n" for t in true)
    body = BODY.replace('"t"', '"t"\nduplicates = "spread"')
    (recording,) = read(tmp_path, content, body)
    np.testing.assert_allclose(recording.samples["s"].time, true - 0.5, atol=1e-9)
    assert recording.specs["s"].rate_hz == 4
    with pytest.raises(RecipeError, match=r"rows that repeat one, whole seconds[\s\S]*spread"):
        read(tmp_path, content)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=20))
@settings(max_examples=50, deadline=None)
def test_spread_stamps_increase_and_stay_within_their_second(counts):
    ns = np.repeat(np.arange(len(counts)), counts) * 10**9
    out = spread(ns)
    assert (np.diff(out) > 0).all()
    assert ((out - ns >= 0) & (out - ns < 10**9)).all()


def test_a_clock_that_begins_anew_goes_on():
    ns = np.array([8, 9, 0, 1, 9, 0], np.int64)
    assert wrapped(ns, np.ones(6, bool), 10).tolist() == [8, 9, 10, 11, 19, 20]
    valid = np.array([True, True, False, True, True, True])
    assert wrapped(ns, valid, 10)[valid].tolist() == [8, 9, 11, 19, 20]


@pytest.mark.parametrize(
    ("step", "unit", "fits"), [("10", "s", "ms"), ("10000", "s", "us"), ("0.00001", "ms", "s"), ("0.01", "ms", "s")]
)
def test_a_rate_that_another_unit_explains_is_refused(tmp_path, step, unit, fits):
    rate = 100 if fits != "s" or step == "0.01" else 1e5
    body = BODY.replace('"measured"', f"{rate}").replace('"t"', f'"t"\nunit = "{unit}"')
    content = "t,x\n" + "".join(f"{i * float(step):.9g},{i}\n" for i in range(40))
    with pytest.raises(RecipeError, match=f'does not come at its rate[\\s\\S]*unit = "{fits}" in'):
        read(tmp_path, content, body)


def test_a_rate_of_half_is_refused_and_a_faster_one_is_noted(tmp_path):
    content = "t,x\n" + "".join(f"{i / 50:.6g},{i}\n" for i in range(40))
    with pytest.raises(RecipeError, match="say rate_hz = 50"):
        read(tmp_path, content, BODY.replace('"measured"', "101"))
    (recording,) = read(tmp_path, content, BODY.replace('"measured"', "5"))
    assert recording.specs["s"].rate_hz == 50
    assert "comes at 50 Hz, not at 5" in recording.notes[0]


@pytest.mark.parametrize("step_s", [60, 600, 7])
def test_whole_seconds_of_a_slow_stream_stay_what_they_are(tmp_path, step_s):
    content = "t,x\n" + "".join(f"{step_s * i},{i}\n" for i in range(20_000))
    (recording,) = read(tmp_path, content, BODY.replace('"measured"', f"{1 / step_s:.10g}"))
    np.testing.assert_array_equal(recording.samples["s"].time, step_s * np.arange(20_000.0))
    assert recording.notes == []


def test_rows_that_come_when_something_happens_have_a_rate_that_the_checks_take(tmp_path):
    steps = np.minimum(np.random.default_rng(0).lognormal(3, 1.8, 400), 3000)
    content = "t,mode,x\n" + "".join(f"{t:.3f},{i % 3},{i % 7}\n" for i, t in enumerate(np.cumsum(steps)))
    (tmp_path / "events.csv").write_text(content)
    (tmp_path / "r.toml").write_text(suggest(tmp_path / "events.csv"))
    log = ingest(tmp_path / "events.csv", tmp_path / "log.h5", recipe=tmp_path / "r.toml", progress=False)
    assert log.episodes == ("events.csv",)


@pytest.mark.parametrize("column", ["Timestamp (UTC)", "utc", "time_utc", "UTC Time", "GMT"])
def test_a_clock_that_is_called_utc_tells_its_zone(tmp_path, column):
    content = f"{column},x\n" + "".join(f"2026-03-01 00:{i // 60:02d}:{i % 60:02d},{i}\n" for i in range(120))
    (tmp_path / "a.csv").write_text(content)
    assert "no zone" not in suggest(tmp_path / "a.csv")
    (recording,) = read(tmp_path, content, BODY.replace('"t"', f'"{column}"\norigin = "unix"'))
    assert not any("no zone" in note for note in recording.notes)
    assert recording.origin_utc == datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC).timestamp()


def test_stamps_that_were_rounded_are_whole_periods_and_others_are_as_they_were(tmp_path):
    content = "t,x\n" + "".join(f"{12.0171 + i / 30:.3f},{i}\n" for i in range(300))
    (recording,) = read(tmp_path, content)
    np.testing.assert_allclose(recording.samples["s"].time, np.arange(300) / 30, atol=1e-9)
    assert recording.specs["s"].rate_hz == 30
    assert "whole periods of 30 Hz, rounded" in recording.notes[0]
    late = "t,x\n" + "".join(f"{i / 30 + 0.002 * (i % 3):.3f},{i}\n" for i in range(300))
    (recording,) = read(tmp_path, late)
    np.testing.assert_allclose(recording.samples["s"].time[:3], [0, 0.035, 0.071])


def test_seconds_since_1970_keep_their_decimals(tmp_path):
    content = "t,x\n" + "".join(f"{1770664802 + i / 20:.2f},{i}\n" for i in range(1, 400))
    (recording,) = read(tmp_path, content)
    np.testing.assert_array_equal(recording.samples["s"].time, np.arange(399) / 20)


def test_seconds_since_1970_of_more_decimals_than_float64_has_lose_none_that_it_has(tmp_path):
    """Stamps a tenth of a microsecond off a tick fell into the next one where they were rounded to the microsecond."""
    off = np.random.default_rng(0).uniform(-6e-7, 6e-7, 400)
    content = "t,x\n" + "".join(
        f"{1772421798 + i // 100}.{i % 100 / 100 + 0.005 + o:.9f},{i}\n".replace(".0.", ".") for i, o in enumerate(off)
    )
    (recording,) = read(tmp_path, content)
    exact = np.arange(400) / 100 + off
    np.testing.assert_allclose(recording.samples["s"].time, exact - exact[0], rtol=0, atol=3e-7)


@pytest.mark.parametrize(
    ("month", "number"), [("janv.", 1), ("févr.", 2), ("März", 3), ("Mai", 5), ("juin", 6), ("juil.", 7), ("août", 8),
                          ("ago", 8), ("Okt.", 10), ("Dez", 12), ("dic", 12), ("gennaio", 1), ("September", 9)],
)  # fmt: skip
def test_months_are_known_by_their_names_in_other_languages(tmp_path, month, number):
    keys = BODY.replace('"t"', '"t"\norigin = "unix"')
    (recording,) = read(tmp_path, f"t,x\n22-{month}-2025 10:00:00,1\n22-{month}-2025 10:00:01,2\n", keys)
    assert recording.origin_utc == calendar.timegm((2025, number, 22, 10, 0, 0))


@pytest.mark.parametrize(
    ("date", "number"),
    [("mar. 22 avr. 2025", 4), ("mardi 22 avril 2025", 4), ("martes 22 de abril de 2025", 4), ("mar 22 mars 2025", 3),
     ("maandag 22 september 2025", 9)],
)  # fmt: skip
def test_days_of_the_week_are_no_months(tmp_path, date, number):
    keys = BODY.replace('"t"', '"t"\norigin = "unix"')
    (recording,) = read(tmp_path, f"t,x\n{date} 10:00:00,1\n{date} 10:00:01,2\n", keys)
    assert recording.origin_utc == calendar.timegm((2025, number, 22, 10, 0, 0))


def test_dates_none_of_which_can_be_read_are_told_though_they_may_be_left_out(tmp_path):
    with pytest.raises(RecipeError) as error:
        read(tmp_path, "t,x\n22-Blub-2025 10:00:00,1\n22-Blub-2025 10:00:01,2\n", keys='unreadable = "drop"')
    assert "22-Blub-2025" in str(error.value)


def test_stamps_in_float32_are_whole_periods(tmp_path):
    stamps = (5.1 + np.arange(300) / 30).astype(np.float32)
    parquet.write_table(pa.table({"t": stamps, "x": np.arange(300.0)}), tmp_path / "a.parquet")
    (recording,) = read_file(tmp_path / "a.parquet")
    np.testing.assert_allclose(recording.samples["s"].time, np.arange(300) / 30, atol=1e-9)


@pytest.mark.parametrize("bits", [16, 32])
def test_a_counter_that_began_anew_goes_on(tmp_path, bits):
    first = 2**bits - 1005
    content = "t,x\n" + "".join(f"{(first + 10 * i) % 2**bits},{i}\n" for i in range(200))
    (recording,) = read(tmp_path, content, BODY.replace('"t"', '"t"\nunit = "ms"'))
    np.testing.assert_allclose(recording.samples["s"].time, np.arange(200) / 100)
    assert f"t began anew after {bits} bits, 1 times; on from there" in recording.notes


def test_one_stamp_in_all_rows_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="spreadsheet"):
        read(tmp_path, "t,x\n" + "".join(f"1.70E+09,{i}\n" for i in range(50)))


def test_rows_written_again_are_no_fault_of_the_clock(tmp_path):
    content = "t,x\n" + "".join(f"{i // 2 / 10},{i // 2}\n" for i in range(100))
    assert read(tmp_path, content)[0].samples["s"].time[-1] == pytest.approx(4.9)


def test_a_known_lag_is_taken_off(tmp_path):
    other = '[streams.late]\nkind = "action"\ncolumns = { u = "x" }\nrate_hz = 10\nlag_s = 0.25\n'
    (recording,) = read(tmp_path, "t,x\n0.0,1\n0.1,2\n", BODY + other)
    np.testing.assert_allclose(recording.samples["late"].time, [0, 0.1], atol=1e-9)
    np.testing.assert_allclose(recording.samples["s"].time, [0.25, 0.35])


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('unit = "weeks"', "clock.unit"),
        ('dates = "backwards"', "clock.dates"),
        ('time_zone = "Mars/Olympus"', "clock.time_zone"),
        ('duplicates = "keep"', "clock.duplicates"),
    ],
)
def test_what_a_clock_cannot_be(tmp_path, keys, words):
    (tmp_path / "r.toml").write_text(HEAD + BODY.replace('"t"', f'"t"\n{keys}'))
    with pytest.raises(RecipeError, match=words):
        load_recipe(tmp_path / "r.toml")
