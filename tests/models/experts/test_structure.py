"""What belongs together is found where it is known, and only there; what is declared is taken."""

import dataclasses
import json

import numpy as np
import pytest

from tests.models.experts.pendulum import examples, layout, lens_of, recorded, sensor, simulated
from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.structure import Structure, find_structure
from worldmodel.types import StreamSpec

TWO = (sensor("joints", "a b", "rad rad"), sensor("speeds", "a b", "rad/s rad/s"))


def found(readings, actions, *specs, declared=None):
    where = layout(*specs)
    lens = lens_of(where, readings, actions)
    return find_structure(examples(readings, actions, lens), lens, declared)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("wraps", [False, True])
def test_a_pendulum_is_found_beside_a_decoy(wraps):
    structure = find_structure(*recorded(wraps, noise=0.01))
    assert [tuple(pair[:2]) for pair in structure.pairs] == [("joint.angle", "joint.speed")]
    assert structure.pairs[0].fit > 0.98
    assert structure.angles == ("joint.angle",)
    assert structure.acts_on == (("torque.angle", "joint.angle"),)
    assert structure.looks_ahead == ()
    assert "joint.speed is the derivative of joint.angle (R2 " in structure.describe()
    assert "torque.angle drives joint.angle (names)" in structure.describe()


@pytest.mark.parametrize("wraps", [False, True])
def test_an_angle_whose_derivative_nobody_reads_is_a_coordinate(wraps):
    structure = find_structure(*recorded(wraps, noise=0.01, speeds=False))
    assert structure.pairs == (("joint.angle", None, None),)
    assert structure.hidden
    assert structure.angles == ("joint.angle",)
    assert structure.acts_on == (("torque.angle", "joint.angle"),)
    assert "no derivative is read, but coordinates are: joint.angle (goes on as it went)" in structure.describe()
    assert Structure.from_json(json.loads(json.dumps(structure.to_json()))) == structure
    assert not find_structure(*recorded(wraps, speeds=False), {"coordinates": []}).pairs


def test_what_only_slides_or_jumps_is_no_coordinate_by_itself():
    states, actions = (np.stack(x) for x in zip(*map(simulated, range(4)), strict=True))
    slides = sensor("one", "x y", "m m")
    assert not found(np.repeat(states[..., :1], 2, -1) * [1, 0.5], actions, slides).pairs
    assert not found(noise(4, 300, 2), actions, sensor("one", "x y", "rad rad")).pairs
    assert not found(np.cumsum(noise(4, 300, 2), 1), actions, sensor("one", "x y", "rad rad")).pairs


def test_angles_of_many_joints_and_of_what_moves_about_are_no_coordinates():
    states, actions = (np.stack(x) for x in zip(*map(simulated, range(4)), strict=True))
    many = sensor("joints", "a b c d e", "rad rad rad rad rad")
    assert not found(np.repeat(states[..., :1], 5, -1) * np.arange(1, 6), actions, many).pairs
    place = StreamSpec("place", "position", ("x", "y", "z"), ("m",) * 3, 50.0, frame="ENU")
    one = sensor("joint", "angle", "rad")
    readings = np.concatenate([states[..., :1], noise(4, 300, 3)], -1)
    assert found(readings[..., :1], actions, one).pairs
    assert not found(readings, actions, one, place).pairs


def test_nothing_is_found_where_there_is_nothing():
    walks = np.cumsum(noise(6, 300, 3), 1)
    structure = found(walks, noise(6, 300, 1), sensor("one", "x y", "m m/s"), sensor("two", "z", "m"))
    assert structure == Structure()
    assert structure.describe() == "no column is the derivative of another"


def test_a_derivative_with_another_slope_is_none():
    states, actions = (x[None] for x in simulated(0))
    doubled = states * [1, 2]
    assert found(doubled, actions, sensor("joint", "angle speed", "rad rad/s")).hidden


def test_the_derivative_of_a_derivative_is_left_to_the_first():
    states, actions = simulated(0)
    bend = np.gradient(states[:, 1:], 0.02, axis=0)
    readings = np.concatenate([states, bend], 1)[None]
    structure = found(readings, actions[None], sensor("joint", "angle speed", "rad rad/s"), sensor("imu", "x", "1"))
    assert [tuple(pair[:2]) for pair in structure.pairs] == [("joint.angle", "joint.speed")]


@pytest.mark.parametrize(("own_noise", "leaks"), [(0.0, True), (0.05, False)])
def test_a_centred_derivative_of_noisy_readings_looks_ahead(own_noise, leaks):
    states, actions = simulated(0, 600)
    angle = states[:, :1] + 0.001 * noise(600, 1)
    speed = np.gradient(angle, 0.02, axis=0) if leaks else states[:, 1:]
    readings = np.concatenate([angle, speed + own_noise * noise(600, 1, seed=1)], 1)[None]
    structure = found(readings, actions[None], sensor("joint", "angle", "rad"), sensor("speed", "angle", "rad/s"))
    assert structure.looks_ahead == (("speed.angle",) if leaks else ())
    assert ("looks ahead" in structure.describe()) == leaks


