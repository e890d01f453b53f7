"""What `imagine` returns: its clock, its units, its actions, and what it refuses."""

import numpy as np
import pytest

from tests.oscillator import SPECS, episode
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.geo import enu_to_geodetic, geodetic_to_enu
from worldmodel.imagine.actions import logged_ahead, read_actions
from worldmodel.imagine.engine import Imagined, Imaginer, Pictures
from worldmodel.imagine.forecaster import trust
from worldmodel.imagine.session import Session, foretell
from worldmodel.logs.align import TickLayout
from worldmodel.logs.followed import Beginning
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Context
from worldmodel.logs.writer import LogWriter
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Commands, Samples, StreamSpec

DT, CONTEXT, HORIZON, AT = 0.05, 20, 12, 2.0
END = AT + HORIZON * DT
NOTHING = Commands(*(np.zeros((1, 1, 0)) for _ in range(3)))


def write(path, streams, specs=SPECS):
    with LogWriter(path, specs) as writer:
        writer.append(streams, origin_utc=1_700_000_000.0)
    return Log(path)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write(tmp_path_factory.mktemp("log") / "a.h5", episode(3))


@pytest.fixture(scope="module")
def run(log):
    return untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON)


@pytest.fixture
def dream(run, log):
    """`run.imagine` at `AT` with options."""

    def call(log=log, **options):
        return run.imagine(log, **{"episode": 0, "at_s": AT, "members": 3, **options})

    return call


def all_equal(one, two):
    return all((one.imagined[n].data == two.imagined[n].data).all() for n in one.imagined)


def test_each_stream_has_its_own_times_after_the_start(dream):
    trajectory = dream()
    expected = {"position": 0.05 / 2, "velocity": 0.01, "phase": DT, "gps": DT, "camera": 0.1, "force": DT}
    assert trajectory.start_s == pytest.approx(AT)
    assert trajectory.origin_utc == 1_700_000_000.0
    assert trajectory.imagined.keys() == expected.keys()
    for name, interval in expected.items():
        time, data = trajectory.imagined[name]
        assert data.shape[:2] == (len(time), 3)
        assert data.shape[2:] == trajectory.streams[name].sample_shape
        np.testing.assert_allclose(np.diff(time), interval, atol=1e-9)
        last = END - DT if name == "force" else END  # the last action holds until the end
        first = AT if name == "force" else AT + interval
        np.testing.assert_allclose([time[0], time[-1]], [first, last], atol=1e-9)


def test_ticks_between_samples_are_imagined_where_they_are(log):
    """From the last tick at or before the moment, under actions that begin at the moment itself."""
    run = untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON, phase_s=0.02)
    at_s = CONTEXT * DT + 0.02
    held = {"force": Samples(np.array([0.0]), np.array([[0.5]]))}
    for late_s in (0.0, 0.04):
        trajectory = run.imagine(log, episode=0, at_s=at_s + late_s, members=2, actions=held)
        assert trajectory.start_s == pytest.approx(at_s)
        np.testing.assert_allclose(trajectory["phase"].time, at_s + DT * np.arange(1, HORIZON + 1))
        np.testing.assert_allclose(trajectory["force"].time, at_s + DT * np.arange(HORIZON))
        led = log.episodes[0].streams["force"][at_s : at_s + late_s].data  # until the first that is given
        (before,) = log.episodes[0].streams["force"][at_s - 0.02 : at_s].data[-1]
        shares = [late_s / DT, 1 - late_s / DT]
        assert not late_s or set(led.ravel()) <= {before}
        assert trajectory["force"].data[0, 0, 0] == pytest.approx(np.dot(shares, [before, 0.5]), abs=1e-6)
        newest = log.episodes[0].streams["position"].time
        assert trajectory.logged["position"].time[0] == newest[newest >= at_s - (CONTEXT - 1) * DT][0]
    with pytest.raises(WorldModelError) as error:
        run.imagine(log, episode=0, at_s=at_s - DT - 0.001)
    assert f"{at_s - DT:.2f} s (the run's context)" in error.value.expected


