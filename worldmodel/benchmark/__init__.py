"""The benchmark: problems with published figures and goals, measured for any predictor by one command."""

from worldmodel.benchmark.catalogue import PROBLEMS
from worldmodel.benchmark.problem import BenchmarkProblem, Goal, Published, Recorded, Simulated
from worldmodel.benchmark.run import benchmark
from worldmodel.benchmark.zero_shot import ZeroShot

__all__ = ["PROBLEMS", "BenchmarkProblem", "Goal", "Published", "Recorded", "Simulated", "ZeroShot", "benchmark"]