def test_a_derivative_of_samples_between_the_ticks_is_not_said_to_look_ahead():
    """Five samples in four ticks: held at each, what was read is uneven, and a step before seems to come after."""
    sample = np.floor(np.arange(600) * 5 / 4).astype(int)
    angle = np.cumsum(np.sin(np.arange(sample[-1] + 2) / 20) * 0.016) + 2e-5 * noise(sample[-1] + 2)
    speed = np.diff(angle, prepend=angle[0]) / 0.016 + 0.002 * noise(len(angle), seed=1)
    readings, where = np.stack([angle, speed], 1)[sample][None], layout(sensor("joint", "q qd", "rad rad/s"))
    lens = lens_of(where, readings, noise(1, 600, 1))
    seen = examples(readings, noise(1, 600, 1), lens)
    aged = np.broadcast_to((np.arange(seen.age.shape[1]) % 4 / 4)[:, None], seen.age.shape)
    assert find_structure(seen._replace(age=aged), lens).looks_ahead == ()
    assert find_structure(seen, lens).looks_ahead == ("joint.qd",)


def test_what_is_declared_is_taken():
    states = noise(3, 200, 4)
    declared = {"derivative": {"speeds": "joints"}, "angles": ["joints.b"], "acts_on": {"torque": "joints.a"}}
    structure = found(states, noise(3, 200, 1), *TWO, declared=declared)
    assert structure.pairs == (("joints.a", "speeds.a", None), ("joints.b", "speeds.b", None))
    assert structure.angles == ("joints.b",)
    assert structure.acts_on == (("torque.angle", "joints.a"),)
    assert structure.describe().count("declared") == 4
    hidden = found(states, noise(3, 200, 1), *TWO, declared={"coordinates": ["joints"]})
    assert hidden.pairs == (("joints.a", None, None), ("joints.b", None, None))
    assert hidden.describe().count("declared") == 2
    both = {"coordinates": ["joints", "joints.a"], "derivative": {"speeds.b": "joints.b"}}
    part = found(states, noise(3, 200, 1), *TWO, declared=both)
    assert part.pairs == (("joints.b", "speeds.b", None), ("joints.a", None, None))
    assert part.hidden
    assert "speeds.b is the derivative of joints.b (declared), no derivative is read" in part.describe()
    one = found(states, noise(3, 200, 1), *TWO, declared={"derivative": {"speeds.b": "joints.a"}, "acts_on": {}})
    assert one.pairs == (("joints.a", "speeds.b", None),)
    assert one.acts_on == ()


def test_coordinates_that_are_declared_count_where_a_derivative_would_be_found():
    examples, lens = recorded(wraps=False)
    assert not find_structure(examples, lens).hidden
    assert find_structure(examples, lens, {"coordinates": ["joint.angle"]}).pairs == (("joint.angle", None, None),)
    assert find_structure(examples, lens, {"coordinates": []}).pairs == find_structure(examples, lens).pairs
    both = {"coordinates": ["joint"], "derivative": {"joint.speed": "joint.angle"}}  # a stream's own derivative is none
    assert find_structure(examples, lens, both).pairs == (("joint.angle", "joint.speed", None),)


def test_what_is_told_where_to_go_has_no_forces_to_be_found():
    seen, lens = recorded(wraps=False, speeds=False)
    joint, other, torque = lens.layout.streams
    for unit, counts in (("", True), ("N*m", True), ("rad", False), ("deg", False)):
        where = TickLayout(lens.layout.dt, (joint, other, dataclasses.replace(torque, units=(unit,))))
        assert bool(find_structure(seen, dataclasses.replace(lens, layout=where)).pairs) == counts
    assert find_structure(seen, dataclasses.replace(lens, layout=where), {"coordinates": ["joint"]}).hidden


@pytest.mark.filterwarnings("error")
def test_a_joint_that_never_moves_is_no_coordinate():
    states, actions = (np.stack(x) for x in zip(*map(simulated, range(4)), strict=True))
    readings = np.concatenate([states[..., :1], np.full_like(states[..., :1], 0.3)], -1)
    where = layout(sensor("joints", "a b", "rad rad"))
    lens = Lens(where, *(np.float32(x) for x in (readings.mean((0, 1)), [1, 1], [0], [1])))
    structure = find_structure(examples(np.float32(readings), np.float32(actions), lens), lens)
    assert structure.pairs == (("joints.a", None, None),)


@pytest.mark.parametrize(
    ("declared", "named"),
    [
        ({"derivative": {"speed": "joints"}}, "'speed'"),
        ({"derivative": {"speeds": "joints.a"}}, "2 and 1"),
        ({"angles": ["joints.c"]}, "'joints.c'"),
        ({"derivative": {}, "coordinates": ["joint"]}, "'joint'"),
        ({"acts_on": {"torque": "speeds.a"}}, "'speeds.a'"),
        ({"acts_on": {"force": "joints.a"}}, "torque.angle"),
        ({"derivatives": {}}, "'derivatives'"),
        ({"derivative": ["speeds"]}, "a table"),
        ({"coordinates": "joints"}, "a list"),
    ],
)
def test_what_does_not_exist_is_refused(declared, named):
    with pytest.raises(WorldModelError, match=named):
        found(noise(3, 200, 4), noise(3, 200, 1), *TWO, declared={"derivative": {"speeds": "joints"}} | declared)


def test_it_survives_a_file():
    structure = find_structure(*recorded(True))
    assert Structure.from_json(json.loads(json.dumps(structure.to_json()))) == structure
