"""Places that are followed: against noise that is known, against the closed form, and part by part."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from worldmodel.logs.align import TickLayout, Ticks
from worldmodel.logs.followed import follow_newest
from worldmodel.models.baselines.odometry import Odometer
from worldmodel.models.baselines.reckoning import Reckoner
from worldmodel.types import Commands, StreamSpec

DT, NOISE = 0.1, 1.0  # m, of both axes together
LAYOUT = TickLayout(
    DT,
    (
        StreamSpec("gps", "gps", ("latitude", "longitude", "altitude"), ("deg", "deg", "m"), 5.0),
        StreamSpec("wheel", "sensor", ("speed",), ("m/s",), 10.0),
        StreamSpec("gyro", "sensor", ("z",), ("rad/s",), 20.0),
    ),
)
RECKONER = Reckoner("gps", np.array([0, 1]), np.array([3]), np.array([4]), 2.0, 1.0, np.zeros(3, int))


def drive(seed, seconds=40.0, noise=NOISE, out=(), drift=0.0, stops_s=np.inf):
    """A drive on arcs, its true places (complex metres) and its ticks; no fix in the spans `out` (s)."""
    rng, count = np.random.default_rng(seed), round(seconds / DT)
    speed = 3 + 2 * np.sin(np.arange(count) * DT * rng.uniform(0.2, 0.5) + rng.uniform(0, 6))
    rate = 0.5 * np.sin(np.arange(count) * DT * rng.uniform(0.2, 0.6) + rng.uniform(0, 6))
    moves = np.arange(count) * DT < stops_s
    speed, rate = speed * moves, rate * moves
    turned = rate * DT
    nose = rng.uniform(-np.pi, np.pi) + np.cumsum(turned) - turned / 2
    true = 20 + 30j + np.cumsum(speed * DT * np.sinc(turned / 2 / np.pi) * np.exp(1j * nose))
    error = (rng.normal(size=count) + 1j * rng.normal(size=count)) * noise / np.sqrt(2)
    error = error + np.cumsum(rng.normal(size=count) + 1j * rng.normal(size=count)) * drift
    came = np.arange(count) % 2 == 0
    for begin, end in out:
        came[round(begin / DT) : round(end / DT)] = False
    values, mask = np.zeros((count, LAYOUT.size), np.float32), np.ones((count, LAYOUT.size), bool)
    fix = true + error
    values[:, LAYOUT.columns["gps"]] = np.stack([fix.real, fix.imag, np.full(count, 7.0)], 1)
    mask[:, LAYOUT.columns["gps"]] = came[:, None]
    values[:, LAYOUT.columns["wheel"]] = speed[:, None] / 2
    values[:, LAYOUT.columns["gyro"]] = rate[:, None] + [
        [0.1, -0.1]
    ]  # of two samples a tick, one too high, one too low
    values = np.where(mask, values, 0)
    since = np.arange(count) - np.maximum.accumulate(np.where(came, np.arange(count), 0))
    age = np.stack([since * DT, np.zeros(count), np.zeros(count)], 1).astype(np.float32)
    none = Commands(*(np.zeros((count, 0), kind) for kind in (np.float32, bool, np.float32)))
    nothing = np.zeros((count, 0), np.float32)
    return true, Ticks(values, mask, age, none, np.zeros((count, 0), int), np.zeros(3), nothing, nothing)


def fitted(**how):
    return Odometer.fit(RECKONER, [drive(seed, **how)[1] for seed in range(4)], LAYOUT)


@pytest.fixture(scope="module")
def odometer():
    return fitted()


def place(found):
    return found[:, 0] + 1j * found[:, 1]


def test_noise_is_measured_and_averaged(odometer):
    """Of n fixes on a path without error, the variance is that of the middle and of the turn: about 2 / n."""
    assert odometer.averaged
    assert odometer.noise == pytest.approx(NOISE, rel=0.1)
    errors = []
    for seed in range(10, 20):
        true, ticks = drive(seed)
        errors.append((place(odometer.follow(ticks, LAYOUT)) - true)[100:])
    fixes = odometer.span * DT * 5
    assert np.sqrt(np.mean(np.abs(errors) ** 2)) < NOISE * np.sqrt(6 / fixes)


def test_the_match_is_the_least_squares_rotation(odometer):
    _, ticks = drive(3)
    fixes, _ = odometer._on_path(odometer._read(ticks, LAYOUT), LAYOUT)
    found = odometer._matched(fixes, np.array([200]), LAYOUT)
    some = slice(found.last[0] - found.matched[0] + 1, found.last[0] + 1)
    near, far = (np.stack([x.real, x.imag, 0 * x.real], 1) for x in (fixes.path[some], fixes.place[some]))
    turned, distance = Rotation.align_vectors(far - far.mean(0), near - near.mean(0))
    np.testing.assert_allclose(np.angle(found.turn[0]), turned.as_rotvec()[2], atol=1e-6)
    np.testing.assert_allclose(found.left[0], distance**2, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_places_go_on_through_an_outage(odometer, seed):
    true, ticks = drive(seed, seconds=50, out=[(25, 40)])
    found = place(odometer.follow(ticks, LAYOUT))
    error, gone = np.abs(found - true)[250:400], np.abs(true[250:400] - true[248])
    assert np.isfinite(error).all()
    assert gone.max() > 12
    assert error.max() < min(3, gone.max() / 5)


def test_how_unsure_a_place_is_holds_and_grows_while_no_fix_comes(odometer):
    """Twelve drives of which the last 20 s have no fix: what is claimed of a place is as far off as it is."""
    errors, beyond = [], []
    for seed in range(20, 32):
        true, ticks = drive(seed, seconds=50, out=[(30, 50)])
        found = odometer.follow(ticks, LAYOUT)
        errors.append(np.abs(place(found) - true))
        beyond.append(found[:, -3])
    squares, claimed = np.square(errors), odometer.usual + 2 * np.square(beyond)
    assert np.nanmedian(np.array(beyond)[:, 150:300]) < 0.1 * odometer.noise
    for part in (slice(305, 350), slice(350, 400), slice(400, 450), slice(450, 500)):
        assert 0.5 < squares[:, part].mean() / claimed[:, part].mean() < 2
    assert claimed[:, 450:].mean() > 2 * odometer.usual


def test_which_way_a_machine_points_that_stands_is_known_as_long_as_its_drive_is(odometer):
    """Twelve drives that end at 30 s, of which it remembers `span`."""
    off, claimed, forgotten = [], [], []
    for seed in range(40, 52):
        true, ticks = drive(seed, seconds=75, stops_s=30)
        nose, deviation = odometer.follow(ticks, LAYOUT)[:, -2:].T
        rate = ticks.values[:, LAYOUT.columns["gyro"]].mean(1) * DT
        last = np.angle(true[299] - true[298]) + rate[299] / 2  # of arcs, half of whose turn their chord lacks
        assert np.isnan(nose[50:290]).mean() > 0.9  # a track tells it
        known = np.arange(340, 380)
        off.append(np.angle(np.exp(1j * (nose[known] - last))))
        claimed.append(deviation[known])
        forgotten.append(deviation[-1])
    assert 0.3 < np.mean(np.square(off)) / np.mean(np.square(claimed)) < 3
    assert np.mean(np.square(off)) < 0.2**2
    assert min(forgotten) > 1


def test_nothing_is_known_after_a_minute_without_a_fix(odometer):
    _, ticks = drive(0, seconds=120, out=[(20, 120)])
    found = place(odometer.follow(ticks, LAYOUT))
    assert np.isfinite(found[700])
    assert np.isnan(found[850:]).all()


def test_a_tick_knows_nothing_of_what_comes_after_it(odometer):
    _, ticks = drive(1)
    found = odometer.follow(ticks, LAYOUT)
    values = ticks.values.copy()
    values[251:] += 5
    np.testing.assert_array_equal(odometer.follow(ticks._replace(values=values), LAYOUT)[:251], found[:251])


@pytest.mark.parametrize("now", [40, 333, 1200, 1450])
def test_the_newest_part_alone_tells_the_same_bits(odometer, now):
    _, ticks = drive(2, seconds=150, out=[(30, 45), (70, 125)])
    whole = odometer.follow(ticks, LAYOUT)

    def from_tick(names, first):
        part = slice(first, now + 1)
        return ticks._replace(values=ticks.values[part], mask=ticks.mask[part], age_s=ticks.age_s[part])

    part = follow_newest(LAYOUT, [odometer], now - 31, 32, from_tick)
    np.testing.assert_array_equal(part, whole[now - 31 : now + 1])


def test_what_a_receiver_has_filtered_stays_as_it_is():
    """Errors that wander do not average out: fixes stand, and odometry only fills outages."""
    smooth = fitted(noise=0.01, drift=0.05)
    assert not smooth.averaged
    true, ticks = drive(5, noise=0.01, drift=0.05, out=[(25, 33)])
    found = place(smooth.follow(ticks, LAYOUT))
    assert np.isnan(found[ticks.mask[:, 0]]).all()
    assert np.abs(found - true)[255:330].max() < 5


def test_who_stands_still_is_where_its_fixes_are(odometer):
    _, ticks = drive(0)
    values = ticks.values.copy()
    values[:, LAYOUT.columns["wheel"]] = 0
    rng = np.random.default_rng(0)
    values[:, :2] = np.where(ticks.mask[:, :2], 5 + rng.normal(size=(len(values), 2)) * NOISE / np.sqrt(2), 0)
    found = place(odometer.follow(ticks._replace(values=values), LAYOUT))
    assert np.abs(found - (5 + 5j))[200:].max() < 0.7


def test_odometry_that_tells_nothing_is_not_used():
    """Speeds of another drive."""
    drives = [drive(seed)[1] for seed in range(4)]
    rng = np.random.default_rng(0)
    for ticks in drives:
        ticks.values[:, LAYOUT.columns["wheel"]] = rng.normal(size=(len(ticks.values), 1)) * 20
    assert Odometer.fit(RECKONER, drives, LAYOUT) is None


def test_a_wheel_that_is_stuck_leaves_fixes_as_they_are(odometer):
    """What it tells no longer fits the fixes."""
    _, ticks = drive(4)
    values = ticks.values.copy()
    values[200:, LAYOUT.columns["wheel"]] = 9.0
    found = place(odometer.follow(ticks._replace(values=values), LAYOUT))
    assert np.isfinite(found[150:200]).all()
    assert np.isnan(found[260:400]).all()


def test_nobody_is_carried_on_by_a_sensor_that_is_silent(odometer):
    _, ticks = drive(4, out=[(24, 40)])
    mask = ticks.mask.copy()
    mask[260:, LAYOUT.columns["gyro"]] = False
    found = place(odometer.follow(ticks._replace(mask=mask), LAYOUT))
    assert np.isfinite(found[240:260]).all()
    assert np.isnan(found[275:]).all()


def test_what_moves_sideways_is_followed():
    """On wheels that roll both ways, the place after ten seconds without fixes; the speed ahead alone tells nothing."""
    layout = TickLayout(
        DT, (LAYOUT.readings[0], StreamSpec("wheel", "sensor", ("x", "y", "z"), ("m/s", "m/s", "rad/s"), 10.0))
    )
    reckoner = Reckoner(
        "gps", np.array([0, 1]), np.array([3]), np.array([5]), 1.0, 1.0, np.zeros(3, int), np.array([4]), -1.0
    )

    def slides(seed, out=()):
        rng, count = np.random.default_rng(seed), 400
        ahead, left, rate = (rng.uniform(-1, 1, (3, 10)) * np.array([[2], [2], [0.5]])).repeat(40, 1)
        turned = rate * DT
        nose = rng.uniform(-np.pi, np.pi) + np.cumsum(turned) - turned / 2
        true = 20 + 30j + np.cumsum((ahead + 1j * left) * DT * np.sinc(turned / 2 / np.pi) * np.exp(1j * nose))
        fix = true + 0.2 * (rng.normal(size=count) + 1j * rng.normal(size=count))
        values = np.stack([fix.real, fix.imag, np.zeros(count), ahead, -left, rate], 1).astype(np.float32)
        came = np.arange(count) % 2 == 0
        for begin, end in out:
            came[begin:end] = False
        mask = np.ones(values.shape, bool)
        mask[:, :3] = came[:, None]
        since = np.arange(count) - np.maximum.accumulate(np.where(came, np.arange(count), 0))
        none = Commands(*(np.zeros((count, 0), kind) for kind in (np.float32, bool, np.float32)))
        age, nobody = np.stack([since * DT, 0 * since], 1).astype(np.float32), np.zeros((count, 0), np.float32)
        frames, values = np.zeros((count, 0), int), np.where(mask, values, 0)
        return true, Ticks(values, mask, age, none, frames, np.zeros(3), nobody, nobody)

    odometer = Odometer.fit(reckoner, [slides(seed)[1] for seed in range(4)], layout)
    assert odometer.noise == pytest.approx(0.2 * np.sqrt(2), rel=0.1)
    assert odometer.needs(layout) == {"gps", "wheel"}
    for seed in range(10, 14):
        true, ticks = slides(seed, out=[(250, 350)])
        off = np.abs(place(odometer.follow(ticks, layout)) - true)[250:350]
        assert np.isfinite(off).all()
        assert off.max() < 1.5
