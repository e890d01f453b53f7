"""What is pushed sample by sample is what a log of the same samples would say, bit for bit."""

import threading

import jax
import numpy as np
import pytest

from tests.oscillator import write_log
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.logs.reader import Log
from worldmodel.types import Samples

AT = 2.4
CONTEXT = 20


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 2))


@pytest.fixture(scope="module")
def run(log):
    return untrained_run(log, dt=0.05, context=CONTEXT, horizon=12)


def samples_of(streams, until: float = np.inf):
    """(time, stream, value) in order of time."""
    every = [
        (t, name, value)
        for name, stream in streams.items()
        for t, value in zip(stream.time, stream.data, strict=True)
        if t <= until
    ]
    return sorted(every, key=lambda sample: sample[0])


def pushed(run, samples, **options):
    live = run.live(start_s=0.0, **options)
    for time, name, value in samples:
        live.push(name, time, value)
    return live


def same(one, two) -> None:
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def ahead(streams, at: float) -> dict[str, Samples]:
    """What a log commands after a moment."""
    later = streams["force"]
    return {"force": Samples(later.time[later.time > at] - at, later.data[later.time > at])}


def test_ticks_between_samples_are_those_of_the_log(log):
    run = untrained_run(log, dt=0.05, context=CONTEXT, horizon=12, phase_s=0.03)
    streams, windows = log.episodes[1].streams, run.windows(log, episodes=[1])
    live = run.live()
    for time, name, value in samples_of(streams, 1.98):
        live.push(name, time, value)
        if time == 0:
            assert live.belief.at_s == pytest.approx(0.03)
            assert not live.belief.ready
    assert live.belief.at_s == pytest.approx(1.98)
    row = round(windows.layout.row(1.98))
    same(live.belief.context, windows.cut(np.array([[0, row]]), 0)[0])
    for time, name, value in samples_of(streams, 2.0):
        if time > 1.98:
            live.push(name, time, value)
    held = {"force": Samples(np.zeros(1), np.ones((1, 1)))}
    live_says = live.imagine(held, members=2, at_s=2.0)
    log_says = run.imagine(log, episode=1, at_s=2.0, actions=held, members=2)
    same(live_says.imagined, log_says.imagined)
    assert live_says.start_s == log_says.start_s == windows.layout.time_s(row)


def test_what_was_just_pushed_counts(log):
    """Wherever between two ticks its stamp lies, as that of a machine with jitter does."""
    run = untrained_run(log, dt=0.05, context=CONTEXT, horizon=12, phase_s=0.035)
    streams = log.episodes[1].streams
    every = samples_of(streams, 2.035)
    assert 1.985 < every[-1][0] < 2.035
    held = {"force": Samples(np.zeros(1), np.ones((1, 1)))}
    live, of_log = pushed(run, every), run.imagine(log, episode=1, at_s=2.035, actions=held, members=2)
    found = live.imagine(held, members=2)
    assert found.start_s == of_log.start_s
    same(found.imagined, of_log.imagined)
    live, newest = pushed(run, samples_of(streams, 2.0)), streams["velocity"].time.searchsorted(2.0)
    np.testing.assert_array_equal(live.belief.readings["velocity"], streams["velocity"].data[newest])
    assert live.belief.at_s == live.imagine(members=2).start_s == pytest.approx(2.035)
    same(live.imagine(members=2).imagined, live.imagine(members=2, at_s=2.035).imagined)


def test_windows_and_futures_are_those_of_the_log(run, log):
    streams, windows = log.episodes[1].streams, run.windows(log, episodes=[1])
    live, given = pushed(run, samples_of(streams, AT)), ahead(streams, AT)
    same(live.belief.context, windows.cut(np.array([[0, round(AT / 0.05)]]), 0)[0])
    live_says = live.imagine(given, members=2, seed=5)
    log_says = run.imagine(log, episode=1, at_s=AT, members=2, seed=5, actions=given)
    same(live_says.imagined, log_says.imagined)
    assert live_says.start_s == log_says.start_s


def test_a_moment_before_the_newest_is_as_it_was(run, log):
    """What came later is not seen, and samples that came late are where they belong."""
    streams = log.episodes[0].streams
    every = samples_of(streams, AT)
    order = np.argsort([t + 0.2 * (name == "phase") for t, name, _ in every], kind="stable")  # one sensor lags behind
    live = pushed(run, [every[i] for i in order])
    same(live.belief.context, pushed(run, every).belief.context)
    early = pushed(run, samples_of(streams, 2.1 + 1e-9)).imagine(members=2, at_s=2.1)
    same(live.imagine(members=2, at_s=2.1).imagined, early.imagined)


