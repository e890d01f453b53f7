"""Of what frames are mixed: closed forms, and a network that knows nothing of what comes."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.imagine.engine import Imaginer
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.models.memory import Memory
from worldmodel.models.objective import energy_score
from worldmodel.models.world_model import Film
from worldmodel.training import films
from worldmodel.training.films import _shares, measure_film, remembered
from worldmodel.training.folder import RunFolder
from worldmodel.types import Samples, StreamSpec

CAMERA = StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=(16, 16))
PUSH = StreamSpec("push", "action", ("force",), ("N",), 10.0)


def test_shares_are_those_that_frames_were_mixed_with():
    rng = np.random.default_rng(0)
    parts = [rng.uniform(0, 255, (5, 4, 4, 3)) for _ in range(3)]
    for shares in ([0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [0.7, 0.0, 0.3]):
        came = sum(share * part for share, part in zip(shares, parts, strict=True))
        np.testing.assert_allclose(_shares(parts, came), shares, atol=1e-4)
    away = _shares(parts, 2 * parts[0] - parts[1])  # no share is below 0
    np.testing.assert_allclose(away, [1, 0, 0], atol=0.1)


def write_film(path, frames, rate_hz):
    """A log of a camera, and of pushes that do nothing."""
    specs = [dataclasses.replace(CAMERA, rate_hz=rate_hz), PUSH]
    time, ticks = np.arange(len(frames)) / rate_hz, np.arange(int(len(frames) * 10 / rate_hz)) / 10
    pixels = np.clip(frames, 0, 255).astype(np.uint8)
    with LogWriter(path, specs) as writer:
        writer.append({"camera": Samples(time, pixels), "push": Samples(ticks, np.zeros((len(ticks), 1)))})
    return Log(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Of a camera that sees one picture with noise, new in each frame: the mean frame is the best that can be said."""
    path, rng = tmp_path_factory.mktemp("films") / "log.h5", np.random.default_rng(0)
    picture = rng.uniform(60, 200, (16, 16, 3))
    frames = picture + rng.normal(size=(60, 16, 16, 3)) * 40
    log = write_film(path, frames, 10.0)
    yield untrained_run(log, dt=0.1, context=4, horizon=8), log
    log.close()


def test_what_a_network_does_not_know_is_the_mean_frame(run, tmp_path):
    run, log = run
    windows = run.windows(log)
    mean = [run.baselines.mean_frames["camera"]]
    film = measure_film(run.model, windows, mean)
    shares = np.asarray(film.shares[...])
    assert shares.shape == (1, 8, 3)
    np.testing.assert_allclose(shares.sum(-1), 1, atol=1e-5)
    assert (shares[..., 2] > 0.8).all()
    film = film.recalling([Memory(remembered(windows, 0), 0.2)])
    RunFolder(tmp_path).write_film(film)
    again = RunFolder(tmp_path).read_film()
    np.testing.assert_array_equal(again.shares[...], film.shares[...])
    np.testing.assert_array_equal(again.mean[0][...], film.mean[0][...])
    np.testing.assert_array_equal(again.memory[0].frames[...], film.memory[0].frames[...])
    np.testing.assert_array_equal(again.memory[0].seen[...], film.memory[0].seen[...])
    assert again.memory[0].sureness[...] == np.float32(0.2)
    assert RunFolder(tmp_path / "none").read_film() is None
    (tmp_path / "film.npz").write_bytes((tmp_path / "film.npz").read_bytes()[:100])
    with pytest.raises(WorldModelError, match=r"film.npz cannot be read"):
        RunFolder(tmp_path).read_film()


def test_far_ahead_a_slow_camera_is_not_measured_by_what_came_first(tmp_path):
    """What is seen changes slowly: the last frame says much of the next one, and little of the third."""
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(200, 16, 16, 3)) * 30
    for i in range(1, len(frames)):
        frames[i] = 0.8 * frames[i - 1] + 0.6 * frames[i]
    with write_film(tmp_path / "log.h5", 128 + frames, 2.5) as log:
        run = untrained_run(log, dt=0.1, context=8, horizon=16)
        film = measure_film(run.model, run.windows(log), [run.baselines.mean_frames["camera"]])
    last = np.asarray(film.shares[...])[0, :, 1]
    assert last[0] > last[-1] + 0.2


