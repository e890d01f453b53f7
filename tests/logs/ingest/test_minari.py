"""Minari data sets in Arrow, laid out as its library does, and damaged ones."""

import json

import numpy as np
import pyarrow as pa
import pytest

from tests.fuzz import fuzz
from worldmodel.errors import RecipeError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import minari
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.ingest.sources import claimant
from worldmodel.logs.reader import Log

STEPS = (4, 6)
PICTURE = {"type": "Box", "dtype": "uint8", "shape": [8, 6, 3]}
STATE = {"type": "Box", "dtype": "float32", "shape": [2]}


def lists(values):
    flat = np.asarray(values).reshape(len(values), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])


def write(root, rate=None):
    """States k, k + 0.5 at step k, actions 10 k, and pictures of brightness k; the last step has no action."""
    data = root / "data"
    data.mkdir(parents=True)
    spaces = {"observation_space": json.dumps({"type": "Dict", "subspaces": {"camera": PICTURE, "state": STATE}})}
    spec = json.dumps({"id": "Reach-v0", "kwargs": {"control_freq": rate} if rate else {}})
    metadata = {"data_format": "arrow", "total_episodes": 2, "env_spec": spec, "dataset_id": "reach/test-v0"}
    (data / "metadata.json").write_text(json.dumps(metadata | spaces | {"action_space": json.dumps(STATE)}))
    for number, steps in enumerate(STEPS):
        k = np.arange(steps + 1)
        pictures = np.broadcast_to(k[:, None, None, None], (steps + 1, 8, 6, 3)).astype(np.uint8)
        actions = np.where((k < steps)[:, None], 10.0 * k[:, None], 0) * [1, 1]
        columns = {
            "observations": pa.StructArray.from_arrays(
                [lists(pictures), lists(np.stack([k, k + 0.5], 1).astype(np.float32))], names=["camera", "state"]
            ),
            "actions": lists(actions.astype(np.float32)),
            "rewards": pa.array(k / 10),
            "infos": pa.array(["{}"] * (steps + 1)),
        }
        (data / str(number)).mkdir()
        with pa.OSFile(str(data / str(number) / "part-0.arrow"), "wb") as file:
            batch = pa.record_batch(columns)
            with pa.ipc.new_file(file, batch.schema) as writer:
                writer.write_batch(batch)
        (data / str(number) / "metadata.json").write_text(json.dumps({"id": number, "total_steps": steps}))
    return root


def test_episodes_states_actions_and_pictures(tmp_path):
    root = write(tmp_path / "reach", rate=10)
    assert claimant(root) == claimant(root / "data") == "minari"
    report = ingest(root, tmp_path / "log.h5", size=(8, 6), progress=False)
    with Log(tmp_path / "log.h5") as log:
        assert log.about["description"] == "Minari data set of Reach-v0"
        assert {name: spec.kind for name, spec in log.streams.items()} == {
            "action": "action", "camera": "video", "reward": "sensor", "state": "sensor",
        }  # fmt: skip
        for episode, steps in zip(log.episodes, STEPS, strict=True):
            k = np.arange(steps + 1)
            np.testing.assert_allclose(episode.streams["state"].data, np.stack([k, k + 0.5], 1))
            np.testing.assert_allclose(episode.streams["state"].time, k / 10)
            np.testing.assert_allclose(episode.streams["action"].data[:, 0], 10 * k[:-1])
            np.testing.assert_allclose(episode.streams["reward"].data[:, 0], k[:-1] / 10, rtol=1e-6)
            np.testing.assert_array_equal(episode.streams["camera"].data[:, 0, 0, 0], k)
    assert "episode 0: left out: infos" in report.notes


def test_a_rate_that_nothing_tells_is_assumed_and_said(tmp_path):
    first = next(minari.read(write(tmp_path / "a"), Options(scratch=tmp_path)))
    assert "20 Hz is assumed" in first.notes[0]


def test_folders_of_another_kind_are_not_claimed(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/metadata.json").write_text('{"data_format": "hdf5"}')
    assert not minari.claims(tmp_path)
    with pytest.raises(RecipeError, match="no Minari data set"):
        list(minari.read(tmp_path, Options()))


def test_damage_ends_in_a_named_error(tmp_path):
    counts = fuzz("minari", write(tmp_path / "a"), 150, 0, tmp_path / "out", Options(size=(4, 4), scratch=tmp_path))
    assert set(counts) <= {"read", "refused"}
