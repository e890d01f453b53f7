"""The protocol: what is a predictor, how it is found, and what of its forecast is refused."""

import sys

import numpy as np
import pytest

from tests.validate.problems import Says, problem_by_hand
from worldmodel.errors import WorldModelError
from worldmodel.types import StreamSpec
from worldmodel.validate import Forecast, Predictor
from worldmodel.validate.forecast import ask, load_predictor, name_of

W, H = 4, 3
SPEC = StreamSpec("imu", "sensor", ("x", "yaw"), ("m", "rad"), 10.0, circular=(False, True))
MODULE = """
from worldmodel.validate import Forecast

class Mine:
    name = "my own"
    def predict(self, problem):
        return Forecast()

class Demanding(Mine):
    def __init__(self, path):
        pass

made = Demanding("a")
number = 3
"""


@pytest.fixture
def problem():
    return problem_by_hand(SPEC, np.random.default_rng(0).normal(size=(W, H, 2)))


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user's, in the working folder and nowhere else."""
    (tmp_path / "their_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", ".")])
    yield "their_models"
    sys.modules.pop("their_models", None)


def test_a_class_is_made_and_an_object_is_taken_as_it_is(module):
    assert name_of(load_predictor(f"{module}:Mine")) == "my own"
    made = load_predictor(f"{module}:made")
    assert made is load_predictor(made)
    assert isinstance(made, Predictor)
    assert name_of(load_predictor(type(made).__bases__[0])) == "my own"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("their_models", "package.module:Class"),
        ("their_models:", "package.module:Class"),
        ("no_such_module:Mine", "cannot be loaded"),
        ("their_models:Yours", r"has no Yours[\s\S]*Mine, Demanding"),
        ("their_models:Demanding", r"cannot be made without arguments[\s\S]*path"),
        ("their_models:number", r"is no predictor[\s\S]*predict\(problem\)"),
        (3.5, "is no predictor"),
        (dict, "is no predictor"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(module, given, said):
    with pytest.raises(WorldModelError, match=said):
        load_predictor(given)


def test_a_predictor_gets_no_answers(problem):
    class Nosy(Says):
        def predict(self, problem):
            assert problem.answers is None
            return super().predict(problem)

    assert ask(Nosy(mean={}), problem) == Forecast(mean={}, members={}, frames={})


def test_members_get_their_mean_across_the_seam(problem):
    """Of the angles pi - 0.1 and -pi + 0.1 it is pi, not 0."""
    members = np.zeros((W, 2, H, 2))
    members[:, 0], members[:, 1] = (1.0, np.pi - 0.1), (3.0, 0.1 - np.pi)
    found = ask(Says(members={"imu": members}), problem)
    np.testing.assert_allclose(found.mean["imu"][..., 0], 2)
    np.testing.assert_allclose(np.abs(found.mean["imu"][..., 1]), np.pi)
    assert found.members["imu"].shape == (W, 2, H, 2)


def test_one_member_is_a_prediction_and_no_ensemble(problem):
    found = ask(Says(members={"imu": np.ones((W, 1, H, 2))}), problem)
    assert not found.members
    np.testing.assert_array_equal(found.mean["imu"], 1)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"mean": {"gps": np.zeros((W, H, 3))}}, r"what was not asked for[\s\S]*imu[\s\S]*gps"),
        ({"mean": {"imu": np.zeros((W, H, 3))}}, r"another shape[\s\S]*\[4, 3, 2\][\s\S]*\[4, 3, 3\]"),
        ({"mean": {"imu": np.zeros((W, H))}}, "another shape"),
        ({"members": {"imu": np.zeros((W, H, 2))}}, r"another shape[\s\S]*\[4, K, 3, 2\]"),
        ({"members": {"imu": np.zeros((W, 0, H, 2))}}, "no finite numbers"),
        ({"mean": {"imu": np.full((W, H, 2), np.nan)}}, r"no finite numbers[\s\S]*24 of 24[\s\S]*leave a stream out"),
        ({"mean": {"imu": np.full((W, H, 2), np.inf)}}, "no finite numbers"),
        ({"mean": {"imu": np.full((W, H, 2), "a")}}, "no finite numbers"),
        ({"frames": {"camera": np.zeros((W, 1, 1, 8, 8, 3))}}, "what was not asked for"),
    ],
)
def test_a_forecast_that_does_not_fit_is_refused_by_name(problem, parts, said):
    with pytest.raises(WorldModelError, match=rf"^odd predicts[\s\S]*{said}"):
        ask(Says("odd", **parts), problem)


def test_what_is_no_forecast_is_refused(problem):
    class Wrong:
        def predict(self, problem):
            return {"imu": np.zeros((W, H, 2))}

    with pytest.raises(WorldModelError, match=r"Wrong predicts no Forecast[\s\S]*dict"):
        ask(Wrong(), problem)
