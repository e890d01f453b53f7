"""Validation end to end: on a tiny trained run, and with predictors whose scores are known."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import rollouts_of_one_length
from tests.oscillator import SPECS, episode
from tests.predictors import OF_A_RUN
from tests.untrained import untrained_run
from tests.validate.problems import Oracle, Says
from worldmodel.draw import Picture
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate import BEHAVIOURS, load_scene, simulate
from worldmodel.training import load_run, train
from worldmodel.types import Samples, StreamSpec
from worldmodel.validate import Forecast, Model, make_problem, of_run, score, validate
from worldmodel.validate import scoring as scoring_module
from worldmodel.validate.counterfactual import counterfactual
from worldmodel.validate.floor import Floor, FloorEstimate
from worldmodel.validate.labels import LOOKS, judged, number
from worldmodel.validate.leaks import action_use, estimate_leak, future_leak
from worldmodel.validate.scores import Still

DT, CONTEXT, HORIZON = 0.05, 8, 4
DIAL = StreamSpec("dial", "sensor", ("level", "fixed"), ("V", "V"), 10.0)  # the second column never moves
SEEN = (*(s for s in SPECS if s.kind != "video"), DIAL)
READINGS = ("position", "velocity", "phase", "gps", "dial")
PREDICTORS = OF_A_RUN  # no floor: the log names no twin
BESIDE = {"phase": ("angles",)}  # which speak of some streams alone
QUIET = {"progress": False}
SPANS = {"dt": DT, "context_s": CONTEXT * DT, "horizon_s": HORIZON * DT}


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
    options = {"preset": "debug", "steps": 1, "dt": DT, "context_s": CONTEXT * DT, "horizon_s": HORIZON * DT}
    with rollouts_of_one_length():
        train([folder / "train"], folder / "run", holdout=0.4, **options, **QUIET)
    return folder


@pytest.fixture(scope="module")
def result(folder):
    return validate(folder / "run", log=folder / "fresh.h5", outages=True, **QUIET)


@pytest.fixture(scope="module")
def starts(folder):
    return load_run(folder / "run").windows(Log(folder / "fresh.h5")).starts()


@pytest.fixture
def fresh(folder):
    return make_problem(Log(folder / "fresh.h5"), **SPANS)


def test_metrics_have_the_documented_keys(result, folder, starts):
    metrics = result.metrics
    json.dumps(metrics, allow_nan=False)
    assert {k: metrics[k] for k in ("format", "version", "seed")} == {
        "format": "worldmodel-metrics", "version": 2, "seed": 0,
    }  # fmt: skip
    assert metrics["horizons_s"] == [0.05, 0.1]
    assert {"streams", "overall", "action_sensitivity", "data_sha256", "code_version"} <= metrics.keys()
    problem = {k: metrics["problem"][k] for k in ("name", "kind", "episodes", "starts")}
    assert problem == {"name": "fresh", "kind": "replay", "episodes": 2, "starts": len(starts)}
    times = [metrics["problem"][k] for k in ("dt", "context_s", "horizon_s")]
    assert times == pytest.approx([DT, CONTEXT * DT, HORIZON * DT])
    assert metrics["data_sha256"] == Log(folder / "fresh.h5").sha256
    assert metrics["action_sensitivity"] > 0


def test_what_is_noted_is_said_once(result):
    assert sum("no simulated twin" in note for note in result.notes) == 1
    assert len(set(result.notes)) == len(result.notes)


def test_a_column_that_never_moved_is_known_and_not_judged(folder, result):
    unmoved = load_run(folder / "run").unmoved
    assert {name: list(still) for name, still in unmoved.items() if still.any()} == {"dial": [False, True]}
    assert result.metrics["still"] == {"dial": {"trained": ["fixed"], "measured": ["fixed"], "judged": True}}


def test_a_stream_that_nobody_saw_moving_is_scored_but_not_judged(fresh):
    unmoved = {"position": np.array([True])}
    far = {n: c.values + (1e3 if n == "position" else 0.1) for n, c in fresh.truth.truth.items()}
    result = score(dataclasses.replace(fresh, unmoved=unmoved), [Says("far", mean=far)])
    assert result.still["position"] == Still(("x",), (), True)
    assert result.rmse("position", "far", at_s=0.1) == pytest.approx(1e3)
    assert result.overall["far"].max() < 10
    assert "position" not in {stream.name for stream in judged(result)}
    assert score(fresh, [Says("far", mean=far)]).overall["far"].min() > 10


def documented(section):
    """The keys that a table of `docs/metrics.md` describes."""
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    (table,) = re.findall(rf"^#+ {re.escape(section)}\n.*?\n(\|.*?)\n\n", text + "\n", re.DOTALL | re.MULTILINE)
    return {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_written_standard_names_every_key(result, seen):
    assert documented("metrics.json, version 2") == result.metrics.keys()
    gps = result.metrics["streams"]["gps"]["model"]
    assert documented("Sensors and positions") == gps.keys()
    assert documented("Video") == seen[0].metrics["streams"]["camera"]["hold"].keys()


def test_the_written_standard_names_every_predictor():
    assert documented("Predictors") == LOOKS.keys() >= set(PREDICTORS)


def test_the_written_standard_names_every_key_of_an_outage(result):
    (first, *_) = result.metrics["outages"]
    cost = first["streams"]["gps"]["model"]
    (share, *_) = first["trust"]["gps"].values()
    assert documented("Outages") == first.keys() | cost.keys() | share.keys() | {"psnr", "psnr_faulty"}


def test_outages_cost_those_who_see_what_is_lost(result):
    """What holds each stream is hit by its own faults alone; what is lost counts for the model elsewhere as well."""
    outages = {o.name: o for o in result.outages}
    names = ["gps out", "half of velocity lost", "velocity stuck", "position stuck", "phase stuck", "dial stuck"]
    assert list(outages) == names
    for outage in outages.values():
        assert outage.episodes == 2
        for stream, table in outage.costs.items():
            assert {"model", "network", "hold", "linear", "ridge"} <= table.keys()
            hold = table["hold"]
            same = np.allclose(hold.without.nrmse, hold.faulty.nrmse, equal_nan=True)
            assert same == (stream not in outage.hit)
    stuck = outages["position stuck"].costs["position"]["model"]
    assert np.nanmin(stuck.ratio) > 1
    for cost in (c for o in outages.values() for t in o.costs.values() for c in t.values()):
        known = np.isfinite(cost.ratio)
        np.testing.assert_allclose(cost.ratio[known], (cost.faulty.nrmse / cost.without.nrmse)[known])
        assert (cost.low[known] <= cost.high[known]).all()
    assert outages["gps out"].raw_fix is None  # no truth is known
    for shares in outages["gps out"].trust.values():
        np.testing.assert_allclose(sum(faulty for _, faulty in shares.values()), 1, atol=1e-5)


def test_outages_are_measured_on_a_log(folder):
    with pytest.raises(WorldModelError, match="on a log"):
        validate(folder / "run", scene="cartpole", outages=True, **QUIET)


def test_no_predictor_of_a_run_leaks_and_the_model_uses_actions(folder):
    """Experts of which a tick is on the line between two samples may know the command that leaves that very tick."""
    run = load_run(folder / "run")
    windows = run.windows(Log(folder / "fresh.h5"))
    problem = of_run.problem_of(windows, name="leaks", max_starts=16)
    for predictor in (Model(run), *of_run.rivals(run)):
        assert future_leak(predictor, problem), predictor.name
        assert estimate_leak(predictor, problem), predictor.name
        uses = action_use(predictor, problem)
        # products were found for parts of streams alone, of which a predictor by itself has nothing to say
        assert uses.passed == (predictor.name not in ("mean", "hold", "velocity", "ar", "products")), uses.sentence


def test_every_stream_has_every_predictor_with_lists_aligned_with_the_horizons(result):
    streams, count = result.metrics["streams"], len(result.metrics["horizons_s"])
    assert {s: streams[s]["unit"] for s in streams} == {
        "position": "m", "velocity": "m/s", "phase": "rad", "gps": "m", "dial": "V",
    }  # fmt: skip
    assert result.metrics["overall"].keys() == set(PREDICTORS)
    for name in READINGS:
        assert streams[name].keys() == {"unit", *PREDICTORS, *BESIDE.get(name, ())}
        for predictor in PREDICTORS:
            found = streams[name][predictor]
            for key in ("rmse", "nrmse", "crps"):
                assert len(found[key]) == count
                assert all(value >= 0 for value in found[key])
            assert len(found["coverage90"]) == count
            assert all((value is not None) == (predictor in ("model", "network")) for value in found["coverage90"])
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


def test_scores_at_every_tick_and_examples_are_there_to_draw(result):
    assert result.times == pytest.approx(np.arange(1, HORIZON + 1) * DT)
    asked = {(name, predictor) for name in READINGS for predictor in (*PREDICTORS, *BESIDE.get(name, ()))}
    assert {(name, predictor) for name in result.scores for predictor in result.scores[name]} == asked
    assert len(result.examples) == 3
    for example in result.examples:
        assert example.episode in ("seed 20", "seed 21")
        assert example.members["position"].shape[1:] == (HORIZON, 1)
        assert example.baselines["mean"]["gps"].shape == (HORIZON, 3)


def test_figures_are_asked_by_name_and_moment(result):
    metrics = result.metrics["streams"]
    assert result.rmse("gps", "model", at_s=0.1) == pytest.approx(metrics["gps"]["model"]["rmse"][1])
    assert result.nrmse("dial", "mean", at_s=0.05) == pytest.approx(metrics["dial"]["mean"]["nrmse"][0])
    assert result.crps("phase", "hold", 0.1) == pytest.approx(metrics["phase"]["hold"]["crps"][1])
    assert result.coverage("gps", "model", 0.1, 50) == pytest.approx(metrics["gps"]["model"]["coverage50"][1])
    assert result.rmse("gps", "hold", at_s=0.15) == pytest.approx(result.scores["gps"]["hold"].rmse[2])
    for wrong, said in (
        (("nowhere", "model", 0.1), "no stream 'nowhere'"),
        (("gps", "nobody", 0.1), "no predictor 'nobody'"),
        (("gps", "model", 9.0), "no figures of gps 9 s ahead"),
    ):
        with pytest.raises(WorldModelError, match=said):
            result.rmse(*wrong)
    with pytest.raises(WorldModelError, match=r"no figure 'rsme'[\s\S]*rmse"):
        result.figure("rsme", "gps", "model", 0.1)


def test_a_tidy_frame_holds_every_defined_figure(result):
    frame = result.to_frame()
    assert list(frame.columns) == ["stream", "predictor", "horizon_s", "figure", "value"]
    at = frame.set_index(["stream", "predictor", "figure"]).sort_index()
    rmse = at.loc[("position", "hold", "rmse")]
    np.testing.assert_allclose(rmse["value"], result.scores["position"]["hold"].rmse)
    np.testing.assert_allclose(rmse["horizon_s"], result.times)
    assert {"rmse east", "crps up", "nrmse"} <= set(frame.query("stream == 'gps'").figure)
    assert frame.value.notna().all()


def test_a_result_shows_itself(result):
    assert "fresh" in repr(result)
    assert all(name in repr(result) for name in (*READINGS, *PREDICTORS))
    assert max(map(len, repr(result).splitlines())) < 100
    (row,) = (line for line in repr(result).splitlines() if line.strip().startswith("position "))
    at_s, rivals = result.times[1], ("mean", "hold", "velocity", "linear")
    best = min(rivals, key=lambda name: result.nrmse("position", name, at_s))
    assert row.endswith(f"{number(result.nrmse('position', best, at_s))} {best}")
    html = result._repr_html_()
    assert html.count("<tr>") == 1 + len(READINGS)
    assert "<td>position error m at 0.1 s</td>" in html
    assert html.count("data:image/png;base64,") == 1
    picture = result.plot()
    assert isinstance(picture, Picture)
    assert len(picture.figure.axes) == len(READINGS)


def test_a_perfect_predictor_of_what_is_true_at_ticks_has_no_error(tmp_path):
    """Sampled at ticks, so that nothing lies between them."""
    specs = [dataclasses.replace(s, rate_hz=20.0) for s in SEEN if s.kind == "sensor" and s.name != "dial"]
    with LogWriter(tmp_path / "a.h5", specs) as writer:
        for seed in range(2):
            streams = episode(seed)
            time = np.arange(80) * DT
            rows = {s.name: np.searchsorted(streams[s.name].time, time + 1e-9) - 1 for s in specs}
            writer.append({s.name: Samples(time, streams[s.name].data[rows[s.name]]) for s in specs})
    problem = make_problem(Log(tmp_path / "a.h5"), **SPANS)
    result = score(problem, [Oracle(problem)])
    assert result.action_sensitivity is None  # nothing is commanded
    for name in ("position", "velocity", "phase"):
        for figure in ("rmse", "crps", "rmse_reading", "nrmse"):
            np.testing.assert_allclose(getattr(result.scores[name]["oracle"], figure), 0, atol=1e-6)


def test_calibrated_members_have_the_scores_of_a_gaussian(fresh):
    """Members and what came are drawn alike about a centre that is off by `sigma`."""
    rng, sigma = np.random.default_rng(0), 0.02
    came = {name: fresh.truth.truth[name].values for name in ("position", "velocity", "gps")}
    drawn = {name: values + sigma * rng.normal(size=values.shape) for name, values in came.items()}
    still = {name: part._replace(age_ticks=0 * part.age_ticks) for name, part in fresh.truth.truth.items()}
    problem = dataclasses.replace(fresh, answers=fresh.truth._replace(truth=still, recorded=still))
    members = {n: v[:, None] + sigma * rng.normal(size=(len(v), 32, *v.shape[1:])) for n, v in drawn.items()}
    result = score(problem, [Says(mean=drawn, members=members)])
    for name, columns in (("position", 1), ("velocity", 1), ("gps", 2)):
        scores = result.scores[name]["says"]
        known = np.isfinite(scores.rmse)
        np.testing.assert_allclose(scores.rmse[known], sigma * np.sqrt(columns), rtol=0.25)  # of GPS the distance
        np.testing.assert_allclose(scores.crps[known], sigma / np.sqrt(np.pi), rtol=0.25)
        np.testing.assert_allclose(scores.spread_skill[known], 1, rtol=0.25)
        np.testing.assert_allclose(result.calibration[name], result.levels, atol=0.1)


def test_the_mean_is_about_as_good_as_naming_the_average(result):
    for name in ("position", "velocity", "dial"):
        assert all(0.7 < value < 1.5 for value in result.metrics["streams"][name]["mean"]["nrmse"])


def test_where_a_run_diverges_it_says_so_and_is_not_scored(folder, monkeypatch):
    model = Model(load_run(folder / "run"))
    futures = model._forecaster.futures

    def wild(*asked):
        foreseen = futures(*asked)
        layout = model.run.layout
        foreseen.clean[0, -1, layout.columns["position"]] = np.inf
        foreseen.read[0, 0, -1, layout.columns["velocity"]] = np.nan
        return foreseen

    monkeypatch.setattr(model._forecaster, "futures", wild)
    with Log(folder / "fresh.h5", truth=True) as log:
        result = score(make_problem(log, **SPANS), [model])
    assert result.scores["position"] == result.scores["velocity"] == {}
    assert result.scores["phase"].keys() == {"model"}
    assert result.notes[0].startswith("model diverges on position, velocity and is not scored there.")


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Scores of a camera's frames by a run and a perfect predictor, and the recorded frames of each episode."""
    log = Log(write(tmp_path_factory.mktemp("seen") / "seen.h5", (30, 31), SPECS))
    run = untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON)
    problem = make_problem(log, **SPANS)

    class Films:
        def predict(self, asked):
            if not asked.frame_ticks:
                return Forecast(mean={"position": np.zeros((len(asked.starts), asked.horizon, 1))})
            ticks = np.maximum(asked.frame_ticks["camera"], 0)
            _, future = problem.truth.windows.cut(asked.starts, HORIZON, ticks)
            return Forecast(frames={"camera": future.frames[0][:, None]})

    from worldmodel.validate import rivals

    result = score(problem, [Films(), *rivals(run)])
    return result, [e.streams["camera"].data.astype(float) / 255 for e in log.episodes], problem.starts, run


