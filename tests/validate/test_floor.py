"""The floor: MuJoCo from the last readings is right where readings are, and as wrong as they are where they are not."""

import dataclasses
import re
import shutil

import numpy as np
import pytest

from tests.oscillator import write_log
from tests.simulate.models import ARM, DELAYED
from tests.untrained import untrained_run
from worldmodel.codecs import codec
from worldmodel.content import content_dir
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate import load_scene, simulate, suggest
from worldmodel.simulate.signals import controls_at
from worldmodel.simulate.world import World
from worldmodel.types import Samples
from worldmodel.validate import Forecast, Model, make_problem, rivals, score
from worldmodel.validate.floor import Floor, FloorEstimate
from worldmodel.validate.floor import commands as commanded
from worldmodel.validate.leaks import action_use, estimate_leak

HORIZON_S = 0.6


def quiet_scene(name, folder):
    """A copy of a shipped scene whose sensors are free of noise, without its camera."""
    shutil.copytree(content_dir("sim") / name, folder)
    text = (folder / "scene.toml").read_text()
    text = re.sub(r"noise_std = [^#\n]*", "noise_std = 0.0", text)
    (folder / "scene.toml").write_text(re.sub(r"\[streams\.camera\][^\[]*\[64, 64\][^\[]*", "", text))
    return folder


def floor_of(path, dt, horizon_s=HORIZON_S):
    """A problem on a log, and the floor's forecast."""
    problem = make_problem(Log(path, truth=True), dt=dt, context_s=1.0, horizon_s=horizon_s)
    return problem, Floor(problem.truth).predict(problem.asked)


def floor_errors(scene, path, dt, seconds=4.0):
    """By stream, the floor's errors [W, H, E] where truth is known, and the problem."""
    simulate(scene, path, episodes=4, seconds=seconds, seed=3, progress=False)
    problem, forecast = floor_of(path, dt)
    assert "MuJoCo started from the last reading" in forecast.note
    errors = {}
    for spec in problem.readings:
        true = problem.truth.truth[spec.name]
        errors[spec.name] = np.where(true.mask, codec(spec).residual(forecast.mean[spec.name], true.values), np.nan)
    return errors, problem


def test_without_noise_the_floor_is_exact(tmp_path):
    errors, problem = floor_errors(str(quiet_scene("cartpole", tmp_path / "quiet")), tmp_path / "a.h5", 0.02)
    assert errors.keys() == {"cart", "pole"}
    assert problem.truth.noise_free
    for name, error in errors.items():
        assert np.nanmax(np.abs(error)) < 1e-3, name
        assert problem.truth.truth[name].values.std() > 0.1
        assert np.isfinite(error).mean() > 0.99


@pytest.mark.parametrize("xml", [DELAYED, ARM], ids=["delayed", "without names"])
def test_the_floor_knows_keyframes_delays_and_joints_without_names(tmp_path, xml):
    (tmp_path / "model.xml").write_text(xml)
    (tmp_path / "scene.toml").write_text(suggest(tmp_path / "model.xml"))
    errors, problem = floor_errors(str(tmp_path), tmp_path / "a.h5", 0.02)
    assert errors.keys() == {"jointpos", "jointvel"}
    for name, error in errors.items():
        spread = problem.truth.truth[name].values.std((0, 1))
        assert spread.max() > 0.1
        assert (np.nanmax(np.abs(error), (0, 1)) < np.maximum(1e-3 * spread, 1e-3)).all(), name


def test_with_noise_the_floor_is_as_wrong_as_the_last_reading_and_then_more(tmp_path):
    errors, problem = floor_errors("cartpole", tmp_path / "a.h5", 0.02)
    for spec in problem.readings:
        rmse = np.sqrt(np.nanmean(errors[spec.name] ** 2, 0))
        np.testing.assert_allclose(rmse[0], spec.noise_std, rtol=0.25)
    assert (np.nanmean(errors["pole"][:, -1] ** 2, 0) > np.nanmean(errors["pole"][:, 0] ** 2, 0)).all()


def test_without_noise_the_floor_knows_where_the_rover_goes(tmp_path):
    """GPS fixes are older than the moment, by up to an outage: the way since the fix is physics too."""
    errors, problem = floor_errors(str(quiet_scene("rover", tmp_path / "quiet")), tmp_path / "a.h5", 0.05, seconds=6.0)
    speed = np.abs(np.diff(problem.truth.truth["gps"].values, axis=1)).max() / 0.05
    assert speed > 0.5
    assert np.nanmax(np.abs(errors["gps"])) < 0.05


def test_the_best_estimate_is_nearer_than_the_last_reading(recorded):
    problem = make_problem(Log(recorded, truth=True), dt=0.02, context_s=1.0, horizon_s=HORIZON_S)
    last, best = (kind(problem.truth).predict(problem.asked) for kind in (Floor, FloorEstimate))
    assert "pulled to every reading on the way" in best.note
    for spec in problem.readings:
        true = problem.truth.truth[spec.name]
        rmse = [
            np.sqrt(np.mean(codec(spec).residual(f.mean[spec.name], true.values)[true.mask] ** 2)) for f in (last, best)
        ]
        assert rmse[1] < 0.8 * rmse[0], spec.name


