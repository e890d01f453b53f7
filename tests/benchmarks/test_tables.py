import pytest

from tests.benchmarks.sweep import sweep
from tests.benchmarks.tables import by_stream, cell, table


class Bowl:
    """Trials whose score is least at a batch of 32 and a rate of 2."""

    def __init__(self):
        self.tried = []

    def preset(self, names):
        return {"rate": 1.0, "batch": 64.0}

    def score(self, chosen):
        self.tried.append(chosen)
        return abs(chosen["rate"] - 2) + abs(chosen["batch"] - 32)


def test_a_sweep_goes_on_from_the_best_of_each_setting_and_tries_nothing_twice():
    trials = Bowl()
    *_, (best, least) = sweep(trials, {"rate": (1.0, 2.0, 4.0), "batch": (16.0, 32.0, 64.0)})
    assert (best, least) == ({"rate": 2.0, "batch": 32.0}, 0)
    assert [tuple(c.values()) for c in trials.tried] == [(1, 64), (2, 64), (4, 64), (2, 16), (2, 32)]


def test_a_cell_is_the_mean_with_the_least_and_the_most():
    assert cell([0.5, 1.0, 3.0]) == "1.5 (0.5 to 3)"
    assert cell([0.123456]) == "0.123"
    assert cell([0.5, None]) == "-"


def test_a_table_has_the_columns_asked_for_in_a_fitting_unit():
    rows = [("mean", [[1.0, 2.0, 3.0]])]
    assert table("x", (0.1, 0.5), [0.1, 0.2, 0.5], rows).splitlines() == [
        "| x | 100 ms | 500 ms |",
        "|---|---|---|",
        "| mean | 1 | 3 |",
    ]
    assert table("x", (1.0,), [0.5, 1.0, 2.0], rows).splitlines()[::2] == ["| x | 1 s |", "| mean | 2 |"]


@pytest.mark.parametrize(("figure", "unit", "named"), [("rmse", "m/s^2", "mean"), ("psnr", "", "mean frame")])
def test_every_stream_shows_the_mean_beside_the_model(figure, unit, named):
    entry = {"unit": unit, "model": {figure: [1.0]}, "mean": {figure: [2.0]}, "mine": {figure: [0.0]}}
    lines = by_stream("x", (1.0,), [{"horizons_s": [1.0], "streams": {"imu": entry}}]).splitlines()
    shown = "m/s²" if figure == "rmse" else "PSNR, dB"
    assert lines[2:] == [f"| imu ({shown}): **world model** | 1 |", f"| imu ({shown}): {named} | 2 |"]