def test_readings_are_in_the_units_of_the_log(dream, log):
    imagined = dream().imagined
    assert np.abs(imagined["phase"].data).max() <= np.pi
    assert np.ptp(imagined["phase"].data) > 0
    recorded = log.episodes[0].streams["gps"]
    fix = recorded.data[recorded.time <= AT][-1]
    away = geodetic_to_enu(imagined["gps"].data.reshape(-1, 3), fix)
    assert 0 < np.abs(away).max() < 200
    assert imagined["camera"].data.dtype == np.uint8


def test_what_is_logged_covers_the_context_and_the_horizon(dream, log):
    logged = dream().logged
    for name, stream in log.episodes[0].streams.items():
        there = (stream.time >= AT - (CONTEXT - 1) * DT - 1e-6) & (stream.time <= END + 1e-6)
        np.testing.assert_array_equal(logged[name].time, stream.time[there])
        np.testing.assert_array_equal(logged[name].data, stream.data[there])


def test_a_seed_repeats_its_futures_and_another_gives_others(dream):
    one, again, other = dream(seed=4), dream(seed=4), dream(seed=5)
    assert all_equal(one, again)
    for name in ("position", "velocity", "phase", "gps"):
        assert (one.imagined[name].data != other.imagined[name].data).any()
        assert (one.imagined[name].data[:, 0] != one.imagined[name].data[:, 1]).any()


def test_by_default_the_logged_actions_are_taken(dream, log):
    force = log.episodes[0].streams["force"]
    plain = dream()
    fine = plain.imagined["force"].time[:, None] + (np.arange(5000) + 0.5) / 5000 * DT
    in_force = force.data[np.searchsorted(force.time, fine, side="right") - 1, 0].mean(1)
    assert np.ptp(in_force) > 0.5
    for member in range(3):
        np.testing.assert_allclose(plain.imagined["force"].data[:, member, 0], in_force, atol=2e-3)
    late = force.time >= AT - 0.02
    same = dream(actions={"force": Samples(force.time[late] - AT, force.data[late])})
    for name in ("position", "velocity", "phase", "gps"):
        np.testing.assert_allclose(same.imagined[name].data, plain.imagined[name].data, rtol=1e-5, atol=1e-5)


def test_given_actions_change_only_what_comes_after_them(dream):
    time = np.arange(HORIZON) * DT
    plain = np.zeros((HORIZON, 1))
    changed = np.where(time[:, None] >= 0.3 - 1e-9, 2.0, plain)
    one, two = (dream(actions={"force": Samples(time, u)}) for u in (plain, changed))
    for name in ("position", "velocity", "phase", "gps", "camera"):
        before = one.imagined[name].time <= AT + 0.3 + 1e-9
        a, b = one.imagined[name].data, two.imagined[name].data
        assert 0 < before.sum() < len(before)
        np.testing.assert_array_equal(a[before], b[before])
        assert (a[~before] != b[~before]).any()
    np.testing.assert_allclose(two.imagined["force"].data[:, 0], changed, atol=1e-6)


def test_a_file_of_actions_equals_its_samples(dream, tmp_path):
    time, force = np.array([0.0, 0.13, 0.4]), np.array([[1.0], [-2.5], [0.1]])
    rows = "\n".join(f"{u[0]!r},{t!r}" for t, u in zip(time.tolist(), force.tolist(), strict=True))
    (tmp_path / "actions.csv").write_text(f"f,time\n{rows}\n")
    from_file = dream(actions=tmp_path / "actions.csv")
    assert all_equal(from_file, dream(actions={"force": Samples(time, force)}))
    assert not all_equal(from_file, dream())
    (tmp_path / "one.csv").write_text("time,f\n0,1\n")
    assert all_equal(dream(actions=str(tmp_path / "one.csv")), dream(actions={"force": Samples(time[:1], force[:1])}))


