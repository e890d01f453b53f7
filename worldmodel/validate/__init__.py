"""Validation: problems, predictors, typed scores, the physical floor."""

from worldmodel.validate.forecast import Forecast, Predictor
from worldmodel.validate.of_run import validate
from worldmodel.validate.predictors import Model, rivals
from worldmodel.validate.problem import Problem, make_problem
from worldmodel.validate.result import Example, Result
from worldmodel.validate.scores import Score
from worldmodel.validate.scoring import score

__all__ = [
    "Example", "Forecast", "Model", "Predictor", "Problem", "Result", "Score", "make_problem", "rivals", "score",
    "validate",
]  # fmt: skip
