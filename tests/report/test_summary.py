import io

import numpy as np
import pytest
from rich.console import Console

from tests.report.made_up import by_hand, figures
from worldmodel.report import summary_table
from worldmodel.report.page import page
from worldmodel.report.summary import badge, describe, summarise
from worldmodel.types import StreamSpec
from worldmodel.validate.labels import scores
from worldmodel.validate.scores import Still

HORIZONS = [0.25, 0.5, 1.0, 2.0]


def told(model, others, *, width=0.1, **changes):
    """The one stream of a made-up result, in words."""
    result = by_hand({"imu": figures(model, others, width=width)}, HORIZONS, **changes)
    return describe(scores(result)[0])


def badge_of(model, others, **more):
    return badge(scores(by_hand({"imu": figures(model, others, **more)}, HORIZONS))[0])


def test_better_everywhere_is_said_of_all_baselines_at_once():
    text = told([0.1] * 4, {"hold": [0.4] * 4, "velocity": [0.5] * 4, "linear": [0.3] * 4})
    assert text == (
        "Clearly beats hold-last, constant velocity and the linear model at every horizon. "
        "NRMSE at 1 s: 0.10; the best baseline, the linear model, 0.30."
    )


def test_worse_everywhere_names_the_better_one_and_claims_nothing():
    text = told([0.5] * 4, {"hold": [0.1] * 4, "linear": [0.2] * 4})
    assert text.startswith("Hold-last and the linear model are clearly better at every horizon.")
    assert "beats" not in text
    assert "noise" not in text


def test_crossing_over_gives_each_side_its_horizons():
    text = told([0.3, 0.3, 0.3, 0.3], {"hold": [0.1, 0.29, 0.6, 0.8], "floor_reading": [0.1, 0.1, 0.1, 0.9]})
    assert text.startswith(
        "Clearly beats hold-last from 1 s to 2 s; the floor at 2 s. Within the noise of hold-last at 0.5 s. "
        "Hold-last is clearly better at 0.25 s; the floor is clearly better up to 1 s."
    )


def test_two_separate_spans_are_both_named():
    assert "Clearly beats hold-last at 0.25 s and from 1 s to 2 s." in told([0.1] * 4, {"hold": [0.5, 0.1, 0.5, 0.5]})


def test_overlapping_intervals_are_noise_whichever_is_lower():
    for hold in (0.29, 0.33):
        assert told([0.3] * 4, {"hold": [hold] * 4}).startswith("Within the noise of hold-last at every horizon.")


def test_the_same_figures_with_narrower_intervals_are_clear():
    assert told([0.3] * 4, {"hold": [0.33] * 4}, width=0.01).startswith("Clearly beats hold-last at every horizon.")


def test_undefined_horizons_are_passed_over():
    text = told([None, 0.1, 0.1, 0.1], {"hold": [None, 0.5, None, 0.5], "velocity": [None] * 4})
    assert text.startswith("Clearly beats hold-last at every horizon.")
    assert "velocity" not in text
    assert "NRMSE at 1 s: 0.10." in text


def test_nothing_defined_is_said_so():
    assert told([None] * 4, {"hold": [None] * 4}) == "There is nothing to compare here."


def test_without_intervals_nothing_is_clear():
    stream = figures([0.1] * 4, {"hold": [0.4] * 4})
    nothing = np.full(4, np.nan)
    stream = {name: score._replace(gap_low=nothing, gap_high=nothing) for name, score in stream.items()}
    text = describe(scores(by_hand({"imu": stream}, HORIZONS))[0])
    assert text.startswith("Beats hold-last at every horizon.")


def test_one_episode_has_no_chance_to_speak_of():
    result = by_hand({"imu": figures([0.1] * 4, {"hold": [0.4] * 4}, width=0)}, HORIZONS)
    result.setting = result.setting._replace(episodes=1)
    summary = summarise(result)
    assert summary.streams[0].text.startswith("Beats hold-last")
    assert any(note.tone == "warning" and "only one episode" in note.text for note in summary.notes)


def test_a_model_worse_than_the_average_is_told_so_first():
    text = told([0.2, 0.5, 1.0, 1.4], {"hold": [2.0] * 4})
    assert text.startswith("Worse than naming the average at 2 s (NRMSE above 1). Clearly beats hold-last")
    assert "average" not in told([0.2, 0.5, 0.9, 1.0], {"hold": [2.0] * 4})


def test_the_headline_begins_with_what_is_worse_than_the_average():
    streams = {
        "imu": figures([0.2, 0.5, 1.0, 1.4], {"hold": [2.0] * 4}),
        "gyro": figures([1.1] * 4, {"hold": [2.0] * 4}),
        "wheel": figures([0.5] * 4, {"hold": [2.0] * 4}),
        "camera": figures([20, 20, 14, 13], {"hold": [25, 21, 18, 15], "mean": [14.7] * 4}, key="psnr"),
    }
    overall = {"model": np.full(4, 0.8), "hold": np.full(4, 2.0)}
    first, *_ = summarise(by_hand(streams, HORIZONS, overall=overall)).headline
    assert first == ("Worse than naming the average: imu at 2 s; gyro at every horizon; camera from 1 s to 2 s.")


def test_video_counts_more_decibels_as_better_and_names_the_copied_frame():
    camera = figures([20, 20, 20, 20], {"hold": [25, 21, 18, 15]}, key="psnr")
    stream = scores(by_hand({"camera": camera}, HORIZONS))[0]
    assert describe(stream) == (
        "Beats the copied last frame from 1 s to 2 s. The copied last frame is better up to 0.5 s. "
        "PSNR at 1 s: 20.0 dB; the copied last frame 18.0 dB."
    )
    assert stream.best(0) == "hold"
    assert stream.best(3) == "model"