def test_the_best_estimate_knows_nothing_that_comes_later(recorded, tmp_path):
    problem = make_problem(Log(recorded, truth=True), dt=0.02, context_s=1.0, horizon_s=HORIZON_S)
    assert estimate_leak(FloorEstimate(problem.truth), problem)
    assert action_use(FloorEstimate(problem.truth), problem)

    def others_later(streams):
        for name in ("cart", "pole"):
            streams[name].data[streams[name].time > 2.0 + 1e-6] += 9.0

    changed = make_problem(Log(edited(recorded, tmp_path / "later.h5", others_later)), dt=0.02, context_s=1.0)
    same = make_problem(Log(recorded), dt=0.02, context_s=1.0)
    known = same.starts[:, 1] * 0.02 <= 2.0 + 1e-6
    assert known.any()
    assert not known.all()
    one, other = (FloorEstimate(p.truth).predict(p.asked).mean["pole"] for p in (same, changed))
    np.testing.assert_array_equal(one[known], other[known])
    assert not np.allclose(one[~known], other[~known])


def test_a_log_without_a_twin_has_no_floor(tmp_path):
    _, forecast = floor_of(write_log(tmp_path / "a.h5", 1), 0.02)
    assert not forecast.mean
    assert "no physical floor" in forecast.note


@pytest.mark.parametrize(("scene", "why"), [("nowhere", "no scene"), ("cartpole", "no stream 'gps'")])
def test_a_twin_that_does_not_fit_is_named_and_stops_nothing(tmp_path, scene, why):
    log = Log(write_log(tmp_path / "a.h5", 2))
    log.about["scene"] = scene
    problem = make_problem(log, dt=0.02, context_s=0.2, horizon_s=0.2)
    forecast = Floor(problem.truth).predict(problem.asked)
    assert not forecast.mean
    assert "no physical floor" in forecast.note
    assert why in forecast.note


def edited(source, target, edit):
    """A copy of a simulated log whose episodes' streams `edit` changes in place."""
    log = Log(source, truth=True)
    truth = [stream.spec for stream in log.episodes[0].truth.values()]
    with LogWriter(target, list(log.streams.values()), truth=truth, about=log.about) as writer:
        for episode in log.episodes:
            streams = {n: Samples(s.time, s.data.copy()) for n, s in episode.streams.items()}
            edit(streams)
            true = {n: Samples(s.time, s.data) for n, s in episode.truth.items()}
            writer.append(streams, truth=true, duration_s=episode.duration_s)
    return target


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return simulate("cartpole", tmp_path_factory.mktemp("floor") / "a.h5", episodes=3, seconds=4.0, progress=False)


