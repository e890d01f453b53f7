"""Validation end to end: on a tiny trained run, and with predictors whose scores are known."""

import json
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.oscillator import SPECS, episode
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.imagine.engine import Imagined
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate import simulate
from worldmodel.training import load_run, train
from worldmodel.types import Samples, StreamSpec
from worldmodel.validate import validate
from worldmodel.validate.validate import _pooled

module = sys.modules["worldmodel.validate.validate"]  # which the function hides

DT, CONTEXT, HORIZON = 0.05, 8, 4
DIAL = StreamSpec("dial", "sensor", ("level", "fixed"), ("V", "V"), 10.0)  # the second column never moves
SEEN = (*(s for s in SPECS if s.kind != "video"), DIAL)
READINGS = ("position", "velocity", "phase", "gps", "dial")
PREDICTORS = ("model", "hold", "velocity", "linear")  # no floor: the log names no twin
QUIET = {"progress": False}


def write(path, seeds, specs=SEEN):
    with LogWriter(path, specs) as writer:
        for seed in seeds:
            streams = episode(seed)
            time, data = streams["position"]
            level = np.concatenate([data[::5], np.full_like(data[::5], 3.3)], 1)
            streams["dial"] = Samples(time[::5], level)
            writer.append({s.name: streams[s.name] for s in specs}, name=f"seed {seed}")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two files to train on, of three and two episodes, one to validate on, and a run."""
    folder = tmp_path_factory.mktemp("validate")
    (folder / "train").mkdir()
    write(folder / "train" / "a.h5", (0, 1, 2))
    write(folder / "train" / "b.h5", (3, 4))
    write(folder / "fresh.h5", (20, 21))
    options = {"preset": "debug", "steps": 40, "dt": DT, "context_s": CONTEXT * DT, "horizon_s": HORIZON * DT}
    train([folder / "train"], folder / "run", holdout=0.4, **options, **QUIET)
    return folder


@pytest.fixture(scope="module")
def result(folder):
    return validate(folder / "run", log=folder / "fresh.h5", **QUIET)


@pytest.fixture(scope="module")
def starts(folder):
    return load_run(folder / "run").windows(Log(folder / "fresh.h5")).starts()


@pytest.fixture
def problems(monkeypatch):
    """The problems that `validate` makes, in order."""
    made, make = [], module.make_problem

    def keep(*args, **options):
        made.append(make(*args, **options))
        return made[-1]

    monkeypatch.setattr(module, "make_problem", keep)
    return made


@pytest.fixture
def predict(problems, monkeypatch):
    """Replaces the model: `predict(change)` imagines what came as `change(came, actions - own actions)` makes it."""

    class Oracle:
        change = None

        def __init__(self, model, seed):
            pass

        def readings(self, context, actions, members):
            future = problems[-1].future
            came = future.values.astype(float)[:, None].repeat(members, 1)
            return Imagined(*Oracle.change(came, (actions - future.actions).sum(-1)[:, None, :, None]))

        def frames(self, context, actions, ticks, members=1):
            problem = problems[-1]
            same = [(problem.context.values == values).all((1, 2)) for values in context.values]
            rows = [np.flatnonzero(row)[0] for row in same]
            _, future = problem.windows.cut(problem.starts[rows], problem.horizon, ticks)
            return [f[:, None].repeat(members, 1) for f in future.frames]

    def use(change):
        Oracle.change = staticmethod(change)
        monkeypatch.setattr(module, "Imaginer", Oracle)

    return use


def perfect(came, moved):
    return came, came


def test_metrics_have_the_documented_keys(result, folder, starts):
    metrics = result.metrics
    json.dumps(metrics, allow_nan=False)
    assert {k: metrics[k] for k in ("format", "version", "seed")} == {
        "format": "worldmodel-metrics", "version": 1, "seed": 0,
    }  # fmt: skip
    assert metrics["horizons_s"] == [0.05, 0.1]
    assert {"streams", "overall", "action_sensitivity", "data_sha256", "code_version"} <= metrics.keys()
    problem = {k: metrics["problem"][k] for k in ("name", "kind", "episodes", "starts")}
    assert problem == {"name": "fresh", "kind": "replay", "episodes": 2, "starts": len(starts)}
    times = [metrics["problem"][k] for k in ("dt", "context_s", "horizon_s")]
    assert times == pytest.approx([DT, CONTEXT * DT, HORIZON * DT])
    assert metrics["data_sha256"] == Log(folder / "fresh.h5").sha256
    assert metrics["action_sensitivity"] > 0


def documented(section):
    """The keys that a table of `docs/metrics.md` describes."""
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    (table,) = re.findall(rf"^#+ {re.escape(section)}\n.*?\n(\|.*?)\n\n", text + "\n", re.DOTALL | re.MULTILINE)
    return {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_written_standard_names_every_key(result, seen):
    assert documented("metrics.json, version 1") == result.metrics.keys()
    gps = result.metrics["streams"]["gps"]["model"]
    assert documented("Sensors and GPS") == gps.keys()
    assert documented("Video") == seen[0].metrics["streams"]["camera"]["model"].keys()


def test_every_stream_has_every_predictor_with_lists_aligned_with_the_horizons(result):
    streams, count = result.metrics["streams"], len(result.metrics["horizons_s"])
    assert {s: streams[s]["unit"] for s in streams} == {
        "position": "m", "velocity": "m/s", "phase": "rad", "gps": "m", "dial": "V",
    }  # fmt: skip
    assert result.metrics["overall"].keys() == set(PREDICTORS)
    for name in READINGS:
        assert streams[name].keys() == {"unit", *PREDICTORS}
        for predictor in PREDICTORS:
            found = streams[name][predictor]
            for key in ("rmse", "nrmse", "crps"):
                assert len(found[key]) == count
                assert all(value >= 0 for value in found[key])
            assert len(found["coverage90"]) == count
            assert all((value is not None) == (predictor == "model") for value in found["coverage90"])
    for predictor in PREDICTORS:
        assert len(result.metrics["overall"][predictor]["nrmse"]) == count


def test_what_hold_scores_is_what_a_loop_over_the_recording_gives(result, folder, starts):
    streams = [e.streams["position"] for e in Log(folder / "fresh.h5").episodes]

    def reading(e, tick):  # the newest sample
        return float(streams[e].data[streams[e].time <= tick * DT + 1e-7][-1, 0])

    came = np.array([reading(e, t + h) for e, t in starts for h in range(1, HORIZON + 1)])
    hold = result.metrics["streams"]["position"]["hold"]
    for i, seconds in enumerate(result.metrics["horizons_s"]):
        errors = np.array([reading(e, t) - reading(e, t + round(seconds / DT)) for e, t in starts])
        rmse = np.sqrt(np.mean(errors**2))
        assert hold["rmse"][i] == pytest.approx(rmse, rel=1e-4)
        assert hold["nrmse"][i] == pytest.approx(rmse / came.std(), rel=1e-3)
        assert hold["crps"][i] == pytest.approx(np.mean(np.abs(errors)), rel=1e-4)


def test_a_column_that_never_moves_does_not_rule_the_normalised_error(result):
    """Nothing is normalised by a deviation of nothing."""
    for predictor in PREDICTORS:
        dial, position = (result.metrics["streams"][n][predictor] for n in ("dial", "position"))
        assert dial["rmse"][0] < 1
        assert all(value < 10 for value in (*dial["nrmse"], *position["nrmse"]))
    assert all(value < 10 for value in result.metrics["overall"]["model"]["nrmse"])


def test_an_angle_deviates_from_its_circular_mean():
    """About pi, where it wraps, it deviates as it would about zero."""
    small = 0.1 * np.random.default_rng(0).normal(size=(50, 4, 1))
    spec = next(s for s in SEEN if s.name == "phase")
    for centre in (0.0, np.pi, -2.0):
        truth = (small + centre + np.pi) % (2 * np.pi) - np.pi
        problem = SimpleNamespace(truth={"phase": truth}, truth_mask={"phase": np.ones(truth.shape, bool)})
        assert module._deviation(problem, spec) == pytest.approx(small.std(), rel=1e-3)


@pytest.mark.parametrize("name", READINGS)
def test_the_interval_holds_the_figure(result, name):
    for predictor in PREDICTORS:
        found = result.metrics["streams"][name][predictor]
        for low, value, high in zip(found["nrmse_low"], found["nrmse"], found["nrmse_high"], strict=True):
            assert low * 0.9999 <= value <= high * 1.0001
        ours = result.metrics["streams"][name]["model"]["nrmse"]
        gaps = np.array(found["nrmse"]) - ours
        assert (np.array(found["gap_low"]) - 1e-6 <= gaps).all()
        assert (gaps <= np.array(found["gap_high"]) + 1e-6).all()


def test_curves_and_examples_are_there_to_draw(result):
    assert result.curve_s == pytest.approx(np.arange(1, HORIZON + 1) * DT)
    assert {(n, p) for n in result.curves for p in result.curves[n]} == {(n, p) for n in READINGS for p in PREDICTORS}
    assert len(result.examples) == 3
    for example in result.examples:
        assert example.episode in ("seed 20", "seed 21")
        assert example.members["position"].shape[1:] == (HORIZON, 1)


def test_a_perfect_predictor_has_no_error(folder, predict):
    predict(perfect)
    metrics = validate(folder / "run", log=folder / "fresh.h5", **QUIET).metrics
    for name in READINGS:
        for key in ("rmse", "crps", "rmse_reading"):
            np.testing.assert_allclose(metrics["streams"][name]["model"][key], 0, atol=1e-4, err_msg=f"{name} {key}")
        assert metrics["streams"][name]["hold"]["rmse"][1] > 0.01
    for name in ("position", "velocity", "phase", "gps"):
        np.testing.assert_allclose(metrics["streams"][name]["model"]["nrmse"], 0, atol=1e-4)


def test_calibrated_members_have_the_scores_of_a_gaussian(folder, predict):
    """Members and what came are drawn alike about a centre that is off by `sigma`."""
    rng, sigma = np.random.default_rng(0), 0.02

    def drawn(came, moved):
        centre = came + sigma * rng.normal(size=(len(came), 1, *came.shape[2:]))
        return centre.repeat(came.shape[1], 1), centre + sigma * rng.normal(size=came.shape)

    predict(drawn)
    result = validate(folder / "run", log=folder / "fresh.h5", **QUIET)
    for name, columns in (("position", 1), ("velocity", 1), ("gps", 2)):
        scores = result.metrics["streams"][name]["model"]
        np.testing.assert_allclose(scores["rmse"], sigma * np.sqrt(columns), rtol=0.25)  # of GPS the distance
        np.testing.assert_allclose(scores["crps"], sigma / np.sqrt(np.pi), rtol=0.25)
        np.testing.assert_allclose(scores["spread_skill"], 1, rtol=0.25)
        np.testing.assert_allclose(result.calibration[name], result.levels, atol=0.1)


def test_position_error_is_given_in_percent_of_the_distance(result):
    """Two machines at 1 and 7 m/s: their distances' root mean square is that of a machine at 5 m/s."""
    gps = next(s for s in SEEN if s.kind == "gps")
    east = np.outer([1.0, 7.0], np.arange(1, 5) * DT)
    truth = np.stack([east, 0 * east, 0 * east], -1)
    problem = SimpleNamespace(
        truth={"gps": truth},
        truth_mask={"gps": np.ones(truth.shape, bool)},
        windows=SimpleNamespace(layout=SimpleNamespace(dt=DT)),
    )
    found = module._percent(np.full(4, 0.1), problem, gps, [0, 1, 3])["percent_of_distance"]
    assert found == [None, pytest.approx(100 * 0.1 / (5 * 2 * DT)), pytest.approx(100 * 0.1 / (5 * 4 * DT))]
    for predictor in PREDICTORS:  # one fix within the horizon says nothing of a distance
        assert result.metrics["streams"]["gps"][predictor]["percent_of_distance"] == [None, None]


