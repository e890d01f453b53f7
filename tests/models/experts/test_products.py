"""Where the truth is a product of two signals, it is found, told, and serves what no linear model could say."""

import jax
import numpy as np
import pytest

from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts import product_search
from worldmodel.models.experts.closed import ARX
from worldmodel.models.experts.products import Products
from worldmodel.models.experts.rich import experts_from, experts_to, fit_quick
from worldmodel.training.data import measure_scaling
from worldmodel.types import Samples, StreamSpec

DT, C, H = 0.1, 16, 16
STREAMS = (
    StreamSpec("place", "position", ("x", "y", "z"), ("m",) * 3, 1 / DT, frame="map"),
    StreamSpec("car", "sensor", ("speed", "yaw_rate", "noise"), ("m/s", "rad/s", ""), 1 / DT),
    StreamSpec("drive", "action", ("steering", "throttle"), ("rad", ""), 1 / DT),
)


def drive(path, *, by_speed=True, placed=True, episodes=10, seconds=20.0, seed=0, commands=None):
    """A log of cars whose yaw rate is their speed times their steering, or, without `by_speed`, 5 times the latter."""
    rng, steps, streams = np.random.default_rng(seed), round(seconds / DT), STREAMS[not placed :]
    with LogWriter(path, streams) as writer:
        for _ in range(episodes):
            held = rng.uniform([-0.3, 0.0], [0.3, 1.0], (steps // 12 + 1, 2)).repeat(12, 0)[:steps]
            led, speed = held if commands is None else np.tile(commands, (steps, 1)), np.zeros(steps)
            speed[0] = rng.uniform(0, 8)
            for i in range(1, steps):
                speed[i] = speed[i - 1] + DT * (10 * led[i - 1, 1] - speed[i - 1])
            yaw = np.append(0, led[:-1, 0]) * (speed if by_speed else 5.0)
            nose = rng.uniform(0, 6) + np.cumsum(yaw) * DT
            place = np.cumsum(speed[:, None] * np.stack([np.cos(nose), np.sin(nose), 0 * nose], -1), 0) * DT
            read = np.stack([speed, yaw, 0 * yaw], -1) + 0.02 * rng.normal(size=(steps, 3))
            time, data = np.arange(steps) * DT, {"place": place, "car": read, "drive": led}
            writer.append({spec.name: Samples(time, data[spec.name]) for spec in streams})
    log = Log(path)
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H)


@pytest.fixture(scope="module")
def cars(tmp_path_factory):
    return drive(tmp_path_factory.mktemp("products") / "cars.h5")


@pytest.fixture(scope="module")
def lens(cars):
    return Lens(cars.layout, *(np.asarray(x) for x in measure_scaling(cars, 0)[:4]))


def seen(windows, lens, step=3):
    return lens.examples(windows, np.asarray(windows.starts())[::step])


@pytest.fixture(scope="module")
def found(cars, lens):
    return Products.fit(seen(cars, lens), lens)


def column(lens, name):
    at = lens.layout.reading_columns["car"].start
    return at + lens.layout.spec("car").columns.index(name)


def error(expert, examples, lens, name):
    """Root mean square error in the column's unit, over all ticks ahead."""
    at = column(lens, name)
    return np.sqrt(np.nanmean(examples.squared_errors(expert.predict(examples.view))[..., at])) * lens.scale[at]


def test_of_sensors_the_product_is_found_and_nothing_else(found):
    told = [line for line in found.describe().splitlines() if line.startswith("car")]
    assert told == ["car.yaw_rate follows car.speed x drive.steering"]


def test_it_foresees_what_no_linear_model_can(found, cars, lens, tmp_path):
    arx = ARX.fit(seen(cars, lens), lens)
    fresh = seen(drive(tmp_path / "fresh.h5", seed=1, episodes=3), lens)
    assert error(found, fresh, lens, "yaw_rate") < 0.4 * error(arx, fresh, lens, "yaw_rate")
    both = seen(drive(tmp_path / "both.h5", seed=2, episodes=3, commands=(0.3, 1.0)), lens)  # full lock, full throttle
    assert error(found, both, lens, "yaw_rate") < 0.2 * error(arx, both, lens, "yaw_rate")


def test_of_other_columns_it_says_nothing(found, cars, lens):
    ahead = found.predict(seen(cars, lens, 50).view)
    assert np.isnan(ahead[..., ~found.speaks]).all()
    assert np.isfinite(ahead[..., found.speaks]).all()


def test_places_follow_from_the_turning_that_it_foresees(cars, lens, tmp_path):
    baselines = Baselines.fit(cars, measure_scaling(cars, 0), 0)
    found = Products.fit(seen(cars, lens), lens, reckoners=baselines.reckoners)
    fresh = seen(drive(tmp_path / "fresh.h5", seed=1, episodes=3), lens)
    place = lens.layout.reading_columns["place"].start + np.arange(2)
    own, by_linear = (
        np.sqrt(np.mean(fresh.squared_errors(ahead)[:, -1, place])) * lens.scale[place].mean()
        for ahead in (found.predict(fresh.view), baselines.ahead("dead_reckoning", fresh.view))
    )
    assert own < 0.6 * by_linear
    assert np.isnan(found.predict(fresh.view)[..., place[-1] + 1]).all()  # how high it is, nothing tells


def test_of_speeds_beyond_all_that_were_read_it_says_nothing_from_there_on(cars, lens):
    baselines = Baselines.fit(cars, measure_scaling(cars, 0), 0)
    found = Products.fit(seen(cars, lens), lens, reckoners=baselines.reckoners)
    view, yaw, speed = seen(cars, lens, 50).view, column(lens, "yaw_rate"), column(lens, "speed")
    spoken = [yaw, *(lens.layout.reading_columns["place"].start + np.arange(2))]
    assert np.isfinite(found.predict(view)[..., spoken]).all()
    fast = view.held.copy()
    fast[:, -2:, speed] = found.ends[1, speed] + 1
    assert np.isnan(found.predict(view._replace(held=fast))[..., spoken]).all()
    thrown = view.ahead.copy()
    thrown[:, 5:, 1] = 6 * view.ahead[..., 1].max()
    ahead = found.predict(view._replace(ahead=thrown))
    assert np.isfinite(ahead[:, :5, spoken]).all()
    assert np.isnan(ahead[:, 10:, spoken]).all()


def test_of_commands_beyond_all_that_was_commanded_it_says_what_their_products_tell(found, cars, lens, tmp_path):
    """It did not, and the yaw rate went on as if nothing were steered: of what others say the mean is left."""
    steered = seen(drive(tmp_path / "beyond.h5", seed=3, episodes=3, commands=(0.5, 0.5)), lens)
    assert np.abs(steered.view.ahead).max() > 1.3 * np.abs(seen(cars, lens).view.ahead).max()
    assert np.isfinite(found.predict(steered.view)[..., column(lens, "yaw_rate")]).all()
    assert error(found, steered, lens, "yaw_rate") < 0.25  # of 2.5


def test_a_collision_that_was_read_in_training_does_not_widen_what_is_known(cars, lens):
    examples, speed = seen(cars, lens), column(lens, "speed")
    held = examples.view.held.copy()
    held[3, -1, speed] = 50.0
    found = Products.fit(examples._replace(view=examples.view._replace(held=held)), lens)
    assert found.ends[1, speed] < 5


def test_what_is_commanded_later_changes_nothing(found, cars, lens):
    view = seen(cars, lens, 50).view
    ahead = found.predict(view)
    for tick in (1, 5, H - 1):
        later = view.ahead.copy()
        later[:, tick:] *= 0.5
        changed = found.predict(view._replace(ahead=later))
        np.testing.assert_array_equal(changed[:, :tick], ahead[:, :tick])
        assert not np.allclose(changed[:, tick], ahead[:, tick], equal_nan=True)


def test_a_linear_car_has_none(tmp_path):
    windows = drive(tmp_path / "log.h5", by_speed=False, placed=False)
    lens = Lens(windows.layout, *(np.asarray(x) for x in measure_scaling(windows, 0)[:4]))
    examples = seen(windows, lens)
    assert not Products.fit(examples, lens).speaks.any()
    assert [expert.name for expert in fit_quick(examples, lens)] == ["ridge", "ar", "arx"]


@pytest.mark.parametrize(("episodes", "seconds", "is_told"), [(1, 6.0, False), (1, 200.0, True), (2, 8.0, False)])
def test_it_takes_enough_to_tell_a_product_from_chance(episodes, seconds, is_told, tmp_path):
    windows = drive(tmp_path / "log.h5", placed=False, episodes=episodes, seconds=seconds)
    lens = Lens(windows.layout, *(np.asarray(x) for x in measure_scaling(windows, 0)[:4]))
    assert Products.fit(seen(windows, lens), lens).told.any() == is_told


def test_noise_beside_it_is_told_of_nothing(tmp_path):
    """However many pairs there are, and few windows: the best of many takes some off by chance."""
    spec = StreamSpec("s", "sensor", tuple("abcdefghijkl"), ("",) * 12, 1 / DT)
    led = StreamSpec("u", "action", ("u",), ("",), 1 / DT)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        with LogWriter(tmp_path / f"{seed}.h5", (spec, led)) as writer:
            for _ in range(4):
                time, walk = np.arange(200) * DT, rng.normal(size=(200, 13))
                for i in range(1, 200):
                    walk[i] = 0.9 * walk[i - 1] + 0.4 * walk[i]
                writer.append({"s": Samples(time, walk[:, :12]), "u": Samples(time, walk[:, 12:])})
        log = Log(tmp_path / f"{seed}.h5")
        windows = Windows.of(log, TickLayout(DT, (spec, led)), C, H)
        lens = Lens(windows.layout, *(np.asarray(x) for x in measure_scaling(windows, 0)[:4]))
        assert Products.fit(seen(windows, lens), lens).describe() == ""


def test_fitted_again_it_speaks_of_the_same_columns(found, cars, lens):
    few = seen(cars, lens)._replace(starts=None)  # of which no products are found
    again = found.refit(few)
    assert again.told.shape[1] == 0
    np.testing.assert_array_equal(again.speaks, found.speaks)
    at = column(lens, "yaw_rate")
    arx = ARX.fit(few, lens).predict(few.view)
    np.testing.assert_allclose(again.predict(few.view)[..., at], arx[..., at])


def test_it_is_kept_and_compiled(found, cars, lens, tmp_path):
    baselines = Baselines.fit(cars, measure_scaling(cars, 0), 0)
    placed = Products.fit(seen(cars, lens), lens, reckoners=baselines.reckoners)
    view = seen(cars, lens, 50).view
    for expert in (found, placed):
        (again,) = experts_from(experts_to([expert]), lens, tmp_path)
        np.testing.assert_array_equal(again.predict(view), expert.predict(view))
        with jax.enable_x64(True):
            compiled = jax.jit(expert.predict)(jax.tree.map(jax.numpy.asarray, view))
        np.testing.assert_allclose(compiled, expert.predict(view), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("recordings", [1, 2])
def test_copies_of_a_recording_tell_no_more_than_it_does(recordings, tmp_path):
    """What its noise seems to tell, its copies seem to bear out."""
    spec = StreamSpec("s", "sensor", tuple("abcdef"), ("",) * 6, 1 / DT)
    led = StreamSpec("u", "action", ("u",), ("",), 1 / DT)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        with LogWriter(tmp_path / f"{seed}.h5", (spec, led)) as writer:
            for _ in range(recordings):
                time, walk = np.arange(150) * DT, rng.normal(size=(150, 7))
                for i in range(1, 150):
                    walk[i] = 0.9 * walk[i - 1] + 0.4 * walk[i]
                for _ in range(6):
                    writer.append({"s": Samples(time, walk[:, :6]), "u": Samples(time, walk[:, 6:])})
        log = Log(tmp_path / f"{seed}.h5")
        windows = Windows.of(log, TickLayout(DT, (spec, led)), C, H)
        lens = Lens(windows.layout, *(np.asarray(x) for x in measure_scaling(windows, 0)[:4]))
        assert Products.fit(seen(windows, lens), lens).describe() == ""


def test_a_recording_and_its_copies_are_left_out_together(tmp_path):
    spec, rng = StreamSpec("s", "sensor", ("a",), ("",), 1 / DT), np.random.default_rng(0)
    walks = rng.normal(size=(5, 150, 1))
    with LogWriter(tmp_path / "a.h5", (spec,)) as writer:
        for walk in [*walks, *walks]:
            writer.append({"s": Samples(np.arange(150) * DT, walk)})
    windows = Windows.of(Log(tmp_path / "a.h5"), TickLayout(DT, (spec,)), C, H)
    lens = Lens(windows.layout, *(np.asarray(x) for x in measure_scaling(windows, 0)[:4]))
    examples = seen(windows, lens)
    fold = product_search._folds(examples, np.arange(len(examples.starts)))
    assert set(fold) == {0, 1, 2, 3}
    for recording in range(5):
        assert len(set(fold[examples.starts[:, 0] % 5 == recording])) == 1
