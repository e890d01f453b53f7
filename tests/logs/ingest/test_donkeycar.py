"""Donkeycar tubs of both versions as the car writes them, and a real one."""

import contextlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.logs.films import gradients
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import donkeycar
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

REAL = Path(os.environ.get("WORLDMODEL_REAL_LOGS", Path(__file__).parents[4] / "shared" / "data")) / "donkeycar/data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason=f"the real tub is not at {REAL}")
START_MS = 1_700_000_000_000
TYPES = {
    "cam/image_array": "image_array", "user/angle": "float", "user/throttle": "float", "user/mode": "str",
    "pilot/angle": "float", "pilot/throttle": "float", "imu/acl_x": "float", "imu/gyr_z": "float",
}  # fmt: skip


def record(index, ms=None, session="25-01-01_0", **values):
    told = {
        "cam/image_array": f"{index}_cam_image_array_.jpg",
        "user/mode": "user",
        "imu/acl_x": 0.5,
        "imu/gyr_z": index,
    }
    told |= {
        "user/mode": "user",
        "user/angle": index / 10,
        "user/throttle": 0.3,
        "pilot/angle": -0.5,
        "pilot/throttle": 0.9,
    }
    stamps = {"_index": index, "_session_id": session, "_timestamp_ms": START_MS + (index * 50 if ms is None else ms)}
    return told | stamps | values