def test_frames_are_mixed_by_tick_and_one_never_seen_is_the_mean(run):
    drawn = jnp.full((2, 3, 2, 16, 16, 3), 0.9)
    last = jnp.stack([jnp.full((16, 16, 3), 0.5), jnp.zeros((16, 16, 3))])
    ticks = jnp.array([[0, 7], [1, 1]])
    model = run[0].model
    plain = np.asarray(model.mix(drawn, last, ticks))
    np.testing.assert_array_equal(plain, drawn)
    model.film = Film(np.array([[[1, 0, 0], [0.5, 0.3, 0.2]]]), [np.full((16, 16, 3), 0.1)])
    mixed = np.asarray(model.mix(drawn, last, ticks))[:, :, :, 0, 0, 0]
    model.film = Film.plain([(16, 16, 3)])
    expected = [
        [0.9, 0.5 * 0.9 + 0.3 * 0.5 + 0.2 * 0.1],
        [0.5 * 0.9 + 0.5 * 0.1] * 2,
    ]  # the last share holds from there
    np.testing.assert_allclose(mixed, np.repeat(np.array(expected)[:, None], 3, 1), rtol=1e-5)


def test_what_is_remembered_is_spread_over_all_episodes_and_bounded(run, monkeypatch):
    windows = run[0].windows(run[1])
    came = {frame.tobytes() for frame in run[1].episodes[0].streams["camera"].data}
    frames = remembered(windows, 0)
    assert frames.dtype == np.uint8
    assert {frame.tobytes() for frame in frames} <= came
    monkeypatch.setattr(films, "_BYTES", 7 * frames[0].nbytes)
    few = [frame.tobytes() for frame in remembered(windows, 0)]
    assert len(few) == 7
    places = [[frame.tobytes() for frame in frames].index(frame) for frame in few]
    assert max(np.diff([-1, *places, len(frames)])) <= 2 * len(frames) / 7 + 1


def test_a_memory_is_kept_if_members_are_better_with_it(run, monkeypatch):
    """Of two videos, by what each has without a memory and with each sureness."""
    windows = run[0].windows(run[1])
    cut = windows.cut(windows.starts()[:1], windows.horizon)
    memories = [np.zeros((3, 8, 8, 3), np.uint8)] * 2
    scores = iter([[0.5, 0.1], [0.4, 0.2], [0.3, 0.3]])
    monkeypatch.setattr(films, "_scores", lambda *_: next(scores))
    film = films._recalled(run[0].model, Film.plain([(8, 8, 3)] * 2), memories, *cut)
    assert [len(memory) for memory in film.memory] == [3, 0]
    assert film.memory[0].sureness[...] == np.float32(films._SURENESS[1])


def test_members_are_pictures_that_may_come_and_their_mean_stays_what_it_was(run):
    """The network paints all over, and knows nothing."""
    run, log = run
    windows, model = run.windows(log), run.model
    paint = model.video_decoders[0].paint
    paint.bias[...] = paint.bias[...].at[3::4].set(-9.0)  # of what is kept of the last frame
    context, future = windows.cut(windows.starts().thinned(6), 8, np.tile([0, 5], (6, 1)))
    plain = Film.plain([(16, 16, 3)])
    recalling = plain.recalling([Memory(remembered(windows, 0), 0.2)])
    shown = []
    for film in (recalling, plain):
        model.film = film
        shown += Imaginer(model).futures(context, future.actions, [future.frame_ticks], 4)[1]
    np.testing.assert_array_equal(shown[0].mean, shown[1].mean)
    np.testing.assert_allclose(shown[1].mean, shown[1].members.mean(1), atol=1)
    sharp = [
        np.abs(np.diff(x.astype(int), axis=-2)).mean() for x in (*(each.members for each in shown), future.frames[0])
    ]
    assert sharp[1] < 0.5 * sharp[2]
    assert sharp[0] == pytest.approx(sharp[2], rel=0.3)
    assert shown[0].members.std(1).mean() > 2 * shown[1].members.std(1).mean()
    scores = [energy_score(each.members.swapaxes(1, 2), future.frames[0]).mean() for each in shown]
    assert scores[0] < scores[1]