@pytest.mark.parametrize("kind", [Floor, FloorEstimate])
def test_a_log_in_other_units_has_the_same_floor(recorded, kind):
    def told(**units):
        log = Log(recorded, truth=True)
        log = log.conform([dataclasses.replace(log.streams[name], units=each) for name, each in units.items()])
        problem = make_problem(log, dt=0.02, context_s=1.0, horizon_s=HORIZON_S)
        return kind(problem.truth).predict(problem.asked)

    plain, other = told(), told(cart=("mm", "mm/s"), push=("kN",))
    np.testing.assert_allclose(other.mean["cart"], 1000 * plain.mean["cart"], rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(other.mean["pole"], plain.mean["pole"], atol=1e-3)


def test_an_empty_command_holds_the_one_before(recorded, tmp_path):
    """Commands that did not change may be left out: the same is in force, so the floor is the same."""

    def repeat(streams):
        streams["push"].data[1::2] = streams["push"].data[::2][: len(streams["push"].data[1::2])]

    def leave_out(streams):
        streams["push"].data[1::2] = np.nan

    whole, sparse = (floor_of(edited(recorded, tmp_path / f"{e.__name__}.h5", e), 0.02)[1] for e in (repeat, leave_out))
    assert whole.mean.keys() == {"cart", "pole"}
    for name, values in whole.mean.items():
        np.testing.assert_allclose(sparse.mean[name], values, atol=1e-6)


def test_without_a_command_the_scenes_own_control_holds_and_that_is_said(recorded, tmp_path):
    def late(streams):
        time, data = streams["push"]
        streams["push"] = Samples(time[time >= 2.0], data[time >= 2.0])

    def never(streams):
        streams["push"] = Samples(np.zeros(0), np.zeros((0, 1), np.float32))

    def zero(streams):
        streams["push"].data[:] = 0

    problem, forecast = floor_of(edited(recorded, tmp_path / "late.h5", late), 0.02)
    assert "no command was given yet" in forecast.note
    early = problem.starts[:, 1] * 0.02 + HORIZON_S < 2.0
    _, still = floor_of(edited(recorded, tmp_path / "zero.h5", zero), 0.02)
    _, silent = floor_of(edited(recorded, tmp_path / "never.h5", never), 0.02)
    for name, values in still.mean.items():
        np.testing.assert_allclose(forecast.mean[name][early], values[early], atol=1e-6)
        np.testing.assert_allclose(silent.mean[name], values, atol=1e-6)
    assert "no command was given yet" in silent.note


def test_a_sensor_that_fills_every_twentieth_row_is_found(recorded, tmp_path):
    """Nothing else reads the pole's speed; without the state beside it, there is only that reading."""

    def thin(streams):
        keep = np.arange(len(streams["pole"].data)) % 20 == 0
        streams["pole"].data[~keep] = np.nan

    log = Log(edited(recorded, tmp_path / "thin.h5", thin))  # opened without its truth
    problem = make_problem(log, dt=0.02, context_s=1.0, horizon_s=HORIZON_S)
    floor = Floor(problem.truth)
    for episode, tick in problem.starts[::8]:
        found = floor._recorded(int(episode), problem.readings).readings(tick * 0.02)
        taken = log.episodes[episode].streams["pole"]
        rows = np.flatnonzero(np.isfinite(taken.data).all(1) & (taken.time <= tick * 0.02 + 1e-7))
        np.testing.assert_array_equal(found["pole"], taken.data[rows[-1]])


def test_an_old_reading_does_not_override_what_the_simulator_knows(recorded, tmp_path):
    """The pole's sensor stops after a second: what it read then is no start a second later."""

    def stop(streams):
        streams["pole"].data[streams["pole"].time > 1.0] = np.nan

    problem = make_problem(Log(edited(recorded, tmp_path / "s.h5", stop), truth=True), dt=0.02, context_s=1.0)
    sensed = Floor(problem.truth)._recorded(0, problem.readings)
    assert "pole" in sensed.readings(1.1)
    assert "pole" not in sensed.readings(2.0)
    assert "cart" in sensed.readings(2.0)


def test_floor_baselines_and_model_get_the_same_actions_number_by_number(recorded, tmp_path, monkeypatch):
    """Also where commands are left out, come late, and fall between ticks."""

    def mangle(streams):
        time, data = streams["push"]
        data[3::7] = np.nan
        late = (time >= 0.5) & (np.arange(len(time)) % 5 != 1)
        streams["push"] = Samples(time[late] + 0.004, data[late])

    log = Log(edited(recorded, tmp_path / "m.h5", mangle), truth=True)
    run = untrained_run(log, dt=0.02, context=20, horizon=25)
    problem = make_problem(log, dt=0.02, context_s=0.4, horizon_s=0.5)
    given = {}

    def spy(name, owner, method, argument):
        real = getattr(owner, method)

        def watched(*args, **options):
            given.setdefault(name, args[argument])  # later, the model gets shuffled ones too
            return real(*args, **options)

        monkeypatch.setattr(owner, method, watched)

    model = Model(run)
    spy("model", model._forecaster, "futures", 1)
    spy("baselines", run.baselines, "predict", 2)

    class Mine:
        def predict(self, problem):
            given["mine"] = problem
            return Forecast(mean={name: values[:, -1:].repeat(25, 1) for name, values in problem.past.items()})

    floor = Floor(problem.truth)
    score(problem, [model, *rivals(run), Mine()])
    forced = commanded(given["mine"])
    assert floor.predict(problem.asked).mean.keys() == {"cart", "pole"}
    commands = given["model"]
    assert not commands.mask.all()
    np.testing.assert_array_equal(given["baselines"].values, commands.values)
    np.testing.assert_array_equal(given["baselines"].mask, commands.mask)
    np.testing.assert_array_equal(given["mine"].actions["push"][:, 19:], commands.values)
    np.testing.assert_array_equal(given["mine"].actions_mask["push"][:, 19:], commands.mask)
    for row, streams in enumerate(forced):
        known = commands.mask[row]
        now = given["mine"].starts[row, 1] * 0.02
        np.testing.assert_array_equal(streams["push"].data[19:], np.where(known, commands.values[row], np.nan))
        np.testing.assert_allclose(streams["push"].time[19:], now + np.arange(25) * 0.02)


def test_controls_hold_until_the_next_number():
    scene = load_scene("cartpole")
    given = {"push": Samples(np.array([0.1, 0.2, 0.3]), np.array([[2.0], [np.nan], [3.0]]))}
    found = controls_at(World(scene), scene, given, np.array([0.0, 0.1, 0.25, 0.3, 9.0]))
    np.testing.assert_array_equal(found[:, 0], [0, 2, 2, 3, 3])
    assert not controls_at(World(scene), scene, {}, np.zeros(3)).any()
