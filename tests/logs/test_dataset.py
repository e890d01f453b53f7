"""Windows as a dataset: physical columns by stream, random access, and the loaders of others over it."""

import numpy as np
import pytest

from tests.oscillator import write_log
from worldmodel.errors import WorldModelError
from worldmodel.geo import geodetic_to_enu
from worldmodel.logs.reader import Log
from worldmodel.types import Samples

DT, C, H = 0.1, 8, 5


def with_an_outage(streams):
    """No GPS from 2 to 3 s, and no command before 0.4 s."""
    time, fixes = streams["gps"]
    force = streams["force"]
    there, commanded = (time < 2) | (time > 3), force.time >= 0.4
    return {
        **streams,
        "gps": Samples(time[there], fixes[there]),
        "force": Samples(force.time[commanded], force.data[commanded]),
    }


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return Log(write_log(tmp_path_factory.mktemp("log") / "a.h5", 3, edit=with_an_outage))


@pytest.fixture(scope="module")
def data(log):
    return log.windows(dt=DT, context_s=C * DT, horizon_s=H * DT)


def test_there_is_a_window_for_every_moment_with_a_past_and_a_future(log, data):
    ticks = int(log.episodes[0].duration_s / DT + 1e-6) + 1
    assert len(data) == 3 * (ticks - (C - 1) - H)
    first, last = data[0], data[len(data) - 1]
    assert (first.episode, first.at_s) == (0, pytest.approx((C - 1) * DT))
    assert (last.episode, last.at_s) == (2, pytest.approx((ticks - 1 - H) * DT))
    assert data[-1].at_s == last.at_s
    for index in (len(data), -len(data) - 1):
        with pytest.raises(IndexError):
            data[index]


def newest(stream, at_s):
    """The plain loop: the newest sample in (t - dt, t], or None."""
    row = np.searchsorted(stream.time, at_s + 1e-7, side="right") - 1
    return row if row >= 0 and stream.time[row] > at_s - DT + 1e-7 else None


def test_every_reading_is_the_logs_own_newest(log, data):
    window = data[60]
    streams, at_s = log.episodes[int(window.episode)].streams, float(window.at_s)
    fixes = streams["gps"]
    last = fixes.data[fixes.time <= at_s + 1e-7][-1]
    for part, mask, ticks in (
        (window.past, window.past_mask, np.arange(1 - C, 1)),
        (window.future, window.future_mask, np.arange(1, H + 1)),
    ):
        for name, stream in streams.items():
            if name in ("velocity", "force"):  # averaged in its slots; below
                continue
            for k, tick in enumerate(ticks):
                row = newest(stream, at_s + tick * DT)
                assert mask[name][k].all() == mask[name][k].any() == (row is not None)
                if row is None:
                    assert (part[name][k] == 0).all()
                    continue
                wanted = stream.data[row]
                if name == "gps":
                    wanted = geodetic_to_enu(wanted[None], last)[0]
                np.testing.assert_allclose(part[name][k], wanted, atol=1e-3 if name == "gps" else 1e-5, err_msg=name)


def test_shapes_types_and_names(data):
    window = data[3]
    assert {n: v.shape for n, v in window.past.items()} == {
        "position": (C, 1), "velocity": (C, 1), "phase": (C, 1), "gps": (C, 3), "camera": (C, 16, 16, 3),
    }  # fmt: skip
    assert window.past_mask["camera"].shape == (C,)
    assert window.future["camera"].dtype == np.uint8
    assert window.future["gps"].dtype == window.actions.dtype == np.float32
    assert (window.actions_past.shape, window.actions.shape) == ((C - 1, 1), (H, 1))
    assert data.columns["gps"].labels == ("east", "north", "up")
    assert data.action_columns == ("force.f",)
    assert "gps: east [m], north [m], up [m]" in repr(data)


def test_actions_are_what_is_in_force_and_unknown_before_the_first(log, data):
    early = data[0]  # its past begins at 0 s, the first command comes at 0.4 s
    np.testing.assert_array_equal(early.actions_past_mask[:, 0], [False] * 4 + [True] * 3)
    assert (early.actions_past[:4] == 0).all()
    force = log.episodes[0].streams["force"]
    for k in range(H):
        begin = float(early.at_s) + k * DT
        inside = (force.time >= begin - 1e-6) & (force.time < begin + DT - 1e-6)
        np.testing.assert_allclose(early.actions[k, 0], force.data[inside, 0].mean(), atol=1e-5)


def test_a_batch_is_its_windows_stacked(data):
    indices = [0, 17, 5]
    batch = data.arrays(indices)
    for row, index in enumerate(indices):
        one = data[index]
        for name in one.past:
            np.testing.assert_array_equal(batch.past[name][row], one.past[name])
            np.testing.assert_array_equal(batch.future_mask[name][row], one.future_mask[name])
        np.testing.assert_array_equal(batch.actions[row], one.actions)
        assert (batch.episode[row], batch.at_s[row]) == (one.episode, one.at_s)


def test_nothing_after_the_moment_is_in_the_past(log, tmp_path):
    def later(streams):
        return {
            n: Samples(t, np.where((t > 2.0 + 1e-6).reshape(-1, *[1] * (d.ndim - 1)), d * 0, d).astype(d.dtype))
            for n, (t, d) in streams.items()
        }

    one, two = (
        Log(write_log(tmp_path / f"{n}.h5", 1, edit=edit)).windows(dt=DT, context_s=C * DT, horizon_s=H * DT)
        for n, edit in (("plain", None), ("later", later))
    )
    index = int(np.flatnonzero(np.isclose(one.starts[:, 1] * DT, 2.0))[0])
    a, b = one[index], two[index]
    for name in a.past:
        np.testing.assert_array_equal(a.past[name], b.past[name])
    np.testing.assert_array_equal(a.actions_past, b.actions_past)
    assert (a.future["position"] != b.future["position"]).any()


def test_episodes_can_be_chosen_and_spans_must_make_sense(log):
    chosen = log.windows(dt=DT, context_s=C * DT, horizon_s=H * DT, episodes=[2])
    assert set(chosen.arrays(range(len(chosen))).episode) == {2}
    with pytest.raises(WorldModelError, match="horizon_s must be positive"):
        log.windows(context_s=1, horizon_s=0)
    with pytest.raises(WorldModelError, match="No episode is as long"):
        log.windows(context_s=10, horizon_s=1)


def test_grain_reads_it(data):
    grain = pytest.importorskip("grain")
    batches = grain.MapDataset.source(data).shuffle(seed=0).batch(4)
    assert len(batches) == len(data) // 4
    batch = batches[0]
    assert batch.past["gps"].shape == (4, C, 3)
    assert batch.actions.shape == (4, H, 1)
    loader = grain.DataLoader(
        data_source=data,
        sampler=grain.samplers.IndexSampler(len(data), num_epochs=1),
        operations=[grain.transforms.Batch(4)],
    )
    np.testing.assert_array_equal(next(iter(loader)).at_s, [data[i].at_s for i in range(4)])


def test_torch_reads_it(data):
    torch = pytest.importorskip("torch")
    batch = next(iter(torch.utils.data.DataLoader(data, batch_size=4)))
    assert tuple(batch.past["gps"].shape) == (4, C, 3)
    assert batch.past["camera"].dtype == torch.uint8
