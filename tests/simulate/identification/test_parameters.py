"""What can be fitted: whatever is tried is physically possible, and moves nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulate.identification import machines
from tests.simulate.models import DRONE
from tests.simulate.scenes import write_scene
from tests.simulate.test_observer import BODY_TOML, BODY_XML, CART_TOML, CART_XML
from worldmodel.errors import SceneError
from worldmodel.physics.uncertainty import Uncertainty
from worldmodel.simulate import load_scene, suggest
from worldmodel.simulate.identification.parameters import Parameters
from worldmodel.simulate.world import World


@pytest.fixture(scope="module")
def drone(tmp_path_factory):
    """Bodies that turn about three axes, on a free joint and on a ball."""
    folder = tmp_path_factory.mktemp("drone")
    (folder / "model.xml").write_text(DRONE)
    toml = suggest(folder / "model.xml")
    return World(load_scene(write_scene(folder, toml, DRONE)), general=True)


@given(seed=st.integers(0, 2**32 - 1), size=st.floats(0, 5))
@settings(max_examples=40, deadline=None)
def test_bodies_stay_physically_possible(drone, seed, size):
    """Masses are above 0, and a principal inertia is at most the sum of the other two."""
    parameters = Parameters.of(drone, ["mass", "com", "inertia"])
    assert {"craft.mass", "craft.inertia_z", "bob.com_x"} <= {p.name for p in parameters.free}
    model = parameters.machine(size * np.random.default_rng(seed).normal(size=len(parameters))).model
    assert (model.body_mass[1:] > 0).all()
    inertia = np.sort(model.body_inertia[1:], 1)
    assert (inertia > 0).all()
    assert (inertia[:, 2] <= (inertia[:, 0] + inertia[:, 1]) * (1 + 1e-9)).all()


def test_one_name_needs_no_list(drone):
    assert {p.group for p in Parameters.of(drone, "mass", "craft.*").free} == {"mass"}
    assert "craft.mass" not in {p.name for p in Parameters.of(drone, "mass", "craft.*").free}


WANTED = """[identify]
fit = ["default", "gain"]
fix = ["*.mass"]