@pytest.mark.parametrize(
    "text",
    [
        "time;f\n0;1\n0.5;-2.5\n",
        "time;f\r\n0;1\r\n0,5;-2,5\r\n",
        "time\tf\n0\t1,0\n0,5\t-2,5\n",
        '"time","f"\n"0","1"\n"0,5","-2,5"\n',
    ],
)
def test_a_file_of_actions_may_be_as_a_spreadsheet_of_any_country_writes_it(tmp_path, text):
    spec = StreamSpec("drive", "action", ("f",), ("V",), 10.0)
    (tmp_path / "a.csv").write_text(text, newline="")
    read = read_actions(tmp_path / "a.csv", (spec,))["drive"]
    np.testing.assert_array_equal(read.time, [0, 0.5])
    np.testing.assert_array_equal(read.data, [[1], [-2.5]])


def test_columns_of_a_file_may_have_the_names_that_recipes_allow(tmp_path):
    specs = (
        StreamSpec("drive", "action", ("front-left", "rear left"), ("V", "V"), 10.0),
        StreamSpec("arm", "action", ("joint[0].torque",), ("N*m",), 10.0),
    )
    (tmp_path / "a.csv").write_text("time,rear left,joint[0].torque,front-left\n0,1,2,3\n0.5,4,5,6\n")
    read = read_actions(tmp_path / "a.csv", specs)
    np.testing.assert_array_equal(read["drive"].data, [[3, 1], [6, 4]])
    np.testing.assert_array_equal(read["arm"].data, [[2], [5]])
    np.testing.assert_array_equal(read["arm"].time, [0, 0.5])


def test_columns_of_a_file_may_tell_their_stream_and_must_where_two_share_a_name(tmp_path):
    left, right = (StreamSpec(name, "action", ("0", "speed"), ("", ""), 10.0) for name in ("left", "right"))
    (tmp_path / "a.csv").write_text("time,right.speed,left[0],right[0],left.speed\n0,1,2,3,4\n")
    read = read_actions(tmp_path / "a.csv", (left, right))
    assert [read[name].data.tolist() for name in ("left", "right")] == [[[2, 4]], [[3, 1]]]
    for header in ("speed,0", "left[0],left.speed"):
        (tmp_path / "b.csv").write_text(f"time,{header}\n0,1,2\n")
        assert read_actions(tmp_path / "b.csv", (left,))["left"].data.tolist() in ([[2, 1]], [[1, 2]])
    (tmp_path / "c.csv").write_text("time,0,speed,0,speed\n0,1,2,3,4\n")
    with pytest.raises(WorldModelError, match=r"left\.0, left\.speed, right\.0, right\.speed"):
        read_actions(tmp_path / "c.csv", (left, right))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("time,f,g\n0,1,2\n", r"a column 'g' that no action has[\s\S]*time[\s\S]*f[\s\S]*time, f, g"),
        ("time,ff\n0,1\n", r"a column 'ff' that no action has[\s\S]*did you mean 'f'"),
        ("time,f,f\n0,1,2\n", "a column 'f'"),
        ("f\n1\n", "no column 'time'"),
        ("0,1\n1,2\n", "a column '0' that no action has"),
        ("", "a column '' that no action has|cannot be read"),
        ("time,f\n", "no rows"),
        ("time,f\n0,1\n0,2\n", "do not increase"),
        ("time,f\n0,nan\n", "no number"),
        ("time,f\n0,fast\n", "not numbers|cannot be read"),
        ("time,f\n0,1\n1\n", "cannot be read"),
        ("time,f\n0,0,1,5\n", r"cannot be read[\s\S]*semicolons"),
        ("time;f\n0.5;1,500\n", r"cannot be read[\s\S]*such as 0.5"),  # a half or a thousand
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_file_of_actions_that_does_not_fit_is_refused(dream, tmp_path, text, problem):
    (tmp_path / "actions.csv").write_text(text)
    with pytest.raises(WorldModelError, match=problem):
        dream(actions=tmp_path / "actions.csv")