@pytest.fixture
def seen(tmp_path, predict, monkeypatch):
    """The scores of a camera's frames by a perfect predictor, and the recorded frames of each episode."""
    log = Log(write(tmp_path / "seen.h5", (30, 31), SPECS))
    run = untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON)
    monkeypatch.setattr(module, "load_run", lambda folder: run)
    predict(perfect)
    result = validate(tmp_path, log=log.files[0], **QUIET)
    return result, [e.streams["camera"].data.astype(float) / 255 for e in log.episodes], run.windows(log).starts()


def test_video_has_psnr_beside_the_copied_last_frame(seen):
    """Frames come every other tick; up to one interval before the horizon, the newest one is compared."""
    result, frames, starts = seen
    camera = result.metrics["streams"]["camera"]
    assert camera.keys() == {"unit", "model", "hold"}
    for predictor in ("model", "hold"):
        assert {"rmse", "nrmse", "crps", "coverage90", "psnr"} <= camera[predictor].keys()
        assert camera[predictor]["crps"] == camera[predictor]["coverage90"] == [None, None]
    assert camera["model"]["psnr"] == pytest.approx([60, 60])
    assert camera["model"]["rmse"] == [0, 0]
    assert camera["model"]["ssim"] == pytest.approx([1, 1])
    assert all(x < 0.999 for x in camera["hold"]["ssim"])
    for i, h in enumerate((1, 2)):
        newest = [(e, t // 2, (t + h) // 2) for e, t in starts if (t + h) // 2 > t // 2]
        mse = np.mean([(frames[e][held] - frames[e][came]) ** 2 for e, held, came in newest])
        assert camera["hold"]["psnr"][i] == pytest.approx(-10 * np.log10(mse), abs=1e-3)
        assert camera["hold"]["rmse"][i] == pytest.approx(np.sqrt(mse), rel=1e-4)
    for example in result.examples:
        assert len(example.video_truth["camera"]) > 0
        np.testing.assert_array_equal(example.video_truth["camera"], example.video_imagined["camera"])


def test_action_sensitivity_is_above_one_where_actions_matter(folder, predict):
    predict(lambda came, moved: (came + 0.1 + moved, came))
    assert validate(folder / "run", log=folder / "fresh.h5", **QUIET).metrics["action_sensitivity"] > 2


@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_action_sensitivity_is_one_for_a_model_that_ignores_actions(folder, predict, spread):
    """Also where its members differ: a mean of fewer of them would be off by more."""
    rng = np.random.default_rng(0)
    predict(lambda came, moved: (came + 0.02 + spread * rng.normal(size=came.shape), came))
    sensitivity = validate(folder / "run", log=folder / "fresh.h5", **QUIET).metrics["action_sensitivity"]
    assert sensitivity == pytest.approx(1, abs=0.05)


def test_on_the_training_log_only_held_out_episodes_count(folder, predict, problems):
    predict(perfect)
    held = load_run(folder / "run").settings.measure
    metrics = validate(folder / "run", log=folder / "train", **QUIET).metrics
    assert len(held) == 2
    assert problems[-1].windows.episodes == list(held)
    assert metrics["problem"]["episodes"] == 2


@pytest.mark.parametrize("name", ["a.h5", "b.h5"])
def test_a_file_of_the_training_logs_is_no_new_log(folder, predict, problems, name):
    """It holds episodes that trained the run, so those may not be scored; to refuse the file is right too."""
    predict(perfect)
    first, count = {"a.h5": (0, 3), "b.h5": (3, 2)}[name]
    unseen = {i - first for i in load_run(folder / "run").settings.measure if first <= i < first + count}
    try:
        validate(folder / "run", log=folder / "train" / name, **QUIET)
    except WorldModelError:
        return
    assert set(problems[-1].windows.episodes) <= unseen


def test_a_training_log_without_held_out_episodes_is_refused(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "run.json").read_text())
    learned = [{**episode, "roles": ["learn"]} for episode in settings["episodes"]]
    (tmp_path / "run" / "run.json").write_text(json.dumps({**settings, "episodes": learned}))
    with pytest.raises(WorldModelError, match=r"has seen every episode[\s\S]*another log"):
        validate(tmp_path / "run", log=folder / "train", **QUIET)


def test_one_of_log_and_scene_is_needed(folder):
    with pytest.raises(WorldModelError, match="one of a log and a scene"):
        validate(folder / "run", **QUIET)
    with pytest.raises(WorldModelError, match="one of a log and a scene"):
        validate(folder / "run", log=folder / "fresh.h5", scene="cartpole", **QUIET)


@pytest.fixture
def counterfactual(tmp_path, predict, problems, monkeypatch):
    """The problem and the metrics of a perfect predictor on the cart-pole under actions that were never logged."""
    simulate("cartpole", tmp_path / "log.h5", episodes=2, seconds=3, progress=False)
    run = untrained_run(Log(tmp_path / "log.h5"), dt=0.02, context=20, horizon=25)
    monkeypatch.setattr(module, "load_run", lambda folder: run)
    predict(perfect)
    result = validate(tmp_path, scene="cartpole", **QUIET)
    return problems[-1], result.metrics


def test_branches_share_their_context_and_part_after_it(counterfactual):
    problem, _ = counterfactual
    groups = problem.episodes
    assert problem.kind == "counterfactual"
    for world in np.unique(groups):
        rows = np.flatnonzero(groups == world)
        assert len(rows) == 4
        for part in problem.context[:4]:
            assert all((part[rows[0]] == part[row]).all() for row in rows)
        for a in range(4):
            for b in range(a):
                one, two = rows[a], rows[b]
                assert (problem.future.actions[one, 0] != problem.future.actions[two, 0]).all()
                assert (problem.truth["pole"][one, -1] != problem.truth["pole"][two, -1]).all()
    assert len(np.unique(problem.context.values[::4], axis=0)) == 16  # worlds differ


def test_the_bootstrap_counts_worlds(counterfactual):
    problem, metrics = counterfactual
    assert len(np.unique(problem.episodes)) == 16
    shown = {k: metrics["problem"][k] for k in ("name", "kind", "episodes", "starts", "truth")}
    assert shown == {
        "name": "cartpole", "kind": "counterfactual", "episodes": 16, "starts": 64, "truth": "noise-free",
    }  # fmt: skip


def test_scenes_have_a_floor_and_errors_of_noise_free_and_noisy_readings(counterfactual):
    _, metrics = counterfactual
    assert metrics["overall"].keys() == {"model", "hold", "velocity", "linear", "floor_reading"}
    last = metrics["horizons_s"].index(0.5)
    for name, noise in (("cart", (0.014, 0.033)), ("pole", (0.0275, 0.087))):
        scores = metrics["streams"][name]
        assert scores["floor_reading"]["rmse"][last] < 0.5 * scores["hold"]["rmse"][last]
        # this predictor knows the noisy readings: it is off by the noise from the truth, and by nothing from them
        assert scores["model"]["rmse"][0] == pytest.approx(np.sqrt(np.square(noise).mean()), rel=0.3)
        np.testing.assert_allclose(scores["model"]["rmse_reading"], 0, atol=1e-5)


@pytest.mark.parametrize(("rate_hz", "width"), [(50.0, 1), (10.0, 1), (4.0, 2), (2.0, 5), (0.5, 20)])
def test_slow_streams_pool_the_ticks_of_one_interval(rate_hz, width):
    rng = np.random.default_rng(0)
    values, mask = rng.normal(size=(3, 12, 2)), rng.uniform(size=(3, 12, 2)) < 0.4
    values[~mask] = np.nan
    spec = StreamSpec("x", "sensor", ("a", "b"), ("", ""), rate_hz)
    total, count = _pooled(values, mask, TickLayout(0.1, (spec,)).interval(spec))
    for w, h, c in np.ndindex(3, 12, 2):
        there = [values[w, k, c] for k in range(max(h - width + 1, 0), h + 1) if mask[w, k, c]]
        assert count[w, h, c] == pytest.approx(len(there))
        assert total[w, h, c] == pytest.approx(sum(there), abs=1e-9)
