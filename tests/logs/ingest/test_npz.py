"""NumPy archives as recorders save them: episodes of actions, and tables."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.logs.films import gradients
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest.formats import npz, tables
from worldmodel.logs.ingest.importer import Options, importer
from worldmodel.logs.ingest.sources import claimant

ROWS = np.arange(12.0)


def read(path):
    return next(iter(importer(claimant(path)).read(path, Options((12, 16), scratch=path.parent))))


def save(folder, **arrays):
    np.savez_compressed(folder / "episode.npz", **arrays)
    return folder / "episode.npz"


def test_an_episode_of_dreamer(tmp_path):
    told = {"image": gradients(12, 12, 16), "action": np.stack([ROWS, -ROWS], 1), "reward": ROWS, "is_first": ROWS == 0}
    path = save(tmp_path, **told, discount=np.ones(12, np.float16))
    assert claimant(path) == "npz"
    recording = read(path)
    assert {name: spec.kind for name, spec in recording.specs.items()} == {
        "image": "video", "action": "action", "reward": "sensor", "discount": "sensor",
    }  # fmt: skip
    np.testing.assert_array_equal(recording.samples["image"].data, told["image"])
    np.testing.assert_array_equal(recording.samples["action"].data, told["action"])
    np.testing.assert_allclose(recording.samples["action"].time, ROWS / 20)
    notes = "\n".join(recording.notes)
    assert "0.05 s are assumed" in notes
    assert "its actions again: is_first" in notes


def test_steps_have_the_times_and_the_rate_that_are_told(tmp_path):
    told = {"observations/qpos": np.stack([ROWS, ROWS], 1), "actions": ROWS[:, None]}
    stamped = read(save(tmp_path, **told, timestamp=1_700_000_000 + ROWS / 10))
    np.testing.assert_allclose(stamped.samples["qpos"].time, ROWS / 10, atol=1e-6)
    assert set(stamped.samples) == {"qpos", "action"}
    assert stamped.specs["action"].rate_hz == 10
    rated = read(save(tmp_path, **told, dt=0.02))
    np.testing.assert_allclose(rated.samples["action"].time, ROWS / 50)
    assert not any("assumed" in note for recording in (stamped, rated) for note in recording.notes)


def test_one_observation_more_than_actions(tmp_path):
    recording = read(save(tmp_path, obs=np.arange(13.0), action=ROWS, t=ROWS))
    np.testing.assert_array_equal(recording.samples["obs"].time, np.arange(13))


def test_observations_may_have_the_one_time_more_that_they_have(tmp_path):
    times = np.append(ROWS / 10, 9.0)
    recording = read(save(tmp_path, obs=np.arange(13.0), action=ROWS, time=times))
    np.testing.assert_allclose(recording.samples["obs"].time, times)
    np.testing.assert_allclose(recording.samples["action"].time, times[:-1])


def test_numbers_of_steps_are_no_seconds(tmp_path):
    recording = read(save(tmp_path, obs=ROWS, action=ROWS, timestep=np.arange(12), dt=0.02))
    np.testing.assert_allclose(recording.samples["obs"].time, ROWS / 50)


def test_arrays_that_would_share_a_name_are_told_apart(tmp_path):
    arrays = {"observations/state": ROWS, "state": -ROWS, "obs/action": 2 * ROWS, "actions": 3 * ROWS}
    recording = read(save(tmp_path, **arrays))
    told = {name: samples.data[1, 0] for name, samples in recording.samples.items()}
    assert told == {"state": 1, "state_2": -1, "action_2": 2, "action": 3}
    assert recording.specs["action"].kind == "action"


def test_an_episode_without_a_step_is_refused_by_name(tmp_path):
    with pytest.raises(RecipeError, match="holds no actions"):
        read(save(tmp_path, action=np.zeros((0, 2)), obs=np.zeros((0, 2))))


def test_arrays_that_are_together_too_large_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("worldmodel.logs.ingest.formats.npy._MOST_BYTES", 250)
    read(save(tmp_path, action=ROWS, state=ROWS))
    with pytest.raises(RecipeError, match="together"):
        read(save(tmp_path, action=ROWS, state=ROWS, more=ROWS))


def test_without_actions_it_is_a_table(tmp_path):
    path = save(tmp_path, t=ROWS / 10, gyro=np.stack([ROWS] * 3, 1), turns=np.zeros((12, 3, 3)))
    assert claimant(path) == "tables"
    recording = read(path)
    np.testing.assert_allclose(recording.samples["gyro"].time, ROWS / 10)
    assert any("three axes or more, and left out: turns" in note for note in recording.notes)


def test_a_table_has_complex_numbers_as_two_and_tells_what_it_leaves_out(tmp_path):
    recording = read(save(tmp_path, t=ROWS / 10, wave=ROWS + 2j, secret=np.array([{"a": 1}] * 12, object)))
    (samples,) = recording.samples.values()
    np.testing.assert_array_equal(samples.data, np.stack([ROWS, np.full(12, 2)], 1))
    assert any("left out: secret" in note for note in recording.notes)


def test_nothing_is_unpickled(tmp_path):
    path = save(tmp_path, action=ROWS, state=ROWS, secret=np.array([{"a": 1}], object))
    recording = read(path)
    assert set(recording.samples) == {"action", "state"}
    assert any("secret" in note for note in recording.notes)


def test_a_size_that_only_a_header_tells_is_refused(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("action.npy", header.getvalue())
        archive.writestr("state.npy", header.getvalue())
    with pytest.raises(RecipeError, match="8000000000000 bytes"):
        read(tmp_path / "a.npz")
    with pytest.raises(RecipeError, match="cannot be read"):
        list(tables.read(tmp_path / "a.npz", Options()))


def test_an_archive_of_a_version_that_nobody_knows_is_refused(tmp_path):
    path = save(tmp_path, action=ROWS, state=ROWS)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 6] = 109  # the version that is needed to read it
    path.write_bytes(content)
    assert not npz.claims(path)
    with pytest.raises(RecipeError, match="zip file version"):
        list(npz.read(path, Options(scratch=tmp_path)))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 2000), value=st.integers(0, 255), cut=st.booleans())
def test_damage_ends_in_a_named_error(tmp_path, at, value, cut):
    whole = tmp_path / "whole.npz"
    if not whole.exists():
        np.savez(whole, action=ROWS, state=ROWS, time=ROWS)
    content = bytearray(whole.read_bytes())
    content[at % len(content)] = value
    path = tmp_path / "a.npz"
    path.write_bytes(content[: at % len(content)] if cut else content)
    npz.claims(path)
    for reader in (npz, tables):
        with contextlib.suppress(WorldModelError):
            assert list(reader.read(path, Options((4, 4), scratch=tmp_path)))
