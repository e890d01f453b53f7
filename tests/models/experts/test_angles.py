"""Angles that wrap are carried on by their rates, or by how they turned so far."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from worldmodel.codecs import quaternion_of, rotation_vector
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.angles import Angles, Carried, _integral, _rotated
from worldmodel.models.experts.closed import ARX, closed
from worldmodel.models.experts.compiled import _arrays_of, _with_arrays
from worldmodel.models.experts.left_out import predictions
from worldmodel.models.experts.products import Products
from worldmodel.models.experts.rich import experts_from, experts_to, fit_quick
from worldmodel.training.data import measure_scaling
from worldmodel.types import Samples, StreamSpec

DT, C, H = 0.1, 16, 32
PER_RAD = -180 / np.pi  # of a gyroscope in deg/s, which counts the other way than a compass


def append(writer, data):
    """An episode whose streams have a sample a tick."""
    writer.append({name: Samples(np.arange(len(values)) * DT, values) for name, values in data.items()})


def windows_of(path):
    log = Log(path)
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H)


def boats(path, *, rate=True, slots=1, seed=0, episodes=8, seconds=30.0, kept=1.0, unread=()):
    """Windows of a log of boats whose rudder turns them, with a compass (rad) of so many samples a tick.

    In `unread` episodes nobody reads the gyroscope.
    """
    streams = [
        StreamSpec("compass", "sensor", ("heading",), ("rad",), slots / DT, circular=(True,)),
        StreamSpec("hull", "sensor", ("yaw_rate", "roll"), ("deg/s", "rad"), 1 / DT),
        StreamSpec("rudder", "action", ("angle",), ("rad",), 1 / DT),
    ]
    rng, steps = np.random.default_rng(seed), round(seconds / DT) * slots
    with LogWriter(path, streams if rate else [streams[0], streams[2]]) as writer:
        for episode in range(episodes):
            led = rng.uniform(-1, 1, steps // (12 * slots) + 1).repeat(12 * slots)[:steps]
            turning, heading = np.zeros(steps), np.zeros(steps)
            heading[0] = rng.uniform(-3, 3)
            for i in range(1, steps):
                turning[i] = turning[i - 1] + DT / slots * (1.5 * led[i - 1] - turning[i - 1])
                heading[i] = heading[i - 1] + DT / slots * (turning[i] + turning[i - 1]) / 2
            noisy = heading + 0.01 * rng.normal(size=steps)
            read = {
                "compass": (noisy + np.pi) % (2 * np.pi) - np.pi,
                "hull": np.stack([PER_RAD * turning + rng.normal(size=steps), rng.normal(size=steps)], -1),
                "rudder": led,
            }
            there = rng.uniform(size=steps) < kept
            time = np.arange(steps) * DT / slots
            samples = {"compass": Samples(time[there], read["compass"][there, None])}
            if rate and episode not in unread:
                samples["hull"] = Samples(time[::slots], read["hull"][::slots])
            writer.append(samples | {"rudder": Samples(time[::slots], led[::slots, None])})
    return windows_of(path)


def seen(windows, lens, step=3):
    return lens.examples(windows, np.asarray(windows.starts())[::step])


def lens_of(windows):
    return Lens(windows.layout, *(np.asarray(x) for x in measure_scaling(windows, 0)[:4]))


def sine_of(lens):
    return lens.layout.reading_columns["compass"].start


def error(expert, examples, lens):
    """Root mean square error of the heading (rad) by tick ahead."""
    at, said = sine_of(lens), lens.units(expert.predict(examples.view))
    apart = np.arctan2(said[..., at], said[..., at + 1]) - np.arctan2(
        *np.moveaxis(lens.units(examples.came), -1, 0)[[at, at + 1]]
    )
    apart = np.where(examples.mask[..., at], (apart + np.pi) % (2 * np.pi) - np.pi, np.nan)
    return np.sqrt(np.nanmean(apart**2, 0))


@pytest.mark.parametrize(("slots", "kept"), [(1, 1.0), (3, 1.0), (1, 0.7)])
@pytest.mark.parametrize("rate", [True, False])
def test_a_heading_is_foretold_better_than_by_what_is_linear_in_its_sine(tmp_path, rate, slots, kept):
    windows = boats(tmp_path / "learn.h5", rate=rate, slots=slots, kept=kept)
    lens = lens_of(windows)
    examples, fresh = (
        seen(windows, lens),
        seen(boats(tmp_path / "fresh.h5", rate=rate, slots=slots, seed=1, episodes=3), lens),
    )
    angles, arx = (kind.fit(examples, lens) for kind in (Angles, ARX))
    own, other = (error(expert, fresh, lens) for expert in (angles, arx))
    assert own[-1] < 0.6 * other[-1]
    assert own[8] < 0.5 * other[8]
    assert own[0] < 1.1 * other[0]


def test_the_rate_is_found_whichever_way_it_counts_and_in_whatever_unit(tmp_path):
    windows = boats(tmp_path / "boats.h5")
    lens = lens_of(windows)
    found = Carried.find(seen(windows, lens), lens)
    assert found.sines.tolist() == [sine_of(lens)]
    assert found.rates.tolist() == [lens.layout.reading_columns["hull"].start]
    assert found.slopes[0] == pytest.approx(1 / PER_RAD, rel=0.05)
    told = Angles.fit(seen(windows, lens), lens).describe()
    assert told == "compass.heading turns by hull.yaw_rate (-0.0175 rad in a second of 1)"


def test_the_rate_of_a_heading_that_is_rarely_read_is_found(tmp_path):
    """What is held until its next sample has turned as far as the rate says until its own."""
    windows = boats(tmp_path / "boats.h5", kept=0.12)
    lens = lens_of(windows)
    found = Carried.find(seen(windows, lens), lens)
    assert found.rates.tolist() == [lens.layout.reading_columns["hull"].start]
    assert found.slopes[0] == pytest.approx(1 / PER_RAD, rel=0.01)


def test_a_rate_that_some_episodes_never_read_carries_the_angle_in_the_others(tmp_path):
    windows = boats(tmp_path / "boats.h5", episodes=12, unread=(0, 3, 6, 9))
    lens = lens_of(windows)
    examples = seen(windows, lens)
    found = Carried.find(examples, lens)
    assert found.rates.tolist() == [lens.layout.reading_columns["hull"].start]
    assert found.slopes[0] == pytest.approx(1 / PER_RAD, rel=0.05)
    assert found.missed.tolist() == [sine_of(lens)]
    fresh = seen(boats(tmp_path / "fresh.h5", seed=1, episodes=4, unread=(1, 3)), lens)
    led, unled = (
        jax.tree.map(lambda x, rows=rows: x[rows], fresh) for rows in (fresh.groups % 2 == 0, fresh.groups % 2 == 1)
    )
    angles = Angles.fit(examples, lens)
    without = Angles.fit(examples, lens, carried=found._replace(rates=np.array([-1]), missed=np.zeros(0, int)))
    always = Angles.fit(examples, lens, carried=found._replace(missed=np.zeros(0, int)))
    far = slice(8, None)
    np.testing.assert_allclose(error(angles, unled, lens), error(without, unled, lens), rtol=0.05)
    assert (error(angles, unled, lens)[far] < 0.3 * error(always, unled, lens)[far]).all()
    np.testing.assert_allclose(error(angles, led, lens), error(always, led, lens), rtol=0.3)
    again = experts_from(experts_to([angles]), lens, tmp_path)[0]
    np.testing.assert_array_equal(again.predict(fresh.view), angles.predict(fresh.view))


def test_a_voltage_is_no_rate_of_what_turns_steadily(tmp_path):
    """Both are always the same, so one would be a multiple of the other."""
    streams = (
        StreamSpec("compass", "sensor", ("heading",), ("rad",), 1 / DT, circular=(True,)),
        StreamSpec("power", "sensor", ("voltage",), ("V",), 1 / DT),
    )
    rng, steps = np.random.default_rng(0), 300
    with LogWriter(tmp_path / "fan.h5", streams) as writer:
        for _ in range(4):
            heading = 0.8 * DT * np.arange(steps) + 0.01 * rng.normal(size=steps)
            read = {"compass": (heading + np.pi) % (2 * np.pi) - np.pi, "power": 12 + 0.05 * rng.normal(size=steps)}
            writer.append({name: Samples(np.arange(steps) * DT, x[:, None]) for name, x in read.items()})
    log = Log(tmp_path / "fan.h5")
    windows = Windows.of(log, TickLayout(DT, tuple(log.streams.values())), C, H)
    lens = lens_of(windows)
    assert Carried.find(seen(windows, lens), lens).rates.tolist() == [-1]


def test_readings_are_told_together_where_the_angle_is(tmp_path):
    """A single reading of the compass is 0.01 rad off."""
    windows = boats(tmp_path / "boats.h5", episodes=12)
    lens = lens_of(windows)
    angles = Angles.fit(seen(windows, lens), lens)
    assert angles.carried.spans[0] > 1
    alone = Angles(angles.direct, lens, angles.memory, angles.carried._replace(spans=np.ones(1, int)))
    fresh = seen(boats(tmp_path / "fresh.h5", seed=1), lens)
    assert error(angles, fresh, lens)[0] < 0.9 * error(alone, fresh, lens)[0]


@pytest.mark.parametrize("rate", [True, False])
def test_it_speaks_of_angles_alone_in_numpy_and_jax_and_after_a_file(tmp_path, rate):
    windows = boats(tmp_path / "boats.h5", rate=rate, slots=2, kept=0.8)
    lens = lens_of(windows)
    angles, view = Angles.fit(seen(windows, lens, 5), lens), seen(windows, lens, 60).view
    said, own = angles.predict(view), np.isin(np.arange(len(lens.centre)), [sine_of(lens), sine_of(lens) + 1])
    assert np.isfinite(said[..., own]).all()
    assert np.isnan(said[..., ~own]).all()
    again = experts_from(experts_to([angles]), lens, tmp_path)[0]
    np.testing.assert_array_equal(again.predict(view), said)
    with jax.enable_x64(True):
        ask = jax.jit(lambda arrays, view: _with_arrays(angles, arrays).predict(view))
        compiled = np.asarray(ask(_arrays_of(angles), view))
    np.testing.assert_allclose(compiled, said, rtol=1e-6, atol=1e-6)


def test_nothing_that_comes_later_is_seen(tmp_path):
    windows = boats(tmp_path / "boats.h5", rate=False)
    lens = lens_of(windows)
    examples = seen(windows, lens, 20)
    moved = examples._replace(came=examples.came[::-1])
    unwound = [Carried.find(examples, lens).unwound_examples(each, lens).view for each in (examples, moved)]
    for one, other in zip(*unwound, strict=True):
        np.testing.assert_array_equal(one, other)


def test_angles_are_among_the_experts_where_one_wraps(tmp_path):
    windows = boats(tmp_path / "boats.h5")
    lens = lens_of(windows)
    assert "angles" in [expert.name for expert in fit_quick(seen(windows, lens), lens)]


def cars(path, seed=0, episodes=8, seconds=30.0):
    """Windows of a log of cars whose yaw rate is their speed times their steering."""
    streams = (
        StreamSpec("compass", "sensor", ("heading",), ("rad",), 1 / DT, circular=(True,)),
        StreamSpec("car", "sensor", ("speed", "yaw_rate"), ("m/s", "rad/s"), 1 / DT),
        StreamSpec("drive", "action", ("steering", "throttle"), ("rad", ""), 1 / DT),
    )
    rng, steps = np.random.default_rng(seed), round(seconds / DT)
    with LogWriter(path, streams) as writer:
        for _ in range(episodes):
            led = rng.uniform([-0.3, 0.0], [0.3, 1.0], (steps // 12 + 1, 2)).repeat(12, 0)[:steps]
            speed = np.zeros(steps)
            for i in range(1, steps):
                speed[i] = speed[i - 1] + DT * (6 * led[i - 1, 1] - speed[i - 1])
            yaw = np.append(0, led[:-1, 0]) * speed
            heading = rng.uniform(0, 6) + np.cumsum(yaw) * DT + 0.01 * rng.normal(size=steps)
            read = np.stack([speed, yaw], -1) + 0.02 * rng.normal(size=(steps, 2))
            data = {"compass": ((heading + np.pi) % (2 * np.pi) - np.pi)[:, None], "car": read, "drive": led}
            append(writer, data)
    return windows_of(path)


def test_products_carry_the_angles_whose_rate_they_tell(tmp_path):
    windows = cars(tmp_path / "learn.h5")
    lens = lens_of(windows)
    examples, fresh = seen(windows, lens), seen(cars(tmp_path / "fresh.h5", seed=1, episodes=3), lens)
    products, angles = (kind.fit(examples, lens) for kind in (Products, Angles))
    own, linear = (error(expert, fresh, lens) for expert in (products, angles))
    assert own[-1] < 0.6 * linear[-1]
    (again,) = experts_from(experts_to([products]), lens, tmp_path)
    np.testing.assert_array_equal(again.predict(fresh.view), products.predict(fresh.view))
    speed, sine = lens.layout.reading_columns["car"].start, sine_of(lens)
    held = fresh.view.held.copy()
    held[:, -1, speed] = products.ends[1, speed] + 1
    said = products.predict(fresh.view._replace(held=held))
    assert np.isnan(said[..., [sine, sine + 1]]).all()  # of speeds that were never read it knows no yaw rate


def test_an_attitude_is_rotated_as_one_turn_after_the_other():
    rng = np.random.default_rng(0)
    turns, begin = rng.normal(0, 0.3, (4, 14, 3)), Rotation.random(4, random_state=1)
    seen, age = begin.as_matrix()[..., :2].swapaxes(-1, -2).reshape(4, 6), np.array([0, 0.4, 0.9, np.inf])
    found = _rotated(seen, age, turns, 1)
    for row in range(4):
        now = begin[row] * Rotation.from_rotvec((0 if age[row] == np.inf else age[row]) * turns[row, 0])
        for tick in range(13):
            now = now * Rotation.from_rotvec((turns[row, tick] + turns[row, tick + 1]) / 2)
            np.testing.assert_allclose(found[row, tick], now.as_matrix()[:, :2].T.ravel(), atol=1e-12)


def test_an_angle_and_an_attitude_that_are_old_have_turned_since_they_were_read():
    """Three and a half ticks, at a rate that was read."""
    turns = np.full((1, 10, 3), [0.0, 0.0, 0.2])
    age = np.array([[0.5, 1.5, 2.5, 3.5]])
    due = 1 + 0.2 * np.arange(4.5, 10.5)
    angle = _integral(np.ones((1, 4)), age, np.zeros((1, 1), bool), turns[..., 2])
    np.testing.assert_allclose(angle, due[None])
    seen = Rotation.from_euler("z", 1).as_matrix()[:, :2].T.reshape(1, 6)
    yaw = Rotation.from_euler("z", due[:, None]).as_matrix()[..., :2].swapaxes(-1, -2).reshape(1, 6, 6)
    np.testing.assert_allclose(_rotated(seen, age[:, -1], turns, 4), yaw, atol=1e-12)


def bodies(path, kind, seed=0, episodes=8, seconds=20.0, axes=3, unread=()):
    """Windows of a log of bodies that turn freely, as thrusters tell them, with a gyroscope (deg/s) on its side.

    In `unread` episodes nobody reads it.
    """
    rng, steps = np.random.default_rng(seed), round(seconds / DT)
    quaternion = ("qw", "qx", "qy", "qz")
    columns = quaternion if kind == "orientation" else ("x", "y", "z", *quaternion)
    units = ("",) * 4 if kind == "orientation" else ("m", "m", "m", "", "", "", "")
    streams = (
        StreamSpec("body", kind, columns, units, 1 / DT, frame="enu"),
        StreamSpec("imu", "sensor", ("temperature", "a", "b", "c"), ("degC", "deg/s", "deg/s", "deg/s"), 1 / DT),
        StreamSpec("thrusters", "action", ("x", "y", "z"), ("",) * 3, 1 / DT),
    )
    with LogWriter(path, streams) as writer:
        for episode in range(episodes):
            led = rng.uniform(-1, 1, (steps // 10 + 1, 3)).repeat(10, 0)[:steps] * (np.arange(3) >= 3 - axes)
            spin, attitude = np.zeros((steps, 3)), [Rotation.random(random_state=rng.integers(1 << 30))]
            if axes == 1:
                attitude = [Rotation.from_euler("z", rng.uniform(-3, 3))]
            for i in range(1, steps):
                spin[i] = spin[i - 1] + DT * (2 * led[i - 1] - spin[i - 1])
                attitude.append(attitude[-1] * Rotation.from_rotvec(DT * (spin[i] + spin[i - 1]) / 2))
            q = Rotation.concatenate(attitude).as_quat(scalar_first=True)
            gyro = np.degrees(spin)[:, [2, 0, 1]] * [-1, 1, 1] + 0.5 * rng.normal(size=(steps, 3))
            read = np.concatenate([20 + rng.normal(size=(steps, 1)), gyro], 1)
            body = q if kind == "orientation" else np.concatenate([rng.normal(size=(steps, 3)), q], 1)
            data = {"body": body, "thrusters": led} | ({} if episode in unread else {"imu": read})
            append(writer, data)
    return windows_of(path)


def turn_off(said, examples, lens):
    """Root mean square angle (rad) by tick ahead between attitudes that are foretold and those that came."""
    first = lens.layout.reading_columns["body"].stop - 6
    ahead, came = (quaternion_of(lens.units(x)[..., first : first + 6]) for x in (said, examples.came))
    return np.sqrt((rotation_vector(came, ahead) ** 2).sum(-1).mean(0))


@pytest.mark.parametrize("kind", ["orientation", "pose"])
def test_an_attitude_is_carried_on_by_a_gyroscope(tmp_path, kind):
    windows = bodies(tmp_path / "learn.h5", kind)
    lens = lens_of(windows)
    examples, fresh = seen(windows, lens), seen(bodies(tmp_path / "fresh.h5", kind, seed=1, episodes=3), lens)
    angles, arx = (expert.fit(examples, lens) for expert in (Angles, ARX))
    own, other = (turn_off(expert.predict(fresh.view), fresh, lens) for expert in (angles, arx))
    assert own[-1] < 0.4 * other[-1]
    assert own[5] < 0.4 * other[5]
    assert angles.describe().endswith("turns by imu.b, imu.c, imu.a")
    (again,) = experts_from(experts_to([angles]), lens, tmp_path)
    np.testing.assert_array_equal(again.predict(fresh.view), angles.predict(fresh.view))
    with jax.enable_x64(True):
        compiled = jax.jit(angles.predict)(jax.tree.map(jax.numpy.asarray, fresh.view))
    np.testing.assert_allclose(compiled, angles.predict(fresh.view), rtol=1e-6, atol=1e-6)


def test_of_an_attitude_whose_gyroscope_is_not_read_nothing_is_said(tmp_path):
    windows = bodies(tmp_path / "learn.h5", "orientation", unread=(0, 4))
    lens = lens_of(windows)
    angles = Angles.fit(seen(windows, lens), lens)
    assert angles.describe().endswith("turns by imu.b, imu.c, imu.a")
    fresh = seen(bodies(tmp_path / "fresh.h5", "orientation", seed=1, episodes=2, unread=(1,)), lens)
    first = lens.layout.reading_columns["body"].stop - 6
    said = np.isfinite(angles.predict(fresh.view)[..., first : first + 6]).all((1, 2))
    np.testing.assert_array_equal(said, fresh.groups == 0)


def test_of_a_vehicle_that_turns_about_one_axis_the_others_are_held(tmp_path):
    windows = bodies(tmp_path / "learn.h5", "orientation", axes=1)
    lens = lens_of(windows)
    angles = Angles.fit(seen(windows, lens), lens)
    assert angles.describe().endswith("turns by imu.a")
    fresh = seen(bodies(tmp_path / "fresh.h5", "orientation", seed=1, episodes=3, axes=1), lens)
    assert turn_off(angles.predict(fresh.view), fresh, lens)[-1] < 0.4


def test_in_a_team_it_goes_by_the_rates_of_the_linear_model(tmp_path):
    windows = boats(tmp_path / "boats.h5")
    lens = lens_of(windows)
    angles, view = Angles.fit(seen(windows, lens), lens), seen(windows, lens, 50).view
    baselines = Baselines.fit(windows, measure_scaling(windows, 0), 0)
    linear, other = predictions([*closed(baselines, ["linear"]), angles], view)
    np.testing.assert_array_equal(other, angles.predict(view, linear))
    assert not np.array_equal(other, angles.predict(view), equal_nan=True)


def robots(path, seed=0, episodes=6, seconds=40.0):
    """Windows of a log of robots that are told how fast to go and to turn, with a pose, a speed and a yaw rate."""
    rng, steps = np.random.default_rng(seed), round(seconds / DT)
    streams = (
        StreamSpec(
            "odom", "pose", ("x", "y", "z", "qw", "qx", "qy", "qz"), ("m",) * 3 + ("",) * 4, 1 / DT, frame="odom"
        ),
        StreamSpec("twist", "sensor", ("vx", "wz"), ("m/s", "rad/s"), 1 / DT),
        StreamSpec("cmd_vel", "action", ("linear", "angular"), ("m/s", "rad/s"), 1 / DT),
    )
    with LogWriter(path, streams) as writer:
        for _ in range(episodes):
            led = rng.uniform([-0.3, -2], [1.5, 2], (steps // 15 + 1, 2)).repeat(15, 0)[:steps]
            moved, yaw = np.zeros((steps, 2)), np.full(steps, rng.uniform(-3, 3))
            place = np.zeros((steps, 3))
            for i in range(1, steps):
                moved[i] = moved[i - 1] + DT * 4 * (led[i - 1] - moved[i - 1])
                yaw[i] = yaw[i - 1] + DT * (moved[i, 1] + moved[i - 1, 1]) / 2
                nose = (yaw[i] + yaw[i - 1]) / 2
                place[i] = place[i - 1] + DT * moved[i, 0] * np.array([np.cos(nose), np.sin(nose), 0])
            lean = 0.01 * rng.normal(size=(steps, 2))
            q = Rotation.from_euler("ZYX", np.column_stack([yaw, lean])).as_quat(scalar_first=True)
            pose = np.concatenate([place + 0.01 * rng.normal(size=place.shape), q], 1)
            data = {"odom": pose, "twist": moved + 0.02 * rng.normal(size=moved.shape), "cmd_vel": led}
            append(writer, data)
    return windows_of(path)


def test_places_are_reckoned_along_the_headings_that_rates_lead_to(tmp_path):
    windows = robots(tmp_path / "learn.h5")
    lens = lens_of(windows)
    baselines = Baselines.fit(windows, measure_scaling(windows, 0), 0)
    fresh, angles = seen(robots(tmp_path / "fresh.h5", seed=1, episodes=2), lens), Angles.fit(seen(windows, lens), lens)
    rules = closed(baselines, ["linear", "dead_reckoning"])
    alone, led = (predictions(experts, fresh.view)[1] for experts in (rules, [*rules, angles]))
    place = lens.layout.reading_columns["odom"].start + np.arange(2)
    alone, led = (
        np.sqrt(np.mean(fresh.squared_errors(x)[:, -1, place] * lens.scale[place] ** 2)) for x in (alone, led)
    )
    assert led < 0.5 * alone
    assert led < 0.15  # m, after 3.2 s
