"""Dead reckoning of vehicles that drive on straight lines and circles, which it must follow exactly."""

import numpy as np
import pytest

from worldmodel.errors import WorldModelError
from worldmodel.geo import enu_to_geodetic
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.logs.writer import LogWriter
from worldmodel.models.baselines import Baselines, Named
from worldmodel.models.baselines.sensors import motions
from worldmodel.models.baselines.unicycle import Heading, drive, match
from worldmodel.training.data import measure_scaling
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec

DT, CONTEXT, HORIZON = 0.1, 20, 25
RADIUS = 0.3
PLACE = StreamSpec("place", "position", ("x", "y", "z"), ("m",) * 3, 5.0, "map")
NED = StreamSpec("place", "position", ("x", "y", "z"), ("m",) * 3, 5.0, "ned")
GPS = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 5.0)
POSE = StreamSpec("pose", "pose", ("x", "y", "z", "qw", "qx", "qy", "qz"), ("m",) * 3 + ("",) * 4, 10.0, "map")
WHEELS = StreamSpec("wheels", "sensor", ("left", "right"), ("rad/s", "rad/s"), 10.0)
BARE = StreamSpec("wheels", "sensor", ("left", "right"), ("", ""), 10.0)
SPEED = StreamSpec("car", "sensor", ("speed",), ("kph",), 10.0)
GYRO = StreamSpec("gyro", "sensor", ("x", "y", "z"), ("rad/s",) * 3, 10.0)
DEGREES = StreamSpec("gyro", "sensor", ("yaw_rate",), ("°/s",), 10.0)
COMPASS = StreamSpec("compass", "sensor", ("heading", "tilt"), ("rad", "rad"), 10.0, "ned", circular=(True, False))


def samples_of(spec, time, speed, rate, nose, place, rng):
    """What each kind of sensor reads of a drive; place is complex, east + i north."""
    none = np.zeros(len(time))
    data = np.stack(
        {
            PLACE: [place.real, place.imag, none],
            NED: [place.imag, place.real, none],
            GPS: [place.real, place.imag, none],
            POSE: [place.real, place.imag, none, np.cos(nose / 2), none, none, np.sin(nose / 2)],
            WHEELS: [speed / RADIUS - rate, speed / RADIUS + rate],
            BARE: [speed / RADIUS - rate, speed / RADIUS + rate],
            SPEED: [3.6 * speed],
            GYRO: [rng.normal(size=len(time)), rng.normal(size=len(time)), -rate],  # a sensor mounted upside down
            DEGREES: [np.degrees(rate)],
            COMPASS: [np.pi / 2 - nose, none],
        }[spec],
        -1,
    )
    if spec is GPS:
        data = enu_to_geodetic(data, np.array([48.0, 11.0, 500.0]))
    if spec.circular[0]:
        data[:, 0] = (data[:, 0] + np.pi) % (2 * np.pi) - np.pi
    step = round(10 / spec.rate_hz)
    return Samples(time[::step], data[::step])


def drives(path, specs, episodes=8, reverse=False, read=None):
    """Each at a speed and a yaw rate of its own, from a heading of its own."""
    rng = np.random.default_rng(0)
    with LogWriter(path, specs) as writer:
        for episode in range(episodes):
            time = np.arange(90) * DT
            speed, rate = rng.uniform(1, 4) * (-1 if reverse else 1), (0, 1)[episode > 1] * rng.uniform(-0.6, 0.6)
            nose = rng.uniform(-np.pi, np.pi) + rate * time
            if rate:
                place = speed / rate * (np.exp(1j * nose) - np.exp(1j * nose[0])) / 1j
            else:
                place = speed * time * np.exp(1j * nose)
            one = np.ones(len(time))
            parts = (time, speed * one, rate * one, nose, place + 5 - 3j, rng)
            writer.append({s.name: (read or {}).get(s, samples_of)(s, *parts) for s in specs})
    log = Log(path)
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), CONTEXT, HORIZON)


def fitted_on(windows, **options):
    return Baselines.fit(windows, measure_scaling(windows, 0), 0, **options)