def test_actions_that_do_not_fit_are_refused(dream, tmp_path):
    with pytest.raises(WorldModelError, match="cannot be read"):
        dream(actions=tmp_path / "nowhere.csv")
    with pytest.raises(WorldModelError, match=r"wrong width[\s\S]*\[M, 1\]: f[\s\S]*\(2, 2\)"):
        dream(actions={"force": Samples(np.arange(2.0), np.zeros((2, 2)))})
    with pytest.raises(WorldModelError, match=r"no samples[\s\S]*Samples\(time, data\)[\s\S]*ndarray"):
        dream(actions={"force": np.zeros((2, 1))})
    pair = dream(actions={"force": ([0.0, 0.1], [[1.0], [2.0]])})
    assert all_equal(pair, dream(actions={"force": Samples(np.array([0.0, 0.1]), np.array([[1.0], [2.0]]))}))
    with pytest.raises(WorldModelError, match=r"no action 'push'[\s\S]*expected:[^\n]*force"):
        dream(actions={"push": Samples(np.arange(2.0), np.zeros((2, 1)))})
    with pytest.raises(WorldModelError, match=r"(?s)No given action begins within the horizon.*at 100.00 s"):
        dream(actions={"force": Samples(100 + np.arange(2.0), np.zeros((2, 1)))})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"at_s": 0.9}, r"no moment[\s\S]*0.95 s \(the run's context\)"),
        ({"at_s": 4.2}, "no moment"),
        ({"at_s": -1.0}, "no moment"),
        ({"at_s": float("nan")}, "no moment"),
        ({"episode": 1}, "no episode 1"),
        ({"episode": -1}, "no episode -1"),
        ({"members": 0}, "at least one member"),
        ({"horizon_s": -0.5}, "must be positive"),
        ({"at_s": 3.9}, r"ends before the horizon[\s\S]*earlier moment"),
    ],
)
def test_what_cannot_be_imagined_is_refused(dream, options, problem):
    with pytest.raises(WorldModelError, match=problem):
        dream(**options)


def test_the_first_and_the_last_moment_and_a_horizon_beyond_the_recording(dream, log):
    assert dream(at_s=(CONTEXT - 1) * DT).start_s == pytest.approx(0.95)
    end = np.floor(log.episodes[0].duration_s / DT) * DT
    last = dream(at_s=end, actions={"force": Samples(np.zeros(1), np.ones((1, 1)))})
    assert last.imagined["position"].time[0] > end
    assert (last.logged["position"].time <= end + 0.05).all()


@pytest.fixture
def still(monkeypatch):
    """Nothing changes in what is imagined: every GPS position stays at the fix that it is relative to."""

    def futures(self, context, actions, ticks, members, noisy=True):
        shape = (len(actions.values), members, actions.values.shape[1], context.values.shape[-1])
        shapes = [(len(t), members, t.shape[1], *f.shape[2:]) for t, f in zip(ticks, context.frames, strict=True)]
        readings = np.zeros(shape, np.float32)
        black = [np.zeros(shape, np.uint8) for shape in shapes]
        return Imagined(readings, readings), [Pictures(members, members[:, 0]) for members in black]

    monkeypatch.setattr(Imaginer, "futures", futures)


def test_the_horizon_is_the_one_asked_for(run, log, still):
    imagined = run.imagine(log, episode=0, at_s=AT, horizon_s=0.3, members=2).imagined
    assert imagined["phase"].time[-1] == pytest.approx(AT + 0.3)
    np.testing.assert_allclose(imagined["camera"].time, AT + np.array([0.1, 0.2, 0.3]))
    assert imagined["camera"].data.shape == (3, 2, 16, 16, 3)


def test_the_members_of_a_machine_that_stands_go_where_it_points_or_in_all_directions(run, log):
    session, frames = Session(run), run.layout.frames
    moment = session.moment(log, episode=0, at_s=AT)
    commands = logged_ahead(run.windows(log, episodes=[0]), moment.row, HORIZON)
    seen = float(frames.angle(moment.context.values, moment.context.mask)[0, frames.names.index("enu")])
    noses = ({}, {"gps": (seen + 0.7, 0.0)}, {"gps": (seen, 2 * np.pi)})
    futures = [
        foretell(session.forecaster, moment._replace(begins=Beginning(noses=each)), commands, 200, 0) for each in noses
    ]
    ends = (geodetic_to_enu(each["gps"].data[-1], moment.origin) - moment.fixes["gps"] for each in futures)
    plain, turned, lost = (end[:, :2] @ [1, 1j] for end in ends)
    assert np.abs(plain).min() > 0.1
    np.testing.assert_allclose(turned, plain * np.exp(0.7j), atol=1e-3)
    np.testing.assert_allclose(np.abs(lost), np.abs(plain), atol=1e-3)
    assert np.abs(np.mean(lost / plain)) < 0.2
    assert ["in all directions" in repr(each) for each in futures] == [False, False, True]


