"""What leans to accelerate does so alike in all directions; a linear model that knows it serves paths never flown."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from worldmodel.codecs import QUATERNION, XYZ
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines.direct import Direct
from worldmodel.models.baselines.isotropic import Isotropic, pairs_of
from worldmodel.models.baselines.view import Lens, View
from worldmodel.training.data import measure_scaling
from worldmodel.types import Samples, StreamSpec

DT, C, H = 0.05, 12, 16
NED = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])  # and its inverse
FRD = np.diag([1, -1, -1])


def streams(frame, kinds=("position", "orientation")):
    columns = {"position": (XYZ, ("m",) * 3), "orientation": (QUATERNION, ("",) * 4)}
    return tuple(StreamSpec(kind, kind, *columns[kind], 1 / DT, frame=frame) for kind in kinds)


def flights(path, towards, frame="room", seconds=20.0, count=3, seed=0):
    """A log of machines that lean back and forth `towards` a direction (rad from x), and go where they lean."""
    rng, steps = np.random.default_rng(seed), round(seconds / DT)
    specs = streams(frame)
    with LogWriter(path, specs) as writer:
        for _ in range(count):
            time, (slow, fast), (here, there) = np.arange(steps) * DT, rng.uniform(0.5, 3.0, 2), rng.uniform(0, 6, 2)
            lean = 0.2 * np.sin(slow * time + here) + 0.1 * np.sin(fast * time + there)
            along = np.array([np.cos(towards), np.sin(towards), 0.0])
            speed = np.cumsum(9.81 * np.tan(lean)) * DT
            place = np.cumsum(speed - speed.mean())[:, None] * DT * along
            turned = Rotation.from_rotvec(lean[:, None] * np.cross([0, 0, 1], along)) * Rotation.from_euler("z", 0.7)
            if frame == "ned":
                place, turned = place @ NED, Rotation.from_matrix(NED @ turned.as_matrix() @ FRD)
            quaternion = turned.as_quat(scalar_first=True)
            writer.append({"position": Samples(time, place), "orientation": Samples(time, quaternion)})
    log = Log(path)
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H)


def seen(windows, lens):
    return lens.examples(windows, np.asarray(windows.starts())[::5])


def lens_of(windows):
    return Lens(windows.layout, *(np.asarray(x) for x in measure_scaling(windows, 0)[:4]))


def fitted(windows, lens, turns):
    return Isotropic.of(seen(windows, lens), lens, 1e-3, turns)


def of_places(model, examples, lens):
    """Root mean square error (m) of places at the horizon."""
    errors = (model.predict(examples.view, lens.layout) - examples.came)[:, -1] * lens.scale
    columns = pairs_of(lens.layout).columns[:, 0]
    return np.sqrt((errors[:, columns] ** 2).sum(-1).mean())


@pytest.mark.parametrize("turns", [False, True], ids=["straight", "turns"])
def test_it_knows_on_a_path_that_it_never_saw_what_it_knows_on_its_own(tmp_path, turns):
    learned = flights(tmp_path / "x.h5", towards=0.0)
    lens = lens_of(learned)
    model, other = fitted(learned, lens, turns), Direct.fitted(seen(learned, lens), lens.layout, (1e-6,))
    fresh, across = (seen(flights(tmp_path / f"{i}.h5", towards, seed=1), lens) for i, towards in enumerate((0.0, 2.0)))
    own = of_places(model, fresh, lens)
    assert own < 0.1  # of flights that go metres in this time
    assert of_places(model, across, lens) < 1.05 * own
    assert of_places(other, across, lens) > 10 * own


@pytest.mark.parametrize("turns", [False, True], ids=["straight", "turns"])
def test_what_it_says_turns_and_is_mirrored_with_what_it_sees(tmp_path, turns):
    learned = flights(tmp_path / "x.h5", towards=0.4)
    lens = lens_of(learned)
    examples = seen(learned, lens)
    model, (columns, sign, _) = fitted(learned, lens, turns), pairs_of(lens.layout)
    turn = np.array([[0.6, 0.8], [0.8, -0.6]])  # and mirrors

    def turned(x):
        units = x.copy()
        for pair, signs in zip(columns.T, sign.T, strict=True):
            scale, centre = lens.scale[pair] * signs, lens.centre[pair] * signs
            units[..., pair] = ((x[..., pair] * scale + centre) @ turn.T - centre) / scale
        return units

    view = examples.view
    slots = view.slots.copy()
    slots[..., lens.layout.newest] = turned(view.slots[..., lens.layout.newest])
    changed = view._replace(slots=slots, readings=turned(view.readings), held=turned(view.held))
    expected = turned(model.predict(view, lens.layout))
    found = model.predict(changed, lens.layout)
    np.testing.assert_allclose(found[..., columns], expected[..., columns], atol=1e-6)


@pytest.mark.parametrize("turns", [False, True], ids=["straight", "turns"])
def test_compiled_it_says_the_same(tmp_path, turns):
    windows = flights(tmp_path / "x.h5", towards=0.0, count=1)
    lens = lens_of(windows)
    examples = seen(windows, lens)
    model = fitted(windows, lens, turns)
    with jax.enable_x64(True):
        found = jax.jit(lambda view: model.predict(view, lens.layout))(
            View(*(jax.numpy.asarray(x) for x in examples.view))
        )
    np.testing.assert_allclose(found, model.predict(examples.view, lens.layout), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("turns", [False, True], ids=["straight", "turns"])
def test_north_and_down_say_what_east_and_up_say(tmp_path, turns):
    errors = []
    for frame in ("enu", "ned"):
        windows = flights(tmp_path / f"{frame}.h5", towards=0.0, frame=frame)
        lens = lens_of(windows)
        across = seen(flights(tmp_path / f"{frame}_across.h5", 2.0, frame, seed=1), lens)
        errors.append(of_places(fitted(windows, lens, turns), across, lens))
    assert errors[1] == pytest.approx(errors[0], rel=1e-3)


@pytest.mark.parametrize("turns", [False, True], ids=["straight", "turns"])
def test_it_speaks_of_places_and_leans_alone(tmp_path, turns):
    windows = flights(tmp_path / "x.h5", towards=0.0)
    lens = lens_of(windows)
    examples = seen(windows, lens)
    said = fitted(windows, lens, turns).predict(examples.view, lens.layout)
    silent = np.isnan(said).all((0, 1))
    assert set(np.flatnonzero(~silent)) == set(pairs_of(lens.layout).columns.reshape(-1))
    assert not np.isnan(said[..., ~silent]).any()


@pytest.mark.parametrize("kinds", [("position",), ("orientation",)])
def test_places_without_leans_and_leans_without_places_are_no_vectors(kinds):
    assert pairs_of(TickLayout(DT, streams("room", kinds))).columns.shape == (2, 0)


def test_places_and_leans_of_different_worlds_do_not_belong_together():
    place, lean = streams("room", ("position",)) + streams("enu", ("orientation",))
    assert not pairs_of(TickLayout(DT, (place, lean))).columns.size


def test_told_of_turns_it_knows_what_comes_round_a_bend(tmp_path):
    """Circles of several sizes and speeds, which no sum of vectors with the same weights foretells."""
    rng, time = np.random.default_rng(0), np.arange(0, 20, DT)
    with LogWriter(tmp_path / "log.h5", streams("room")) as writer:
        for turn, radius in zip(
            rng.uniform(0.3, 2.0, 6) * [1, -1, 1, -1, 1, -1], rng.uniform(0.5, 2.0, 6), strict=True
        ):
            way = radius * np.exp(1j * (turn * time + rng.uniform(0, 6)))
            lean = -(turn**2) * way / 9.81
            rotation = Rotation.from_rotvec(np.stack([-lean.imag, lean.real, 0 * time], -1))
            place = np.stack([way.real, way.imag, 0 * time], -1)
            quaternion = rotation.as_quat(scalar_first=True)
            writer.append({"position": Samples(time, place), "orientation": Samples(time, quaternion)})
    log = Log(tmp_path / "log.h5")
    layout = TickLayout(DT, tuple(log.streams.values()))
    learned, fresh = (Windows.of(log, layout, C, H, episodes) for episodes in ([0, 1, 2, 3], [4, 5]))
    lens = lens_of(learned)
    straight, round_bends = (
        of_places(fitted(learned, lens, turns), seen(fresh, lens), lens) for turns in (False, True)
    )
    assert round_bends < 0.75 * straight


@pytest.mark.parametrize("turns", [False, True], ids=["straight", "turns"])
def test_of_what_stands_still_it_says_that_it_does(tmp_path, turns):
    with LogWriter(tmp_path / "log.h5", streams("room")) as writer:
        time = np.arange(0, 5, DT)
        place, upright = np.tile([1.0, 2.0, 3.0], (len(time), 1)), np.tile([1.0, 0.0, 0.0, 0.0], (len(time), 1))
        writer.append({"position": Samples(time, place), "orientation": Samples(time, upright)})
    log = Log(tmp_path / "log.h5")
    windows = Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H)
    lens = lens_of(windows)
    view, columns = seen(windows, lens).view, pairs_of(lens.layout).columns
    said = fitted(windows, lens, turns).predict(view, lens.layout)[..., columns]
    np.testing.assert_allclose(said, np.broadcast_to(view.held[:, -1:, columns], said.shape), atol=1e-6)