def test_video_has_psnr_beside_the_copied_last_frame_and_the_mean_frame(seen):
    """Frames come every other tick; up to one interval before the horizon, the newest one is compared."""
    result, frames, starts, run = seen
    camera = result.metrics["streams"]["camera"]
    assert camera.keys() == {"unit", "Films", "mean", "hold"}
    assert camera["Films"]["psnr"] == pytest.approx([60, 60])
    assert camera["Films"]["rmse"] == [0, 0]
    assert camera["Films"]["ssim"] == pytest.approx([1, 1])
    assert all(x < 0.999 for x in camera["hold"]["ssim"])
    average = run.baselines.mean_frames["camera"].astype(float) / 255
    for i, h in enumerate((1, 2)):
        newest = [(e, t // 2, (t + h) // 2) for e, t in starts if (t + h) // 2 > t // 2]
        mse = np.mean([(frames[e][held] - frames[e][came]) ** 2 for e, held, came in newest])
        assert camera["hold"]["psnr"][i] == pytest.approx(-10 * np.log10(mse), abs=1e-3)
        assert camera["hold"]["rmse"][i] == pytest.approx(np.sqrt(mse), rel=1e-4)
        mse = np.mean([(average - frames[e][came]) ** 2 for e, _, came in newest])
        assert camera["mean"]["psnr"][i] == pytest.approx(-10 * np.log10(mse), abs=1e-3)
        assert result.psnr("camera", "mean", at_s=h * DT) == pytest.approx(camera["mean"]["psnr"][i])
    for example in result.examples:
        film = example.films["camera"]
        assert len(film.truth) > 0
        np.testing.assert_array_equal(film.truth, film.imagined)


def test_a_predictor_of_readings_alone_is_scored_on_a_log_with_video(tmp_path):
    class Still:
        def predict(self, asked):
            return Forecast(mean={"position": np.zeros((len(asked.starts), asked.horizon, 1))})

    result = score(make_problem(Log(write(tmp_path / "seen.h5", (30, 31), SPECS)), **SPANS), [Still()])
    assert np.isfinite(result.rmse("position", "Still", at_s=DT))
    assert [example.films for example in result.examples] == [{}] * len(result.examples)


class Reacts:
    """Is off by what the actions that it gets differ from those of the problem, and by a little more."""

    def __init__(self, problem, reacts, members=0):
        self.problem, self.reacts, self.members = problem, reacts, members
        self.rng = np.random.default_rng(0)

    def predict(self, asked):
        moved = np.abs(asked.commands.values - self.problem.commands.values).sum(-1, keepdims=True) * self.reacts
        came = {n: c.values + 0.1 + moved for n, c in self.problem.truth.truth.items()}
        if not self.members:
            return Forecast(mean=came)
        return Forecast(
            members={n: v[:, None] + 0.2 * self.rng.normal(size=(len(v), 32, *v.shape[1:])) for n, v in came.items()}
        )


def test_action_sensitivity_is_above_one_where_actions_matter(fresh):
    assert score(fresh, [Reacts(fresh, 1.0)]).action_sensitivity > 2


@pytest.mark.parametrize("members", [0, 32])
def test_action_sensitivity_is_one_for_a_model_that_ignores_actions(fresh, members):
    """Also where its members differ: a mean of fewer of them would be off by more."""
    assert score(fresh, [Reacts(fresh, 0.0, members)]).action_sensitivity == pytest.approx(1, abs=0.05)


def test_predictors_of_the_user_stand_beside_the_models_on_the_same_starts(folder, monkeypatch):
    got = []

    class Mine:
        name = "mine"

        def predict(self, problem):
            got.append(problem)
            last = {name: values[:, -1:] for name, values in problem.past.items() if name != "dial"}
            return Forecast(mean={name: np.repeat(value, problem.horizon, 1) for name, value in last.items()})

    result = validate(folder / "run", log=folder / "fresh.h5", predictors=[Mine], **QUIET)
    assert result.subject == "model"
    assert list(result.scores["gps"]) == [*PREDICTORS, "mine"]
    assert "mine" not in result.scores["dial"]
    assert "mine" not in result.overall  # over fewer streams it could not be compared
    assert {"mine"} < set(result.overall) | {"mine"}
    assert result.setting.starts == len(got[0].starts)
    assert any("mine" in example.baselines for example in result.examples)


def test_without_a_run_the_first_predictor_is_the_subject(fresh):
    zeros = {name: 0 * came.values for name, came in fresh.truth.truth.items()}
    result = score(fresh, [Oracle(fresh, 0.05), Says("zeros", mean=zeros)])
    assert result.subject == "oracle"
    assert result.provenance.seed is None
    assert (result.scores["position"]["zeros"].gap_low > 0).all()
    json.dumps(result.metrics, allow_nan=False)


def test_two_of_one_name_and_none_at_all_are_refused(fresh):
    with pytest.raises(WorldModelError, match="Two predictors are called says"):
        score(fresh, [Says(), Says()])
    with pytest.raises(WorldModelError, match="no predictor"):
        score(fresh, [])


def test_a_run_refuses_a_problem_of_another_shape(folder, fresh):
    run = load_run(folder / "run")
    assert "model" in score(fresh, [run]).scores["gps"]
    for spans in ({"dt": 0.1}, {"context_s": 1.0}):
        other = make_problem(Log(folder / "fresh.h5"), **(SPANS | spans))
        with pytest.raises(WorldModelError, match="not of the run's shape"):
            score(other, [run])


@pytest.fixture
def problems(monkeypatch):
    """The problems that are scored, in order; their predictors are replaced by one that knows what came."""
    made = []

    def keep(problem, predictors, **options):
        made.append((problem, predictors))
        return scoring_module.score(problem, [Oracle(problem)], **options)

    monkeypatch.setattr(of_run, "score", keep)
    return made


def test_on_the_training_log_only_held_out_episodes_count(folder, problems):
    kept = load_run(folder / "run").settings.measure
    result = validate(folder / "run", log=folder / "train", **QUIET)
    assert len(kept) == 2
    assert problems[-1][0].truth.windows.episodes == list(kept)
    assert result.setting.episodes == 2


@pytest.mark.parametrize("name", ["a.h5", "b.h5"])
def test_a_file_of_the_training_logs_is_no_new_log(folder, problems, name):
    """It holds episodes that trained the run, so those may not be scored; to refuse the file is right too."""
    first, count = {"a.h5": (0, 3), "b.h5": (3, 2)}[name]
    unseen = {i - first for i in load_run(folder / "run").settings.measure if first <= i < first + count}
    try:
        validate(folder / "run", log=folder / "train" / name, **QUIET)
    except WorldModelError:
        return
    assert set(problems[-1][0].truth.windows.episodes) <= unseen


def test_a_training_log_without_episodes_to_measure_is_refused(folder, tmp_path):
    shutil.copytree(folder / "run", tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "run.json").read_text())
    learnt = [{**episode, "roles": ["learn"]} for episode in settings["episodes"]]
    (tmp_path / "run" / "run.json").write_text(json.dumps({**settings, "episodes": learnt}))
    with pytest.raises(WorldModelError, match=r"has seen every episode[\s\S]*another log"):
        validate(tmp_path / "run", log=folder / "train", **QUIET)


def test_one_of_log_and_scene_is_needed(folder):
    with pytest.raises(WorldModelError, match="one of a log and a scene"):
        validate(folder / "run", **QUIET)
    with pytest.raises(WorldModelError, match="one of a log and a scene"):
        validate(folder / "run", log=folder / "fresh.h5", scene="cartpole", **QUIET)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """A run of the cart-pole, and its problem under actions that were never logged."""
    folder = tmp_path_factory.mktemp("pushed")
    simulate("cartpole", folder / "log.h5", episodes=2, seconds=3, progress=False)
    run = untrained_run(Log(folder / "log.h5"), dt=0.02, context=20, horizon=25)
    with counterfactual(run, "cartpole", 25, 0, progress=False) as problem:
        yield run, problem


def test_a_scene_without_the_runs_streams_is_refused_before_anything_is_simulated(pushed, monkeypatch):
    monkeypatch.setattr("worldmodel.validate.counterfactual.simulate", None)
    with (
        pytest.raises(WorldModelError, match=r"double_pendulum has no stream 'cart' of position, velocity.*"),
        counterfactual(pushed[0], "double_pendulum", 25, 0, progress=False),
    ):
        pass


def test_a_twin_gives_a_log_that_names_none_its_floors(pushed, tmp_path):
    with LogWriter(tmp_path / "real.h5", pushed[0].settings.streams) as writer:
        simulate("cartpole", tmp_path / "a.h5", episodes=2, seconds=2, seed=9, progress=False)
        for episode in Log(tmp_path / "a.h5").episodes:
            writer.append({name: Samples(s.time, s.data) for name, s in episode.streams.items()})
    problem = make_problem(Log(tmp_path / "real.h5"), dt=0.02, context_s=0.4, horizon_s=0.2, max_starts=8)
    for kind in (Floor, FloorEstimate):
        assert not kind(problem.truth).predict(problem.asked).mean
        assert kind(problem.truth, load_scene("cartpole")).predict(problem.asked).mean.keys() == {"cart", "pole"}
    with pytest.raises(WorldModelError, match=r"pusher has no stream 'cart'"):
        validate(pushed[0], log=tmp_path / "real.h5", twin="pusher", **QUIET)
    with pytest.raises(WorldModelError, match="physical limit on a log"):
        validate(pushed[0], scene="cartpole", twin="cartpole", **QUIET)


def test_branches_share_their_context_and_part_after_it(pushed):
    _, problem = pushed
    assert problem.kind == "counterfactual"
    for world in np.unique(problem.groups):
        rows = np.flatnonzero(problem.groups == world)
        assert len(rows) == len(BEHAVIOURS)
        for part in (problem.context.values, problem.context.mask, problem.context.actions.values):
            assert all((part[rows[0]] == part[row]).all() for row in rows)
        for a in range(len(rows)):
            for b in range(a):
                one, two = rows[a], rows[b]
                assert (problem.commands.values[one] != problem.commands.values[two]).any()
                true = problem.truth.truth["pole"].values
                assert (true[one, -1] != true[two, -1]).all()
    assert len(np.unique(problem.context.values[:: len(BEHAVIOURS)], axis=0)) == 24  # worlds differ


def test_counterfactuals_begin_at_several_moments_and_behave_as_training_did_not(pushed):
    _, problem = pushed
    assert len(np.unique(problem.starts[:, 1])) == 3
    assert all(name in problem.acted for name in BEHAVIOURS)
    highest = 10.0  # newtons, of the scene's excitation
    ahead = problem.commands.values[:, :, 0]
    full = (np.abs(np.abs(ahead) - highest) < 1e-3).all(1)
    assert full[list(BEHAVIOURS).index("bang-bang over the full range") :: len(BEHAVIOURS)].mean() > 0.5
    assert not full[:: len(BEHAVIOURS)].any()


def test_scenes_have_a_floor_and_the_bootstrap_counts_worlds(pushed, monkeypatch):
    run, problem = pushed
    from worldmodel.validate.floor import Floor
    from worldmodel.validate.predictors import rivals

    result = score(problem, [Oracle(problem), *rivals(run), Floor(problem.truth)])
    assert (result.setting.episodes, result.setting.starts) == (24, 96)
    assert result.setting.truth == "noise-free"
    assert result.overall.keys() == {"oracle", "mean", "hold", "velocity", "linear", "floor_reading"}
    for name, noise in (("cart", (0.014, 0.033)), ("pole", (0.0275, 0.087))):
        scores = result.scores[name]
        floor, hold = (scores[p].column_rmse[-1] for p in ("floor_reading", "hold"))
        assert (floor < 0.5 * hold).all()
        # the oracle knows what is true: it is off by the noise from the readings
        np.testing.assert_allclose(scores["oracle"].column_crps[0], np.multiply(noise, np.sqrt(2 / np.pi)), rtol=0.35)
        np.testing.assert_allclose(scores["oracle"].nrmse, 0, atol=1e-6)
        np.testing.assert_allclose([scores[p].rank_correlation[-1] for p in ("oracle", "hold")], [1, 0], atol=1e-9)
