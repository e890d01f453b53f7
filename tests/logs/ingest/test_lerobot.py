"""LeRobot data sets as their library lays them out, version 2.1 and 3, and the 30 real episodes of a G1."""

import contextlib
import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from tests.logs.films import gradients, write_film
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import lerobot
from worldmodel.logs.ingest.formats.lerobot.features import Feature
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

REAL = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data")) / "lerobot_g1"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real LeRobot episodes are not at {REAL}")
LENGTHS, FPS = (7, 5, 9), 10
JOINTS = ["shoulder.pos", "elbow.pos"]
FEATURES = {
    "observation.state": {"dtype": "float32", "shape": [2], "names": {"motors": JOINTS}},
    "action": {"dtype": "float32", "shape": [2], "names": [JOINTS]},
    "observation.images.front": {"dtype": "video", "shape": [48, 64, 3], "names": ["height", "width", "channel"]},
    "next.done": {"dtype": "bool", "shape": [1], "names": None},
}


def table(episode: int, length: int, **more: pa.Array) -> pa.Table:
    """State k of an episode is (episode, k), and the action 100 more."""
    frame = np.arange(length)
    state = np.stack([np.full(length, episode), frame], 1).astype(np.float32)
    lists = {"observation.state": state, "action": state + 100}
    columns = {key: pa.FixedSizeListArray.from_arrays(values.ravel(), 2) for key, values in lists.items()}
    columns |= {
        "timestamp": pa.array((frame / FPS).astype(np.float32)),
        "frame_index": pa.array(frame),
        "episode_index": pa.array(np.full(length, episode)),
        "next.done": pa.array(frame == length - 1),
    }
    return pa.table(columns | more)


def write_info(root, version, **more):
    (root / "meta").mkdir(parents=True)
    info = {"codebase_version": version, "fps": FPS, "robot_type": "arm", "chunks_size": 1000, "features": FEATURES}
    (root / "meta/info.json").write_text(json.dumps(info | more))


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(data, path)


