"""The scenes that the benchmarks fit are machines as their papers say."""

from pathlib import Path

import numpy as np
import pytest

from worldmodel.simulate import load_scene
from worldmodel.simulate.world import World

SCENES = Path(__file__).parent / "scenes"


@pytest.fixture(scope="module")
def quadrotor():
    return World(load_scene(SCENES / "crazyflie"))


def flown(world, duties):
    """The state [Q] after a tenth of a second from rest."""
    rolled = world.rollout(world.default_state()[None], np.tile(duties, (1, 20, 1)))
    return dict(zip(world.packing.names, rolled.states[0, -1], strict=True))


def test_the_quadrotor_rises_on_equal_duties_and_falls_without(quadrotor):
    risen, fallen = flown(quadrotor, np.full(4, 0.9)), flown(quadrotor, np.zeros(4))
    assert risen["z.velocity"] > 0 > fallen["z.velocity"]
    np.testing.assert_allclose([risen[f"turn.w{axis}"] for axis in "xyz"], 0, atol=1e-9)


@pytest.mark.parametrize(
    ("faster", "axis"), [((3, 4), "x"), ((2, 3), "y"), ((2, 4), "z")], ids=["rolls right", "noses down", "yaws left"]
)
def test_the_quadrotor_turns_as_a_crazyflie_does(quadrotor, faster, axis):
    duties = np.full(4, 0.5)
    duties[[rotor - 1 for rotor in faster]] += 0.1
    turned = flown(quadrotor, duties)
    assert turned[f"turn.w{axis}"] > 0.1
    for other in set("xyz") - {axis}:
        assert abs(turned[f"turn.w{other}"]) < 0.2 * turned[f"turn.w{axis}"]


def test_the_drive_slides_along_one_axis():
    world = World(load_scene(SCENES / "emps"))
    assert world.packing.names == ("slide.position", "slide.velocity")