def test_gps_is_given_in_metres():
    result = by_hand({"gps": figures([0.5] * 4, {"hold": [3.0] * 4})}, HORIZONS)
    assert "Position error at 1 s: 0.50 m; the best baseline, hold-last, 3.00 m." in describe(scores(result)[0])


@pytest.mark.parametrize(
    ("hold", "linear", "expected"),
    [
        ([0.5] * 4, [0.5] * 4, "ahead"),
        ([0.5] * 4, [0.1, 0.5, 0.5, 0.5], "ahead from 0.5 s"),
        ([0.5] * 4, [0.5, 0.5, 0.5, 0.2], "mixed"),
        ([0.1] * 4, [0.1] * 4, "behind"),
        ([0.2] * 4, [0.2] * 4, "level"),
        ([None] * 4, [None] * 4, "unknown"),
    ],
)
def test_badge(hold, linear, expected):
    assert badge_of([0.2] * 4, {"hold": hold, "linear": linear}) == expected


def test_the_floor_does_not_take_the_badge_away():
    assert badge_of([0.2] * 4, {"hold": [0.5] * 4, "floor_reading": [0.01] * 4}) == "ahead"


def test_headline_counts_streams_and_compares_over_all():
    streams = {
        "imu": figures([0.2] * 4, {"hold": [0.5] * 4}),
        "wheel": figures([0.5] * 4, {"hold": [0.5] * 4}),
    }
    overall = {"model": 0.3, "hold": 0.6, "floor_reading": 0.25, "floor_estimate": 0.05}
    overall = {name: np.full(4, error) for name, error in overall.items()}
    first, second = summarise(by_hand(streams, HORIZONS, overall=overall)).headline
    assert first.endswith(
        "1 s ahead is 0.30 of the readings' standard deviation: 50 % below hold-last, 20 % above the floor and "
        "6.00 times the floor from an estimate."
    )
    assert second == "At 1 s ahead it beats every baseline on 1 of 2 streams; not on wheel."


@pytest.mark.parametrize(
    ("ratio", "tone", "word"), [(1.01, "warning", "ignores"), (1.1, "plain", "a little"), (2.0, "good", "uses")]
)
def test_action_sensitivity_warns_near_one(ratio, tone, word):
    note = summarise(by_hand({}, HORIZONS, action_sensitivity=ratio)).notes[0]
    assert note.tone == tone
    assert word in note.text
    assert f"{ratio:.2f}" in note.text


def test_streams_that_stand_still_are_named_once_and_in_no_verdict():
    streams = {
        "imu": figures([0.2] * 4, {"hold": [0.5] * 4}),
        "wheel": figures([None] * 4, {"hold": [None] * 4}),
        "motor": figures([2.0] * 4, {"hold": [0.5] * 4}),
        "arm": figures([0.2] * 4, {"hold": [0.5] * 4}),
    }
    still = {
        "wheel": Still((), ("x",), True),
        "motor": Still(("x",), (), True),
        "arm": Still(("x",), (), False),
    }
    covered = {"imu": 0.9, "wheel": 0.1, "motor": 0.2, "arm": 0.9}
    calibration = {name: np.append(np.zeros(8), share) for name, share in covered.items()}
    result = by_hand(streams, HORIZONS, still=still, calibration=calibration)
    result.streams["arm"] = StreamSpec("arm", "sensor", ("x", "y"), ("m", "m"), 10.0)
    summary = summarise(result)
    assert summary.headline == ["At 1 s ahead it beats every baseline on every stream."]
    assert [stream.name for stream in summary.streams] == ["imu", "arm"]
    texts = [note.text for note in summary.notes]
    assert "Well calibrated: the 90 % intervals hold 90 % of the readings on imu and arm." in texts
    assert not any("Overconfident" in text for text in texts)
    assert texts[-1] == (
        "Not judged: wheel stands still or is not read in what is measured; motor, arm.x stood still in all that was "
        "learned from."
    )
    result.streams["arm"] = result.streams["imu"]
    said = page(result)
    for name in ("wheel", "motor"):
        assert said.count(f"<summary>{name}</summary>") == 1  # every figure stays for those who want it
        assert f"<b>{name}</b>" not in said
        assert f"<h3>{name}</h3>" not in said
    console = Console(file=io.StringIO(), width=100)
    console.print(summary_table(result))
    assert "wheel" not in console.file.getvalue()
    assert {"wheel", "motor"} <= result.metrics["streams"].keys()


def test_unknown_action_sensitivity_is_not_mentioned():
    assert summarise(by_hand({}, HORIZONS)).notes == []


def test_calibration_is_sorted_into_narrow_wide_and_good():
    result = by_hand({}, HORIZONS)
    for name, share in {"imu": 0.6, "wheel": 0.5, "gps": 0.88, "bus": 0.99, "silent": np.nan}.items():
        result.calibration[name] = np.append(np.zeros(8), share)
    texts = {note.tone: note.text for note in summarise(result).notes}
    assert "hold only 50 to 60 % of the readings on imu and wheel" in texts["warning"]
    assert "hold 88 % of the readings on gps" in texts["good"]
    assert "hold 99 % of the readings on bus" in texts["plain"]
    assert not any("silent" in text for text in texts.values())