def write_v2(root, films=(0, 2)):
    write_info(root, "v2.1")
    rows = [{"episode_index": i, "tasks": ["lift"], "length": n} for i, n in enumerate(LENGTHS)]
    (root / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for i, n in enumerate(LENGTHS):
        put(root / f"data/chunk-000/episode_{i:06d}.parquet", table(i, n))
        if i in films:
            film = root / f"videos/chunk-000/observation.images.front/episode_{i:06d}.mp4"
            film.parent.mkdir(parents=True, exist_ok=True)
            write_film(film, gradients(n))
    return root


def write_v3(root):
    """Two data files, of which the first has two episodes, and one film of all."""
    write_info(root, "v3.0")
    put(root / "data/chunk-000/file-000.parquet", pa.concat_tables([table(0, LENGTHS[0]), table(1, LENGTHS[1])]))
    put(root / "data/chunk-000/file-001.parquet", table(2, LENGTHS[2]))
    ends = np.cumsum(LENGTHS) / FPS
    key = "videos/observation.images.front"
    rows = [
        {"episode_index": i, "length": n, "data/chunk_index": 0, "data/file_index": i // 2, f"{key}/chunk_index": 0,
         f"{key}/file_index": 0, f"{key}/from_timestamp": ends[i] - n / FPS, f"{key}/to_timestamp": ends[i]}
        for i, n in enumerate(LENGTHS)
    ]  # fmt: skip
    put(root / "meta/episodes/chunk-000/file-000.parquet", pa.Table.from_pylist(rows))
    film = root / f"{key}/chunk-000/file-000.mp4"
    film.parent.mkdir(parents=True)
    write_film(film, gradients(sum(LENGTHS)), every=5)
    return root


def make(source, tmp_path, **given):
    report = ingest(source, tmp_path / "log.h5", size=(12, 16), progress=False, force=True, **given)
    return report, Log(tmp_path / "log.h5").episodes


def check_rows(episodes, names=JOINTS):
    assert [episode.name for episode in episodes] == [f"episode {i}" for i in range(len(LENGTHS))]
    for i, (episode, length) in enumerate(zip(episodes, LENGTHS, strict=True)):
        state, action = episode.streams["state"], episode.streams["action"]
        rounded = 0 if names is JOINTS else 1e-6  # float32's error stays where no metadata tell the rate
        np.testing.assert_allclose(state.time, np.arange(length) / FPS, rtol=0, atol=rounded)
        np.testing.assert_array_equal(state.data, np.stack([np.full(length, i), np.arange(length)], 1))
        np.testing.assert_array_equal(action.data, state.data + 100)
        assert (action.spec.kind, state.spec.kind) == ("action", "sensor")
        assert state.spec.columns == action.spec.columns == tuple(names)


def test_version_2(tmp_path):
    report, episodes = make(write_v2(tmp_path / "set"), tmp_path)
    check_rows(episodes)
    assert [len(episode.streams["front"]) for episode in episodes] == [7, 0, 9]
    np.testing.assert_allclose(episodes[2].streams["front"].time, np.arange(9) / FPS, atol=1e-3)
    assert any("front: 1 of 3 episodes have none" in note for note in report.notes)
    assert any("next.done" in note for note in report.notes)


RECIPE = """format = "worldmodel-recipe"
version = 1
clock = { column = "timestamp" }
[streams.label]
kind = "sensor"
columns = { reward = "next.reward", done = "next.done" }
rate_hz = 10
"""


def test_what_a_step_led_to_is_no_reading(tmp_path):
    """Of the time of its frame it would tell what is yet to come; a recipe can keep it."""
    path = tmp_path / "set/data/chunk-000/episode_000000.parquet"
    more = {"next.reward": pa.array(np.linspace(0, 1, 7)), "next.success": pa.array(np.arange(7) % 2)}
    put(path, table(0, 7, **more))
    report, (episode,) = make(path, tmp_path)
    assert set(episode.streams) == {"state", "action"}
    (note,) = (note for note in report.notes if "labels" in note)
    assert "next.done, next.reward, next.success" in note
    (tmp_path / "labels.toml").write_text(RECIPE)
    _, (episode,) = make(path, tmp_path, recipe=tmp_path / "labels.toml")
    kept = episode.streams["label"].data
    np.testing.assert_allclose(kept, np.stack([np.linspace(0, 1, 7), np.arange(7) == 6], 1), atol=1e-7)


def test_version_3_parts_tables_and_films_by_episode(tmp_path):
    _, episodes = make(write_v3(tmp_path / "set"), tmp_path)
    check_rows(episodes)
    shown = [episode.streams["front"] for episode in episodes]
    assert [len(film) for film in shown] == list(LENGTHS)
    for film, length in zip(shown, LENGTHS, strict=True):
        np.testing.assert_allclose(film.time, np.arange(length) / FPS, atol=1e-3)
    brightness = np.concatenate([film.data.mean((1, 2, 3)) for film in shown])
    np.testing.assert_allclose(np.diff(brightness), 130 / sum(LENGTHS), atol=1.5)


@pytest.mark.parametrize("write", [write_v2, write_v3])
def test_films_that_are_not_there(tmp_path, write):
    """Git LFS leaves a small text in place of what it has not fetched."""
    root = write(tmp_path / "set")
    for film in root.rglob("*.mp4"):
        film.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    report, episodes = make(root, tmp_path)
    check_rows(episodes)
    assert "front" not in report.streams
    assert any("front: its films are not there" in note for note in report.notes)


def test_tables_without_metadata(tmp_path):
    """Several episodes in a file, and one that goes on in the next."""
    whole = pa.concat_tables([table(i, n) for i, n in enumerate(LENGTHS)])
    put(tmp_path / "set/b.parquet", whole.slice(0, 10))
    assert lerobot.claims(tmp_path / "set/b.parquet")
    put(tmp_path / "set/c.parquet", whole.slice(10))
    paths = [tmp_path / "set/b.parquet", tmp_path / "set/c.parquet"]
    rows = list(lerobot.episodes(paths, lambda _: None))
    assert [(row.episode, row.table.num_rows) for row in rows] == list(enumerate(LENGTHS))
    put(tmp_path / "set/b.parquet", whole)
    _, episodes = make(tmp_path / "set/b.parquet", tmp_path)
    check_rows(episodes, "01")


def test_a_table_in_a_data_set_has_its_names_and_films(tmp_path):
    root = write_v2(tmp_path / "set")
    report, (episode,) = make(root / "data/chunk-000/episode_000002.parquet", tmp_path)
    assert episode.streams["state"].spec.columns == tuple(JOINTS)
    assert len(episode.streams["front"]) == LENGTHS[2]
    assert not any("no table" in note for note in report.notes)


def test_images_in_the_table_make_a_film(tmp_path):
    content = [cv2.imencode(".png", frame[:, :, ::-1])[1].tobytes() for frame in gradients(7, 12, 16)]
    cells = pa.array(
        [{"bytes": c, "path": None} for c in [*content[:6], None]],
        pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    )
    put(tmp_path / "a.parquet", table(0, 7, **{"observation.image": cells}))
    report, (episode,) = make(tmp_path / "a.parquet", tmp_path)
    np.testing.assert_array_equal(episode.streams["camera"].data, gradients(7, 12, 16)[:6])
    assert any("camera: 1 of 7 frames hold no image" in note for note in report.notes)


def test_what_the_metadata_list_and_is_not_there_is_counted(tmp_path):
    root = write_v2(tmp_path / "set")
    (root / "data/chunk-000/episode_000001.parquet").unlink()
    put(root / "data/chunk-000/episode_000002.parquet", table(2, 4))
    report, episodes = make(root, tmp_path)
    assert [episode.name for episode in episodes] == ["episode 0", "episode 2"]
    assert any("1 of 3 episodes of the metadata have no table" in note for note in report.notes)
    assert any("its metadata tells 9 frames, its table holds 4" in note for note in report.notes)
    assert any("its film has 9 frames, its table 4" in note for note in report.notes)


def test_a_data_set_whose_tables_were_not_fetched_is_refused(tmp_path):
    root = write_v2(tmp_path / "set")
    for path in root.rglob("*.parquet"):
        path.write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(RecipeError, match=r"holds no table of frames[\s\S]*git lfs pull"):
        make(root, tmp_path)


@pytest.mark.parametrize("template", ["../outside/{episode_index}.parquet", "/etc/passwd"])
def test_metadata_that_lead_out_of_the_folder_are_refused(tmp_path, template):
    root = write_v2(tmp_path / "set")
    info = json.loads((root / "meta/info.json").read_text()) | {"data_path": template}
    (root / "meta/info.json").write_text(json.dumps(info))
    with pytest.raises(RecipeError, match="out of its folder"):
        make(root, tmp_path)


def test_other_parquet_is_not_claimed(tmp_path):
    put(tmp_path / "a.parquet", pa.table({"frame_index": [1], "x": [2.0]}))
    assert not lerobot.claims(tmp_path / "a.parquet")
    assert not lerobot.claims(tmp_path)
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    assert not lerobot.claims(tmp_path / "b.parquet")


_buffer = io.BytesIO()
parquet.write_table(pa.concat_tables([table(i, n) for i, n in enumerate(LENGTHS)]), _buffer)
WHOLE = _buffer.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, len(WHOLE) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_damage_ends_in_a_named_error(tmp_path, at, value, cut):
    content = WHOLE[:at] if cut else WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :]
    (tmp_path / "a.parquet").write_bytes(content)
    lerobot.claims(tmp_path / "a.parquet")
    with contextlib.suppress(WorldModelError):
        assert list(lerobot.read(tmp_path / "a.parquet", Options(scratch=tmp_path)))