def test_samples_out_of_order_are_put_in_place_and_told(run, log):
    every = samples_of(log.episodes[0].streams, AT)
    swapped, rows = list(every), [i for i, s in enumerate(every) if s[1] == "velocity"]
    for a, b in zip(rows[1::4], rows[2::4], strict=False):
        swapped[a], swapped[b] = swapped[b], swapped[a]
    live = pushed(run, swapped)
    same(live.belief.context, pushed(run, every).belief.context)
    assert live.belief.late["velocity"] == len(rows[2::4])
    assert sum(live.belief.late.values()) == live.belief.late["velocity"]
    assert sum(live.belief.dropped.values()) == 0


def test_too_late_or_twice_is_dropped_and_counted_and_a_clock_that_goes_back_is_named(run, log):
    live = pushed(run, samples_of(log.episodes[0].streams, AT), watermark_s=0.3)
    assert live.push("position", 2.4, [9.0]) == "dropped"  # it is there
    live.push("force", 2.9, [0.0])
    assert live.push("phase", 2.5, [0.0]) == "dropped"  # in order, but the machine is at 2.9 s
    assert live.belief.dropped == {name: int(name in ("position", "phase")) for name in live.belief.dropped}
    with pytest.raises(WorldModelError, match="'position' went back"):
        live.push("position", 1.0, [0.0])


def test_a_silent_stream_becomes_a_mask_and_its_age_grows(run, log):
    streams = log.episodes[0].streams
    live = pushed(run, [s for s in samples_of(streams, AT) if s[1] != "position" or s[0] < 1.0])
    assert live.belief.age_s["position"] == pytest.approx(AT - 0.98)
    column, stream = run.layout.columns["position"].start, [s.name for s in run.layout.readings].index("position")
    context = live.belief.context
    assert not context.mask[0, :, column].any()
    np.testing.assert_allclose(np.diff(context.age_s[0, :, stream]), 0.05, atol=1e-5)
    later = live.imagine(members=2, at_s=AT + 1.0)  # all are silent
    assert later.start_s == pytest.approx(AT + 1.0)


@pytest.mark.parametrize(
    ("stream", "time", "value", "match"),
    [
        ("speed", 0.0, 1.0, "no stream 'speed'"),
        ("velocity", np.nan, 1.0, "no time"),
        ("velocity", 0.0, [1.0, 2.0], "another shape"),
        ("velocity", 0.0, "fast", "no number"),
        ("camera", 0.0, np.zeros((16, 16, 3)), "another shape"),
    ],
)
def test_what_does_not_fit_is_refused(run, stream, time, value, match):
    with pytest.raises(WorldModelError, match=match):
        run.live().push(stream, time, value)


def test_it_says_what_it_waits_for(run):
    live = run.live()
    with pytest.raises(WorldModelError, match="Nothing was pushed"):
        live.imagine()
    live.push("velocity", 100.0, 0.0)
    assert not live.belief.ready
    with pytest.raises(WorldModelError, match="Too little"):
        live.imagine()
    with pytest.raises(WorldModelError, match="moment is over"):
        live.imagine(at_s=98.0)


def test_the_machines_clock_may_begin_anywhere(run, log):
    plain = pushed(run, samples_of(log.episodes[0].streams, AT))
    moved = run.live()
    for time, name, value in samples_of(log.episodes[0].streams, AT):
        moved.push(name, time + 4096.0, value)
    one, two = plain.imagine(members=2), moved.imagine(members=2)
    assert two.start_s == one.start_s + 4096
    for name in one.imagined:
        np.testing.assert_allclose(one[name].data, two[name].data, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(two[name].time, one[name].time + 4096)


def test_memory_and_programs_are_those_of_the_first_tick(run, log):
    """A buffer has its size at once; a thousand seconds later nothing was compiled again."""
    live, shared = run.live(start_s=0.0), run.session.forecaster
    programs = []
    for lap in range(3):
        for time, name, value in samples_of(log.episodes[0].streams):
            live.push(name, time + 4.0 * lap, value)
        live.imagine(members=2)
        programs.append(shared._imaginer._compiled._cache_size())
        buffers = live._intake._buffers.values()
        assert all(len(b) <= b.spec.rate_hz * live._intake._keep_s[b.spec.name] + 2 for b in buffers)
    assert programs[0] == programs[-1]


def test_one_thread_pushes_while_another_imagines(run, log):
    """Every context that is seen meanwhile is the log's of that tick."""
    every, windows = samples_of(log.episodes[0].streams, 3.5), run.windows(log, episodes=[0])
    live = pushed(run, [s for s in every if s[0] <= 1.5])
    thread = threading.Thread(target=lambda: [live.push(n, t, v) for t, n, v in every if t > 1.5])
    thread.start()
    while thread.is_alive():
        belief = live.belief
        whole = windows.cut(np.array([[0, round(belief.at_s / 0.05)]]), 0)[0]
        shown = belief.context.mask[0]
        np.testing.assert_array_equal(shown & ~whole.mask[0], False)  # nothing that the log does not hold
    thread.join()
    same(live.belief.context, windows.cut(np.array([[0, 70]]), 0)[0])