def test_where_a_place_is_unsure_members_begin_apart_by_it(run, log, still):
    """Each member's whole way is moved by the same step, as far as the place may be off."""
    windows, session = run.windows(log, episodes=[0]), Session(run)
    moment = session.moment(log, episode=0, at_s=AT)
    commands = logged_ahead(windows, moment.row, HORIZON)
    sure, unsure = (
        foretell(session.forecaster, each, commands, 64, seed=3)
        for each in (moment, moment._replace(begins=Beginning({"gps": 30})))
    )
    ways = [geodetic_to_enu(each["gps"].data.reshape(-1, 3), moment.origin) for each in (sure, unsure)]
    moved = (ways[1] - ways[0]).reshape(HORIZON, 64, 3)
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:1], moved.shape), atol=0.01)
    np.testing.assert_allclose(moved[0].std(0), [30, 30, 0], rtol=0.25, atol=0.01)
    assert all((sure[name].data == unsure[name].data).all() for name in sure.imagined if name != "gps")
    assert "less sure" in repr(unsure)
    assert "less sure" not in repr(sure)


NO_VIDEO = tuple(s for s in SPECS if s.kind != "video")


def test_without_a_fix_in_the_context_no_place_is_told_and_that_is_said(run, tmp_path, still):
    streams = {s.name: episode(3)[s.name] for s in NO_VIDEO}
    time, fixes = streams["gps"]
    there = (time < 0.9) | (time > 2.5)
    log = write(tmp_path / "a.h5", {**streams, "gps": Samples(time[there], fixes[there])}, NO_VIDEO)
    outage = untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON)
    future = outage.imagine(log, episode=0, at_s=AT, members=1)
    assert future.silent == ("gps",)
    assert np.isnan(future["gps"].data).all()
    assert "nothing was seen of gps: where the machine is cannot be said, and is NaN" in future.notes
    silenced = outage.session.imagine(log, episode=0, at_s=1.0, members=1, silent=["gps", "phase"])
    assert np.isfinite(silenced["gps"].data).all()  # from the fix that there was
    assert "nothing was seen of gps, phase: imagined from the others" in silenced.notes
    assert not outage.imagine(log, episode=0, at_s=1.0, members=1).silent  # the newest fixes are within the context


def test_each_receiver_is_relative_to_a_fix_of_its_own(tmp_path, still):
    rear = StreamSpec("rear", "gps", GPS_COLUMNS, GPS_UNITS, 5.0)
    streams = {s.name: episode(3)[s.name] for s in NO_VIDEO}
    time, fixes = streams["gps"]
    behind = enu_to_geodetic(geodetic_to_enu(fixes, fixes[0]) + np.array([0, -10, 2]), fixes[0])
    log = write(tmp_path / "a.h5", {**streams, "rear": Samples(time, behind)}, (*NO_VIDEO, rear))
    run = untrained_run(log, dt=DT, context=CONTEXT, horizon=HORIZON)
    imagined = run.imagine(log, episode=0, at_s=AT, members=1).imagined
    now = time <= AT
    for name, recorded in (("gps", fixes), ("rear", behind)):
        away = geodetic_to_enu(imagined[name].data.reshape(-1, 3), recorded[now][-1])
        np.testing.assert_allclose(away, 0, atol=0.01, err_msg=name)


@pytest.mark.parametrize(("at_s", "start_s"), [(2.0, 2.0), (2.049, 2.0), (2.03, 2.0), (0.95, 0.95), (2.15, 2.15)])
def test_a_moment_between_ticks_is_rounded_down(dream, at_s, start_s):
    """So that nothing after it is seen; 2.15 s is the 43rd tick of 0.05 s, though a little less in binary."""
    assert dream(at_s=at_s).start_s == pytest.approx(start_s, abs=1e-12)


