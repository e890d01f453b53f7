"""The grounds on which simulated drives teach."""

import numpy as np
import pytest

from tests.benchmarks.teacher import drives, flat, uneven
from worldmodel.logs.reader import Log


@pytest.fixture(scope="module")
def jolts(tmp_path_factory):
    """By ground, how far roll and pitch rates [N, 2] change within 0.1 s in two drives under the same commands."""
    out = tmp_path_factory.mktemp("grounds")
    scene = flat(out / "flat")
    scenes = [scene, *(uneven(scene, out / f"ground-{i}", np.random.default_rng(i)) for i in range(2))]
    found = {}
    for each in scenes:
        with Log(drives(each, out / f"{each.name}.h5", 2, 0), truth=True) as log:
            rates = [episode.truth["gyro"].data[:, :2] for episode in log.episodes]
        found[each.name] = np.concatenate([rate[10:] - rate[:-10] for rate in rates])
    return found


def test_an_uneven_ground_shakes_a_vehicle_and_each_in_its_own_way(jolts):
    shaking = {ground: jolt.std(0) for ground, jolt in jolts.items()}
    for ground in ("ground-0", "ground-1"):
        assert (shaking[ground] > 1.3 * shaking["flat"]).all()
        assert (shaking[ground] < 10 * shaking["flat"]).all()
    assert abs(np.corrcoef(jolts["ground-0"][:, 0], jolts["ground-1"][:, 0])[0, 1]) < 0.5
