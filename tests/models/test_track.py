import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.oscillator import SPECS, write_log
from worldmodel.imagine.engine import Imaginer
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.config import ModelConfig
from worldmodel.models.residual import ResidualModel
from worldmodel.models.track import track_angle, turn
from worldmodel.models.world_model import Scaling

COLUMNS = [np.array([[1, 2, 3], [4, 5, 6]])]  # two slots among seven features
LAYOUT = TickLayout(0.02, SPECS)


@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0, -3.0])
def test_a_straight_drive_has_its_direction_whatever_is_missing(angle):
    rng = np.random.default_rng(0)
    along = np.arange(40.0).reshape(1, 20, 2)
    values = np.zeros((1, 20, 7), np.float32)
    values[..., COLUMNS[0][:, 0]], values[..., COLUMNS[0][:, 1]] = np.cos(angle) * along, np.sin(angle) * along
    mask = np.ones(values.shape, bool)
    mask[:, :, 1:] = rng.random((1, 20, 1)) < 0.5
    found = track_angle(jnp.asarray(values * mask), jnp.asarray(mask), COLUMNS)
    assert float(found[0]) == pytest.approx(angle, abs=1e-4)


def test_turning_back_undoes_turning_and_leaves_other_columns():
    values = jnp.asarray(np.random.default_rng(0).normal(size=(3, 2, 5, 7)), jnp.float32)
    angle = jnp.array([0.3, -2.0, 1.0])
    turned = turn(values, angle, COLUMNS)
    np.testing.assert_allclose(turn(turned, -angle, COLUMNS), values, atol=1e-5)
    np.testing.assert_array_equal(turned[..., [0, 3, 6]], values[..., [0, 3, 6]])
    assert (turned[..., 1] != values[..., 1]).any()


def test_a_turned_world_is_imagined_turned(tmp_path):
    windows = Windows.of(Log(write_log(tmp_path / "a.h5", 2)), LAYOUT, 40, 12)
    context, future = windows.cut(windows.starts()[[30, 90]], 12, np.zeros((2, 0), int))
    size, readings = LAYOUT.size, len(LAYOUT.newest)
    scaling = Scaling(np.zeros(size), np.full(size, 2.0), np.zeros(1), np.ones(1), np.ones(readings), np.ones(readings))
    config = ModelConfig(width=16, hidden=8, noise=4, video_width=8)
    imaginer = Imaginer(ResidualModel(LAYOUT, 40, scaling, config, rngs=nnx.Rngs(0)))
    gps = LAYOUT.gps_columns.values()
    angle = jnp.full(2, 1.2)
    turned = np.asarray(turn(jnp.asarray(context.values), angle, gps))
    plain = imaginer.readings(context, future.actions, 3)
    other = imaginer.readings(context._replace(values=turned), future.actions, 3)
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_allclose(turn(jnp.asarray(one), angle, gps), two, atol=1e-3)
    moved = np.abs(jax.tree.leaves(plain)[0][..., LAYOUT.columns["gps"]])
    assert moved.max() > 1e-2
