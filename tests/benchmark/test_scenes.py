"""Scenes among the benchmark's models: scored on the streams that they know, and refused where they do not fit."""

import json
import shutil
import types

import pytest

from tests.benchmark.made_up import Holds
from tests.simulate.identification import machines
from worldmodel.benchmark import PROBLEMS, BenchmarkProblem, Simulated, benchmark, run
from worldmodel.benchmark.scenes import Given
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.physics import KnownScene
from worldmodel.simulate import simulate
from worldmodel.validate import make_problem, score

DT = 0.02  # twice the scene's own
SPANS = {"dt": DT, "context_s": 0.2, "horizon_s": 0.2}
BLIND = machines.TOML.replace(
    machines.TOML[machines.TOML.index("[streams.speed]") : machines.TOML.index("[streams.torque]")], ""
)
OTHER = machines.TOML.replace("streams.torque", "streams.push")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Of the machine that is measured, without one of its sensors, and with another name of its command."""
    folder = tmp_path_factory.mktemp("scenes")
    machines.scene(folder / "swing", machines.TRUE)
    machines.scene(folder / "blind", machines.TRUE, toml=BLIND)
    machines.scene(folder / "other", machines.TRUE, toml=OTHER)
    return folder


@pytest.fixture
def measure(tmp_path, scenes, monkeypatch):
    """Measures models on the problem `swing`, whose run is not trained and holds, and gives the table."""

    def held(trained, *, log, predictors, **options):
        with Log(log, truth=True) as opened:
            return score(make_problem(opened, max_starts=8, **SPANS), [Holds("model"), *predictors])

    made = types.SimpleNamespace(notes=(), layout=TickLayout(DT, ()), context=10, model=None)
    monkeypatch.setattr(run, "train", lambda *args, **options: made)
    monkeypatch.setattr(run, "validate", held)
    for name in ("swing", "other"):
        logs = Simulated(str(scenes / name), episodes=2, held_out=2, seconds=1.2)
        monkeypatch.setitem(PROBLEMS, name, BenchmarkProblem(name=name, title=name, logs=logs, **SPANS))

    def measure(*models, problems=("swing",)):
        files = benchmark(tmp_path / "out", problems=problems, models=models, seeds=1, progress=False)
        return json.loads(files[0].read_text())

    return measure


def value(table, **where):
    (row,) = [row for row in table["rows"] if where.items() <= row.items()]
    return row["value"]


def test_a_scene_is_a_row_by_its_folders_name_on_the_same_starts(measure, scenes):
    table = measure("model", str(scenes / "swing"))
    assert {row["model"] for row in table["rows"]} == {"model", "swing"}
    for stream in ("all", "angle", "speed"):
        where = {"stream": stream, "figure": "nrmse", "horizon_s": 0.1}
        assert value(table, model="swing", **where) < 0.2 * value(table, model="model", **where)
    assert 0.5 < value(table, model="swing", stream="angle", figure="coverage90", horizon_s=0.1) <= 1
    assert any("swing: " in note and "not calibrated" in note for note in table["problems"]["swing"]["notes"])


def test_it_speaks_of_the_streams_that_it_has(measure, scenes):
    table = measure(KnownScene.of(scenes / "blind"))
    streams = {row["stream"] for row in table["rows"] if row["model"] == "blind"}
    assert streams == {"angle"}  # and of none together, for it could not be compared
    assert value(table, model="blind", stream="angle", figure="nrmse", horizon_s=0.1) < 0.3
    assert any("says nothing of speed" in note for note in table["problems"]["swing"]["notes"])


def test_it_runs_freely_over_a_record(scenes, tmp_path):
    log = simulate(str(scenes / "swing"), tmp_path / "log.h5", episodes=1, seconds=4.0, progress=False)
    asked = Given(scenes / "swing").on([log], 0)
    with Log(log, truth=True) as opened:
        problem = make_problem(opened, **(SPANS | {"horizon_s": 3.7}), max_starts=1)
        result = score(problem, [asked, Holds("hold")])
    assert result.rmse("angle", "swing", at_s=3.0) < 0.1 * result.rmse("angle", "hold", at_s=3.0)


def test_one_that_does_not_fit_is_refused_before_anything_is_trained(measure, scenes, tmp_path, monkeypatch):
    with monkeypatch.context() as changed:
        changed.setattr(run, "train", lambda *args, **options: pytest.fail("it was trained"))
        with pytest.raises(WorldModelError, match=r"does not fit the scene[\s\S]*push"):
            measure("model", scenes / "other")
    table = measure("model")  # which goes on in the same folder
    with pytest.raises(WorldModelError, match="does not fit the scene"):
        measure("model", scenes / "other")
    assert json.loads((tmp_path / "out" / "benchmark.json").read_text()) == table


def test_where_several_problems_are_asked_it_is_left_out_with_a_note_of_those_that_it_does_not_fit(measure, scenes):
    table = measure("model", scenes / "swing", problems=["swing", "other"])
    found = {(row["problem"], row["model"]) for row in table["rows"]}
    assert found == {("swing", "model"), ("swing", "swing"), ("other", "model")}
    (note,) = table["problems"]["other"]["notes"]
    assert note.startswith("Seed 0: swing is left out: ")
    assert "does not fit the scene" in note


def test_units_that_are_others_and_commands_that_it_lacks_do_not_fit(measure, scenes, tmp_path):
    degrees = machines.scene(
        tmp_path / "degrees", machines.TRUE, toml=machines.TOML.replace('units = "rad"', 'units = "deg"')
    )
    with pytest.raises(WorldModelError, match="other units"):
        measure(degrees)
    still = machines.TOML[: machines.TOML.index("[streams.torque]")]
    with pytest.raises(WorldModelError, match="no command torque"):
        measure(machines.scene(tmp_path / "still", machines.TRUE, toml=still.replace("\n{delay}", "")))


def test_one_that_was_fitted_to_what_tests_it_is_refused(measure, scenes, tmp_path):
    measure("model")
    kept = shutil.copytree(scenes / "swing", tmp_path / "fitted")
    with Log(tmp_path / "out" / "swing" / "seed0" / "held_out.h5") as log:
        hashes = log.episode_sha256
    told = {"parameters": [], "covariance": [], "fitted_sha256": hashes[:1]}
    (kept / "identified.json").write_text(json.dumps(told))
    with pytest.raises(WorldModelError, match=r"fitted to 1 of the episodes[\s\S]*train\.h5"):
        measure(kept)


def test_a_scene_that_has_changed_is_measured_anew(measure, scenes, tmp_path):
    kept = shutil.copytree(scenes / "swing", tmp_path / "kept")
    where = {"model": "kept", "stream": "speed", "figure": "nrmse", "horizon_s": 0.1}
    first = value(measure(kept), **where)
    assert value(measure(kept), **where) == first
    (kept / "model.xml").write_text(machines.ROUGH)
    assert value(measure(kept), **where) > 1.2 * first


@pytest.mark.parametrize("taken", ["linear", "swing"])
def test_two_models_of_one_name_are_refused(measure, scenes, tmp_path, taken):
    kept = shutil.copytree(scenes / "swing", tmp_path / taken)
    with pytest.raises(WorldModelError, match=f"Two models are called {taken}"):
        measure(scenes / "swing", kept)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_scene_is_no_model(measure, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorldModelError, match=r"no model '.*empty'[\s\S]*scene\.toml"):
        measure("model", str(tmp_path / "empty"))
    assert not (tmp_path / "out").exists()
