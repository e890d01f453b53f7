"""Fixtures that are made once for all tests."""

import os

os.environ.setdefault("WORLDMODEL_CACHE", "off")  # tests leave nothing in the user's cache folder
# Most of the tests' time is compiling small programs that run a few times: LLVM need not do its best.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")

from tests.command_line import compiled_once, imagined, trained, validated

__all__ = ["compiled_once", "imagined", "trained", "validated"]