@needs_real
def test_real_episodes(tmp_path):
    source = REAL / "data/chunk-000/episode_000003.parquet"
    report, (episode,) = make(source, tmp_path)
    rows = parquet.read_table(source)
    state = episode.streams["state"]
    np.testing.assert_array_equal(state.data, np.array(rows["observation.state"].to_pylist(), np.float32))
    assert state.spec.columns[3] == "kLeftElbow"
    assert len(state) == 459
    assert any("cam_high: its film is not there" in note for note in report.notes)


@needs_real
def test_real_films_are_av1(tmp_path):
    _, (episode,) = make(REAL / "data/chunk-000/episode_000002.parquet", tmp_path)
    film = episode.streams["cam_high"]
    np.testing.assert_allclose(film.time, np.arange(343) / 30, atol=1e-3)
    assert len(episode.streams["action"]) == 343


def test_columns_of_one_short_name_are_a_stream_each(tmp_path):
    """Converters keep what was there: `state` beside `observation.state`, `actions_ee` beside `action`."""
    root = tmp_path / "set"
    write_info(root, "v2.1")
    more = {name: pa.array(np.full(4, float(i))) for i, name in enumerate(("state", "actions_ee", "observation.x"))}
    put(root / "data/chunk-000/episode_000000.parquet", table(0, 4, **more))
    (recording,) = lerobot.read(root, Options(scratch=tmp_path))
    assert set(recording.samples) == {"observation_state", "state", "action", "actions_ee", "x"}
    np.testing.assert_array_equal(recording.samples["observation_state"].data[:, 1], np.arange(4))
    assert {n for n, spec in recording.specs.items() if spec.kind == "action"} == {"action", "actions_ee"}


@pytest.mark.parametrize(
    ("key", "is_action"), [("action", True), ("actions.arm", True), ("action_is_pad", False), ("action.mask", False)]
)
def test_which_actions_count_is_no_action(key, is_action):
    assert Feature(key).is_action == is_action
