"""Fixtures that are made once for all tests of a process, and the order of the tests."""

import os
from importlib.metadata import version

import pytest

os.environ.setdefault("WORLDMODEL_CACHE", "off")  # tests leave nothing in the user's cache folder
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")  # a GPU would round what it multiplies to ten bits
# Most of the tests' time is compiling small programs that run a few times: LLVM need not do its best, and fusions that
# are emitted as they used to be, where XLA still can, compile in a third of the time.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    + (" --xla_cpu_use_fusion_emitters=false" if version("jaxlib").startswith("0.10.") else ""),
)

from tests.command_line import compiled_once, imagined, trained, validated

__all__ = ["compiled_once", "imagined", "trained", "validated"]

_LONGEST = (
    "tests/training/test_train.py",
    "tests/test_demo.py",
    "tests/test_bad_input.py",
    "tests/validate/test_validate.py",
    "tests/test_notebooks.py",
    "tests/test_commands.py",
    "tests/test_real_road.py",
    "tests/test_leaks.py",
    "tests/explore/test_page.py",
    "tests/serve/test_app.py",
    "tests/training/test_films.py",
    "tests/training/test_reblend.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no process is left alone with one of them at the end."""
    rank = {file: place for place, file in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
