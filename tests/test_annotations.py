"""What annotations say of arrays holds: every module that has some is checked at every call of every test."""

import re
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from tests.test_layers import LIBRARY, ROOT, parts_of
from worldmodel.arrays import hold
from worldmodel.models.experts.blend import Blend
from worldmodel.models.experts.mechanics.model import solve
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.state_space.cell import Cell, Shape
from worldmodel.models.memory import cells
from worldmodel.validate.pictures import texture_distance

CELL = Cell(Shape(readings=2, hidden=1, actions=1), np.zeros(15), np.ones(3))


@pytest.fixture
def checked(pytestconfig) -> list[str]:
    """The modules that pyproject.toml names, without what checks them."""
    return pytestconfig.getoption("jaxtyping_packages").split(",")[:-1]


def annotated() -> list[str]:
    """Modules of the library that annotate arrays."""
    files = [file for file in LIBRARY.rglob("*.py") if re.search(r"^from jaxtyping import", file.read_text(), re.M)]
    return [".".join(parts_of(file.relative_to(ROOT).as_posix())) for file in files]


def test_every_module_that_annotates_arrays_is_checked(checked):
    assert annotated()
    assert [name for name in annotated() if not any(f"{name}.".startswith(f"{part}.") for part in checked)] == []


def test_every_module_that_is_named_is_there(checked):
    assert [name for name in checked if find_spec(name) is None] == []


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (hold, (np.zeros((2, 5)), np.ones((2, 4), bool))),
        (hold, (np.zeros((2, 4)), np.ones((2, 4)))),
        (cells, (np.zeros((1, 16, 16, 3), np.uint8),)),
        (texture_distance, (np.zeros((1, 16, 16, 3)), np.zeros((1, 16, 8, 3)))),
        (solve, (np.zeros((2, 3, 4)), np.zeros((2, 4)))),
        (CELL.rollout, (np.zeros((5, 3)), np.zeros((4, 7, 1)))),
        (Reach.of, (np.zeros((4, 6, 2)), np.zeros((3, 5, 1)))),
        (Blend, (np.ones((2, 5, 3)), np.ones((1, 4, 2)), np.arange(4), np.zeros(3, int), np.zeros((0, 5, 3)))),
    ],
    ids=[
        "of other lengths", "a mask of numbers", "pixels that are not 0 to 1", "frames of other sizes",
        "a matrix that is not square", "of other windows", "of fewer windows", "of fewer experts",
    ],
)  # fmt: skip
def test_what_an_annotation_rules_out_is_refused(call: Callable, arguments: tuple):
    with pytest.raises(TypeCheckError):
        call(*arguments)