def asked(windows):
    """Contexts, actions, and what came, every fifth start."""
    context, future = windows.cut(windows.starts()[::5], HORIZON)
    return context, future.actions, future


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize(
    ("place", "speed", "turn", "rate_scale"),
    [
        (PLACE, WHEELS, GYRO, -1),
        (GPS, BARE, GYRO, -1),
        (NED, SPEED, DEGREES, np.pi / 180),
        (GPS, WHEELS, COMPASS, 0),
        (GPS, SPEED, GYRO, -1),
        (POSE, WHEELS, GYRO, None),  # which also tells a heading
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_straight_lines_and_circles_are_followed_exactly(tmp_path, place, speed, turn, rate_scale, reverse):
    """Whatever tells speed and turning, in whatever unit, axis, sign and scale."""
    windows = drives(tmp_path / "a.h5", (place, speed, turn), reverse=reverse)
    fitted = fitted_on(windows)
    (found,) = fitted.reckoners
    assert abs(found.speed_scale) == pytest.approx(RADIUS if speed in (WHEELS, BARE) else 1 / 3.6, rel=0.01)
    if rate_scale is not None:
        assert found.rate_scale == pytest.approx(rate_scale)
    *given, future = asked(windows)
    ahead = fitted.predict("dead_reckoning", *given)
    columns = windows.layout.columns[place.name]
    assert np.abs(future.values[..., columns]).max() > 5
    np.testing.assert_allclose(np.where(future.mask, ahead, 0)[..., columns], future.values[..., columns], atol=0.02)
    assert np.isnan(ahead[..., windows.layout.columns[speed.name]]).all()


def test_a_compass_turns_with_the_vehicle(tmp_path):
    windows = drives(tmp_path / "a.h5", (GPS, WHEELS, GYRO, COMPASS))
    *given, future = asked(windows)
    ahead = fitted_on(windows).predict("dead_reckoning", *given)
    columns = windows.layout.columns["compass"]
    np.testing.assert_allclose(ahead[..., columns], future.values[..., columns], atol=0.01)
    for name in ("wheels", "gyro"):
        assert np.isnan(ahead[..., windows.layout.columns[name]]).all()


@pytest.mark.parametrize("specs", [(PLACE, WHEELS), (PLACE, GYRO), (WHEELS, GYRO)], ids=["turn", "speed", "place"])
def test_without_a_speed_a_turn_or_a_place_there_is_none(tmp_path, specs):
    fitted = fitted_on(drives(tmp_path / "a.h5", specs, episodes=3))
    assert fitted.names == ("mean", "hold", "velocity", "linear")
    assert fitted.describe() == ""


def test_a_boat_goes_over_ground_and_not_with_the_wind():
    bus = StreamSpec(
        "bus", "sensor", ("sog", "wind_speed", "rate_of_turn", "rot"), ("kn", "m/s", "deg/s", "deg/s"), 10.0
    )
    layout = TickLayout(DT, (GPS, bus))
    sog, _, *turns = range(layout.reading_columns["bus"].start, layout.reading_columns["bus"].stop)
    found = motions(GPS, layout, None)
    assert {(*m.speed, *m.turning) for m in found} == {(sog, turn) for turn in turns}
    assert sorted(m.rate_scale for m in found) == pytest.approx([-np.pi / 180] * 2 + [np.pi / 180] * 2)


def test_where_no_name_is_a_speed_s_what_is_in_metres_a_second_may_be():
    """But not to the side, of the wind, or along an axis of the world."""
    bus = StreamSpec("drive", "sensor", ("odo_v", "v_lateral", "wind", "temp"), ("m/s", "m/s", "m/s", "K"), 10.0)
    ned = StreamSpec("velocity", "sensor", ("v_1", "v_2"), ("m/s", "m/s"), 10.0, "ned")
    turn = StreamSpec("bus", "sensor", ("gierrate",), ("deg/s",), 10.0)
    layout = TickLayout(DT, (GPS, bus, ned, turn))
    (rate,) = range(*layout.reading_columns["bus"].indices(99))
    found = {(*m.speed, *m.turning) for m in motions(GPS, layout, None)}
    assert found == {(layout.reading_columns["drive"].start, rate)}
    named = TickLayout(DT, (GPS, SPEED, bus, turn))
    assert {tuple(m.speed) for m in motions(GPS, named, None)} == {(named.reading_columns["car"].start,)}


def sliding(path, to_the_left, slides=True):
    """Robots that go ahead and sideways at speeds of their own, and turn; `to_the_left` is the sign of the latter."""
    twist, rng = (
        StreamSpec("twist", "sensor", ("vx", "vy", "wz"), ("m/s", "m/s", "rad/s"), 10.0),
        np.random.default_rng(0),
    )
    time = np.arange(90) * DT
    with LogWriter(path, [POSE, twist]) as writer:
        for _ in range(8):
            own, rate = complex(*rng.uniform(-2, 2, 2)), rng.uniform(0.1, 0.6) * rng.choice([-1, 1])
            own = own if slides else complex(own.real)
            nose = rng.uniform(-np.pi, np.pi) + rate * time
            place = own / rate * (np.exp(1j * nose) - np.exp(1j * nose[0])) / 1j
            side = own.imag if slides else rng.normal(size=len(time))
            read = np.stack(np.broadcast_arrays(own.real, to_the_left * side, rate + 0 * time), -1)
            pose = samples_of(POSE, time, 0 * time, 0 * time, nose, place, rng)
            writer.append({"pose": pose, "twist": Samples(time, read)})
    log = Log(path)
    return Windows.of(log, TickLayout(DT, tuple(log.streams.values())), CONTEXT, HORIZON)


@pytest.mark.parametrize("to_the_left", [1, -1])
def test_what_moves_sideways_is_followed_there(tmp_path, to_the_left):
    windows = sliding(tmp_path / "log.h5", to_the_left)
    baselines = fitted_on(windows)
    (reckoner,) = baselines.reckoners
    assert reckoner.side_sign == to_the_left
    assert f"twist.vx (twist.vy to the {'left' if to_the_left > 0 else 'right'})" in baselines.describe()
    context, future = windows.cut(windows.starts()[::40], HORIZON)
    baselines.save(tmp_path / "baselines.npz")
    for each in (baselines, Baselines.load(tmp_path / "baselines.npz", windows.layout)):
        ahead = each.predict("dead_reckoning", context, future.actions)
        np.testing.assert_allclose(ahead[..., :2], future.values[..., :2], atol=0.02)


def test_a_speed_to_the_side_that_explains_nothing_is_none(tmp_path):
    (reckoner,) = fitted_on(sliding(tmp_path / "log.h5", 1, slides=False)).reckoners
    assert not len(reckoner.side)


def test_columns_that_only_have_the_names_explain_no_drive(tmp_path):
    def shuffled(spec, *parts):
        samples = samples_of(spec, *parts)
        return Samples(samples.time, np.random.default_rng(3).normal(size=samples.data.shape))

    windows = drives(tmp_path / "a.h5", (PLACE, WHEELS, GYRO), read={WHEELS: shuffled})
    assert "dead_reckoning" not in fitted_on(windows).names


def test_a_user_names_the_sensors(tmp_path):
    wide = StreamSpec("bus", "sensor", ("a", "b"), ("", ""), 10.0)

    def bus(_, time, speed, rate, *rest):
        return Samples(time, np.stack([7 * speed, rate], -1))

    windows = drives(tmp_path / "a.h5", (PLACE, wide), read={wide: bus})
    assert "dead_reckoning" not in fitted_on(windows).names
    fitted = fitted_on(windows, motion=Named("bus.a", "bus.b"))
    assert fitted.reckoners[0].speed_scale == pytest.approx(1 / 7, rel=0.01)
    assert "place from speed 0.1429 x bus.a and turning 1 x bus.b" in fitted.describe()
    with pytest.raises(WorldModelError, match=r"No sensor is called 'bus.c'[\s\S]*bus.a, bus.b"):
        fitted_on(windows, motion=Named("bus.c", "bus.b"))


def test_what_is_saved_reckons_the_same(tmp_path):
    windows = drives(tmp_path / "a.h5", (PLACE, WHEELS, GYRO))
    fitted = fitted_on(windows)
    fitted.save(tmp_path / "baselines.npz")
    loaded = Baselines.load(tmp_path / "baselines.npz", windows.layout)
    *given, _ = asked(windows)
    one, two = (b.predict("dead_reckoning", *given) for b in (fitted, loaded))
    np.testing.assert_array_equal(one, two)
    assert fitted.describe() == loaded.describe()


@pytest.mark.parametrize("rate", [0.0, 0.7, -2.0])
def test_an_arc_is_exact_however_long_its_tick(rate):
    time = np.arange(12) * 0.5
    path = drive(np.full((1, 12), 3.0), Heading.of(rate * time[None], now=4), 0.5)
    since = time - time[4]
    expected = 3 * since if rate == 0 else 3 / rate * np.sin(rate * since) + 3j / rate * (1 - np.cos(rate * since))
    np.testing.assert_allclose(path.place[0], expected, atol=1e-12)
    np.testing.assert_allclose(path.nose[0], rate * since, atol=1e-12)


def test_a_match_finds_how_a_path_was_turned_and_moved():
    rng = np.random.default_rng(0)
    path = rng.normal(size=(5, 30, 2)) @ (1, 1j)
    angle, moved, mask = (
        rng.uniform(-np.pi, np.pi, 5),
        rng.normal(size=(5, 2)) @ (1, 1j),
        rng.uniform(size=(5, 30)) < 0.5,
    )
    fixes = np.where(mask, moved[:, None] + np.exp(1j * angle)[:, None] * path, 99)
    found = match(path, fixes, mask, np.zeros(mask.shape))
    np.testing.assert_allclose(found.angle, angle)
    np.testing.assert_allclose(found.moved, moved)
    assert found.clear.all()


def test_the_fixes_of_a_vehicle_that_stands_tell_no_angle():
    rng, mask = np.random.default_rng(1), np.ones((200, 30), bool)
    path = 0.01 * np.arange(30) * np.ones((200, 1), complex)  # it creeps on by 0.3 m
    noise = rng.normal(size=(2, 200, 30))
    there = noise[0] + 1j * noise[1]
    assert match(path, path + 0.5 * there, mask, np.zeros(mask.shape)).clear.mean() < 0.2
    assert match(path, path + 0.005 * there, mask, np.zeros(mask.shape)).clear.all()