[identify.prior]
"*" = 0.5
mass = 0.05
"pivot.friction" = 0.001
"""


def wanting(folder, table=WANTED):
    """The world of a pendulum whose file says what to fit."""
    return World(load_scene(machines.scene(folder, toml=machines.TOML + table)), general=True)


def names(parameters):
    return [p.name for p in parameters.free]


def test_a_scene_says_what_is_fitted_as_the_command_line_does_which_wins(tmp_path):
    bare, told = wanting(tmp_path / "bare", ""), wanting(tmp_path / "told")
    usual = names(Parameters.of(bare))
    assert names(Parameters.of(told)) == names(Parameters.of(bare, ["default", "gain"], ["*.mass"]))
    assert set(names(Parameters.of(told))) == (set(usual) | {"motor.gain"}) - {"arm.mass"}
    assert names(Parameters.of(told, ["mass"])) == ["arm.mass"]  # though the file fixes it
    assert names(Parameters.of(told, "default")) == usual
    assert names(Parameters.of(told, fix="friction")) == names(Parameters.of(bare, ["default", "gain"], ["friction"]))


def test_a_scene_says_how_sure_its_own_values_are(tmp_path):
    """A share of what moves by factors, and the unit of the rest; of what means the same number, the last counts."""
    free = {p.name: p for p in Parameters.of(wanting(tmp_path), ["*"]).free}
    assert free["arm.mass"].value(1.0) == pytest.approx(0.6 * np.exp(0.05))
    assert free["pivot.friction"].value(2.0) == pytest.approx(0.002)
    assert free["motor.gain"].scale == free["torque.delay"].scale == 0.5


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[identify]\nfit = ["weight"]\n', ["nothing called 'weight'", "default", "arm.mass"]),
        ('[identify]\nfix = ["arm.mas"]\n', ["nothing called 'arm.mas'", "did you mean 'arm.mass'"]),
        ('[identify]\nfix = ["*"]\n', ["nothing to fit"]),
        ('[identify.prior]\n"leg.*" = 0.1\n', ["prior of 'leg.*'", "arm.mass", "* stands for anything"]),
        ('[identify.prior]\n"*.mass" = 5\n', ["prior of '*.mass'", "at most 2", "write 0.05"]),
    ],
)
def test_what_a_scene_wants_wrongly_is_said(table, said, tmp_path):
    with pytest.raises(SceneError) as caught:
        Parameters.of(wanting(tmp_path, table))
    assert all(words in str(caught.value) for words in said)


def test_at_zero_a_machine_is_the_users(drone):
    parameters = Parameters.of(drone, ["*"])
    machine = parameters.machine(np.zeros(len(parameters)))
    for name in ("body_mass", "body_inertia", "body_ipos", "dof_damping", "geom_friction", "actuator_gear"):
        np.testing.assert_allclose(getattr(machine.model, name), getattr(drone.model, name), rtol=1e-12)


def test_each_number_has_an_influence_of_its_own_and_leaves_the_users_model_alone(drone):
    parameters = Parameters.of(drone, ["*"])
    before = drone.model.body_inertia.copy(), drone.model.body_mass.copy()
    base = np.concatenate(list(_numbers(parameters.machine(np.zeros(len(parameters))))))
    for row, parameter in enumerate(parameters.free):
        moved = np.concatenate(list(_numbers(parameters.machine(np.eye(len(parameters))[row]))))
        assert not np.allclose(moved, base), parameter.name
    np.testing.assert_array_equal(drone.model.body_inertia, before[0])
    np.testing.assert_array_equal(drone.model.body_mass, before[1])


def _numbers(machine):
    for name in ("body_mass", "body_inertia", "body_ipos", "dof_damping", "geom_friction", "actuator_gear"):
        yield np.ravel(getattr(machine.model, name))
    yield machine.model.jnt_stiffness
    yield machine.model.actuator_dynprm[:, 0]
    yield np.array(list(machine.delay_s.values()))
    yield np.concatenate(list(machine.bias.values()))


def test_what_cannot_touch_has_no_contact(drone, tmp_path):
    assert "contact" in {p.group for p in Parameters.of(drone).free}
    lone = "<mujoco><worldbody><body><joint/><geom size='.1'/></body></worldbody><sensor/></mujoco>"
    (tmp_path / "model.xml").write_text(lone)
    world = World(load_scene(write_scene(tmp_path, suggest(tmp_path / "model.xml"), lone)), general=True)
    assert "contact" not in {p.group for p in Parameters.of(world).free}


def test_what_no_actuator_can_have_is_refused_with_the_reason():
    with pytest.raises(SceneError, match="nothing called 'lag'") as caught:
        Parameters.of(World(load_scene("cartpole"), general=True), "lag")
    assert "RK4" in str(caught.value)


@pytest.mark.parametrize("scene", ["double_pendulum", "pusher"])
def test_actuators_that_may_lag_follow_at_once_until_they_do(scene):
    world = World(load_scene(scene), general=True)
    assert not {p.name for p in Parameters.of(world).free} & {p.name for p in Parameters.of(world, "lag").free}
    parameters = Parameters.of(world, "lag")
    assert parameters.world.model.na == len(parameters) == world.model.nu
    state = world.start(np.random.default_rng(0))
    controls = np.random.default_rng(1).uniform(-1, 1, (1, 50, world.model.nu))
    at_once = world.rollout(state[None], controls).states

    def late(z):
        models = [parameters.machine(np.full(len(parameters), z)).model]
        begun = np.concatenate([state, np.zeros(len(parameters))])[None]
        return parameters.world.try_rollout(begun, controls, models=models).states[..., : len(state)]

    np.testing.assert_allclose(late(0.0), at_once, atol=1e-9)
    by = [np.abs(late(z) - at_once).max() for z in (1e-4, 1e-3, 1.0)]  # told from none by a derivative there
    assert by[1] == pytest.approx(10 * by[0], rel=0.05)
    assert by[2] > 30 * by[1] > 0


@pytest.mark.parametrize("scene", ["cartpole", "pusher"])
def test_a_moved_centre_moves_the_machine_as_the_written_model_would(scene):
    """MuJoCo takes shortcuts where a body's frame, or a geom's, is at its centre of mass: they must not be taken."""
    world = World(load_scene(scene), general=True)
    parameters = Parameters.of(world, ["com"])
    machine = parameters.machine(np.ones(len(parameters)))
    spec = world.mj.MjSpec.from_file(str(world.scene.model))
    for row, body in enumerate(spec.bodies):
        if row and machine.model.body_mass[row] > 0:
            body.explicitinertial = True
            body.mass, body.ipos = machine.model.body_mass[row], machine.model.body_ipos[row]
            body.iquat, body.inertia = machine.model.body_iquat[row], machine.model.body_inertia[row]
    written = World(world.scene)
    written.model = spec.compile()
    state = world.start(np.random.default_rng(0))[None]
    controls = np.full((1, 200, world.model.nu), 0.2)
    moved = world.try_rollout(state, controls, models=[machine.model]).states
    np.testing.assert_allclose(moved, written.rollout(state, controls).states, atol=1e-6)
    assert np.abs(moved - world.rollout(state, controls).states).max() > 1e-3


def test_an_offset_of_commands_is_fitted_where_it_is_asked_for():
    """It adds to the command of one column, and may be of either sign."""
    world = World(load_scene("cartpole"))
    assert "offset" not in {p.group for p in Parameters.of(world).free}
    parameters = Parameters.of(world, ["offset"])
    assert [p.name for p in parameters.free] == ["push.force.offset"]
    assert parameters.machine(np.array([-2.0])).bias["push"].tolist() == [pytest.approx(-0.4)]  # N, of a range of 20


def test_a_centre_that_is_a_micrometre_off_acts_as_one_that_is_a_millimetre_off(tmp_path):
    """MuJoCo takes a centre that near for one at the frame, which derivatives by small steps must not."""
    world = World(load_scene(write_scene(tmp_path, BODY_TOML, BODY_XML)), general=True)
    parameters, start = Parameters.of(world, ["body.com_x"]), world.default_state()
    start[-3:] = [0.0, 0.0, 2.0]  # turning about its frame, from which a centre beside it flies off

    def after(z):
        model = parameters.machine(np.array([z])).model
        return world.try_rollout(start[None], np.zeros((1, 50, 0)), None, [model]).states[0, -1]

    fine, coarse = ((after(z) - after(0.0)) / z for z in (1e-5, 1e-2))
    assert np.abs(fine).max() > 0.01
    np.testing.assert_allclose(fine, coarse, atol=1e-3 * np.abs(coarse).max())


def test_a_contact_is_called_by_what_touches_and_not_by_how_rough_it_is(tmp_path):
    """So that a fitted scene has the numbers that were fitted."""
    xml = CART_XML.replace('<geom type="sphere"', '<geom name="tyre" type="sphere"').replace(
        '<geom type="plane"', '<geom name="road" type="plane"'
    )
    pair = '<contact><pair geom1="tyre" geom2="road" friction="{0} {0}"/></contact></mujoco>'
    names = []
    for friction in (0.9, 0.87):
        rough = xml.replace("</mujoco>", pair.format(friction)).replace(
            'size=".1" mass', f'friction="{friction}" size=".1" mass'
        )
        folder = write_scene(tmp_path / str(friction), CART_TOML, rough)
        names.append({p.name for p in Parameters.of(World(load_scene(folder), general=True), ["contact"]).free})
    assert names[0] == names[1] == {"tyre.contact", "road.contact", "pair0.contact"}
    members = Uncertainty(("pair0.contact",), np.full((1, 1), 0.01)).machines(
        World(load_scene(folder), general=True), 0, 2
    )
    assert len({float(member.model.pair_friction[0, 0]) for member in members}) == 2