def test_nothing_after_the_moment_is_seen(dream, log, tmp_path):
    at_s = AT + 0.9 * DT
    streams = {name: (s.time, s.data.copy()) for name, s in log.episodes[0].streams.items()}
    for name, (time, data) in streams.items():
        if name != "force":
            data[time > at_s] = 255 - data[time > at_s] if name == "camera" else 0.5 * data[time > at_s]
    other = write(tmp_path / "other.h5", {name: Samples(*s) for name, s in streams.items()})
    assert all_equal(dream(at_s=at_s), dream(other, at_s=at_s))


def test_before_the_first_given_action_the_one_in_force_holds(dream, log, run):
    force = log.episodes[0].streams["force"]
    held = float(force.data[force.time <= AT + 1e-6][-1, 0])
    assert abs(held) > 0.1
    given = dream(actions={"force": Samples(np.array([5 * DT]), np.array([[2.0]]))}).imagined["force"]
    np.testing.assert_allclose(given.data[:, 0, 0], [held] * 5 + [2.0] * (HORIZON - 5), atol=1e-6)
    explicit = {"force": Samples(np.array([0, 5 * DT]), np.array([[held], [2.0]]))}
    np.testing.assert_allclose(dream(actions=explicit).imagined["force"].data, given.data, atol=1e-6)


def test_given_times_count_from_the_moment_and_not_from_its_tick(dream, log):
    """At 2.02 s the tick is 2.00 s: for 0.02 s the log's own command is in force, and then the given one."""
    force = log.episodes[0].streams["force"]
    logged = float(force.data[force.time <= AT + 1e-6][-1, 0])
    given = dream(at_s=AT + 0.4 * DT, actions={"force": Samples(np.zeros(1), np.full((1, 1), 3.0))}).imagined["force"]
    np.testing.assert_allclose(given.data[:2, 0, 0], [0.4 * logged + 0.6 * 3.0, 3.0], atol=1e-5)


def test_before_any_command_what_is_in_force_is_unknown(run, log, tmp_path):
    streams = {name: Samples(s.time, s.data) for name, s in log.episodes[0].streams.items()}
    late = streams["force"].time > AT + 6 * DT
    streams["force"] = Samples(*(x[late] for x in streams["force"]))
    silent = write(tmp_path / "silent.h5", streams)
    given = run.imagine(silent, episode=0, at_s=AT, actions={"force": Samples(np.array([3 * DT]), np.ones((1, 1)))})
    assert np.isnan(given.imagined["force"].data[:3]).all()
    np.testing.assert_allclose(given.imagined["force"].data[3:], 1)


def test_given_times_that_do_not_increase_are_refused(dream):
    with pytest.raises(WorldModelError, match="do not increase"):
        dream(actions={"force": Samples(np.array([0.2, 0.1]), np.ones((2, 1)))})
    with pytest.raises(WorldModelError, match="3 times and 2 values"):
        dream(actions={"force": Samples(np.arange(3.0), np.ones((2, 1)))})


@pytest.mark.filterwarnings("error")
def test_where_no_expert_is_weighed_none_is_trusted():
    layout = TickLayout(0.1, SPECS)
    assert trust((), np.zeros((0, 5, 0)), layout, seen(layout)) == {spec.name: {} for spec in layout.readings}


def seen(layout, *unread):
    """A context of two ticks in which all is read but some of the features."""
    mask = ~np.isin(np.arange(layout.size), unread)
    return Context(np.zeros((1, 2, layout.size)), np.tile(mask, (1, 2, 1)), np.zeros((1, 2, 1)), NOTHING, (), ())


def test_whom_a_column_trusts_that_nobody_reads_is_not_told():
    gps = StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 10.0, frame="wgs84")
    layout = TickLayout(0.1, (gps,))
    weights = np.broadcast_to([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], (4, 2, 3)).swapaxes(0, 1)
    np.testing.assert_allclose(trust("ab", weights, layout, seen(layout))["gps"]["a"], 2 / 3)
    np.testing.assert_allclose(trust("ab", weights, layout, seen(layout, 2))["gps"]["a"], 1)
    np.testing.assert_allclose(trust("ab", weights, layout, seen(layout, 0, 1, 2))["gps"]["a"], 2 / 3)
