"""Validation: problems, metrics, the physical floor, and the figures beside the baselines'."""

from worldmodel.validate.result import Example, Result
from worldmodel.validate.validate import validate

__all__ = ["Example", "Result", "validate"]