def write_images(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in zip(names, gradients(len(names), 12, 16), strict=True):
        cv2.imwrite(str(folder / name), frame[:, :, ::-1])


def write_tub(root, rows, deleted=(), per_catalog=4):
    write_images(root / "images", [row["cam/image_array"] for row in rows])
    catalogs = [rows[i : i + per_catalog] for i in range(0, len(rows), per_catalog)]
    for i, catalog in enumerate(catalogs):
        lines = [json.dumps(row, sort_keys=True) + "\r\n" for row in catalog]
        (root / f"catalog_{i}.catalog").write_text("".join(lines), newline="")
        told = {"line_lengths": [len(line) for line in lines], "path": f"catalog_{i}.catalog_manifest"}
        (root / f"catalog_{i}.catalog_manifest").write_text(json.dumps(told))
    paths = [f"catalog_{i}.catalog" for i in range(len(catalogs))]
    told = {"paths": paths, "current_index": len(rows), "max_len": per_catalog, "deleted_indexes": list(deleted)}
    parts = [list(TYPES), list(TYPES.values()), {}, {"created_at": START_MS / 1000}, told]
    (root / "manifest.json").write_text("\n".join(map(json.dumps, parts)) + "\n")
    return root


def make(source, tmp_path):
    report = ingest(source, tmp_path / "log.h5", size=(12, 16), progress=False, force=True)
    return report, Log(tmp_path / "log.h5").episodes


def test_records_become_streams(tmp_path):
    report, (episode,) = make(write_tub(tmp_path / "tub", [record(i) for i in range(10)]), tmp_path)
    camera, command, imu = (episode.streams[name] for name in ("camera", "command", "imu"))
    for stream in (camera, command, imu):
        np.testing.assert_allclose(stream.time, np.arange(10) * 0.05, atol=1e-6)
        assert stream.spec.rate_hz == pytest.approx(20)
    assert (np.diff(camera.data.mean((1, 2, 3))) > 5).all()
    assert (command.spec.kind, command.spec.columns) == ("action", ("steering", "throttle"))
    np.testing.assert_allclose(command.data, np.stack([np.arange(10) / 10, np.full(10, 0.3)], 1), atol=1e-6)
    assert imu.spec.columns == ("acl_x", "gyr_z")
    assert episode.origin_utc == pytest.approx(START_MS / 1000)
    assert not report.notes


def test_the_command_is_that_of_whoever_drove(tmp_path):
    modes = ["user", "local_angle", "local", None]
    rows = [record(i, **{"user/mode": mode}) for i, mode in enumerate(modes)]
    _, (episode,) = make(write_tub(tmp_path / "tub", rows), tmp_path)
    expected = [[0, 0.3], [-0.5, 0.3], [-0.5, 0.9], [0.3, 0.3]]
    np.testing.assert_allclose(episode.streams["command"].data, expected, atol=1e-6)


def test_deleted_records_are_gaps(tmp_path):
    tub = write_tub(tmp_path / "tub", [record(i) for i in range(10)], deleted=[3, 4, 9])
    report, (episode,) = make(tub, tmp_path)
    left = [0, 1, 2, 5, 6, 7, 8]
    np.testing.assert_allclose(episode.streams["camera"].time, np.array(left) * 0.05, atol=1e-6)
    np.testing.assert_allclose(episode.streams["imu"].data[:, 1], left)
    assert any("3 of 10 records are marked deleted" in note for note in report.notes)


def test_sessions_and_pauses_part_episodes(tmp_path):
    rows = [record(i) for i in range(4)] + [record(i, session="25-01-01_1", ms=600_000 + 50 * i) for i in range(4, 9)]
    rows += [record(i, session="25-01-01_1", ms=660_000 + 50 * i) for i in range(9, 12)]
    report, episodes = make(write_tub(tmp_path / "tub", rows), tmp_path)
    assert [episode.name for episode in episodes] == ["25-01-01_0", "25-01-01_1 part 1", "25-01-01_1 part 2"]
    assert [len(episode.streams["camera"]) for episode in episodes] == [4, 5, 3]
    assert episodes[2].streams["camera"].time[0] == 0
    assert any("cut into 2 episodes at pauses" in note for note in report.notes)


def test_inputs_that_only_later_records_have_are_read_though_the_manifest_does_not_tell_them(tmp_path):
    rows = [record(i) for i in range(4)]
    rows += [record(i, session="25-01-01_1", ms=60_000 + 50 * i, **{"enc/speed": i / 2}) for i in range(4, 8)]
    _, (first, second) = make(write_tub(tmp_path / "tub", rows), tmp_path)
    assert not len(first.streams["enc"])
    np.testing.assert_allclose(second.streams["enc"].data[:, 0], np.arange(4, 8) / 2)


def test_records_are_in_the_order_of_their_numbers_wherever_they_lie(tmp_path):
    rows = [record(i) for i in range(12)]
    _, (episode,) = make(write_tub(tmp_path / "tub", rows[4:8] + rows[:4] + rows[8:]), tmp_path)
    np.testing.assert_array_equal(episode.streams["imu"].data[:, 1], np.arange(12))
    np.testing.assert_allclose(episode.streams["imu"].time, np.arange(12) * 0.05, atol=1e-6)


def test_version_1(tmp_path):
    """A file a record; record_10 comes after record_9."""
    root = tmp_path / "tub"
    rows = [record(i, milliseconds=50 * i) for i in range(12)]
    write_images(root, [row["cam/image_array"] for row in rows])
    for i, row in enumerate(rows):
        told = {key: value for key, value in row.items() if not key.startswith("_")}
        (root / f"record_{i}.json").write_text(json.dumps(told))
    meta = {"inputs": list(TYPES), "types": list(TYPES.values()), "start": START_MS / 1000}
    (root / "meta.json").write_text(json.dumps(meta))
    _, (episode,) = make(root, tmp_path)
    np.testing.assert_allclose(episode.streams["camera"].time, np.arange(12) * 0.05, atol=1e-6)
    np.testing.assert_allclose(episode.streams["imu"].data[:, 1], np.arange(12))
    assert episode.origin_utc == pytest.approx(START_MS / 1000)


def test_what_is_lost_is_counted(tmp_path):
    """A torn last line, a catalog that is not there, one that is not named, and images without a file."""
    tub = write_tub(tmp_path / "tub", [record(i) for i in range(12)])
    content = (tub / "catalog_2.catalog").read_bytes()
    (tub / "catalog_2.catalog").write_bytes(content[:-20])
    (tub / "catalog_1.catalog").rename(tub / "catalog_7.catalog")
    (tub / "images/2_cam_image_array_.jpg").unlink()
    report, (episode,) = make(tub, tmp_path)
    assert [len(episode.streams[name]) for name in ("command", "camera")] == [7, 6]
    for said in (
        "catalog_2.catalog: 1 lines",
        "catalog_1.catalog is not there",
        "not name are left out: catalog_7",
        "1 of 7",
    ):
        assert any(said in note for note in report.notes), said


def test_a_damaged_image_costs_that_image(tmp_path):
    tub = write_tub(tmp_path / "tub", [record(i) for i in range(6)])
    (tub / "images/5_cam_image_array_.jpg").write_bytes(b"")  # as a lost supply leaves it
    report, (episode,) = make(tub, tmp_path)
    assert [len(episode.streams[name].time) for name in ("camera", "command")] == [5, 6]
    assert any("1 of 6 records have an image that cannot be decoded" in line for line in report.lines)


def test_a_tub_without_its_manifest_is_read_by_its_catalogs(tmp_path):
    tub = write_tub(tmp_path / "tub", [record(i) for i in range(50)], per_catalog=4)
    _, (whole,) = make(tub, tmp_path)
    (tub / "manifest.json").unlink()
    report, (episode,) = make(tub, tmp_path)
    for name, stream in whole.streams.items():
        np.testing.assert_array_equal(episode.streams[name].time, stream.time)
        np.testing.assert_array_equal(episode.streams[name].data, stream.data)
    assert any("marked deleted are not known" in line for line in report.lines)


def test_images_lie_in_the_tub_whatever_their_names_say(tmp_path):
    write_images(tmp_path, ["secret.jpg"])
    tub = write_tub(tmp_path / "tub", [record(i) for i in range(3)])
    catalog = tub / "catalog_0.catalog"
    catalog.write_text(catalog.read_text().replace("0_cam_image_array_.jpg", "../../secret.jpg"))
    _, (episode,) = make(tub, tmp_path)
    assert len(episode.streams["camera"]) == 2


def test_a_tub_without_records_is_refused(tmp_path):
    tub = write_tub(tmp_path / "tub", [record(i) for i in range(3)], deleted=[0, 1, 2])
    with pytest.raises(RecipeError, match=r"holds no record[\s\S]*3 of 3 records are marked deleted"):
        make(tub, tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(which=st.sampled_from(["manifest.json", "catalog_0.catalog"]), at=st.integers(0, 400), value=st.integers(0, 255))
def test_damage_ends_in_a_named_error(tmp_path, which, at, value):
    tub = write_tub(tmp_path / "tub", [record(i) for i in range(2)])
    content = bytearray((tub / which).read_bytes())
    content[at % len(content)] = value
    (tub / which).write_bytes(content[: max(at * 3, 20)])
    donkeycar.claims(tub)
    with contextlib.suppress(WorldModelError):
        assert list(donkeycar.read(tub, Options((4, 4), scratch=tmp_path)))


@needs_real
def test_a_real_tub(tmp_path):
    """Only its records: 25 MB of images take their time."""
    for path in REAL.iterdir():
        if path.name != "images":
            (tmp_path / path.name).symlink_to(path)
    recordings = list(donkeycar.read(tmp_path, Options((4, 4), scratch=tmp_path)))
    counts = [len(recording.samples["command"].time) for recording in recordings]
    assert (len(counts), sum(counts)) == (11, 5854)
    rows = [json.loads(line) for i in range(6) for line in (REAL / f"catalog_{i}.catalog").read_text().splitlines()]
    told = np.concatenate([recording.samples["command"].data for recording in recordings])
    np.testing.assert_array_equal(told, [[row["user/angle"], row["user/throttle"]] for row in rows])
    assert recordings[-1].origin_utc + recordings[-1].samples["command"].time[-1] == rows[-1]["_timestamp_ms"] / 1000
