"""HDF5 files of episodes as robomimic, Minari, D4RL and ACT lay them out."""

import contextlib
import json

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.logs.films import gradients
from worldmodel.errors import RecipeError, WorldModelError
from worldmodel.logs.ingest import ingest
from worldmodel.logs.ingest.formats import hdf5
from worldmodel.logs.ingest.importer import Options
from worldmodel.logs.reader import Log

LENGTHS = (6, 4, 12)
MJCF = "<mujoco><worldbody/></mujoco>" + " " * 70_000  # more than an attribute of HDF5 holds inline


def steps(episode, count, width):
    """Row k of an episode is (episode, k, k, ...)."""
    return np.concatenate([np.full((count, 1), episode), np.tile(np.arange(count)[:, None], width - 1)], 1).astype(
        float
    )


def write_robomimic(path, **attrs):
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        args = {"env_name": "Lift", "type": 1, "env_kwargs": {"control_freq": 25, "robots": ["Panda"]}}
        data.attrs.update({"total": sum(LENGTHS), "env_args": json.dumps(args)} | attrs)
        for i, n in enumerate(LENGTHS):
            demo = data.create_group(f"demo_{i if i < 2 else 10}")
            demo.attrs.update({"num_samples": n, "model_file": MJCF if i < 2 else MJCF + "<!-- -->"})
            demo["actions"], demo["states"] = steps(i, n, 7), steps(i, n, 5)
            demo["actions_abs"], demo["dones"], demo["rewards"] = steps(i, n, 7), np.zeros(n), np.arange(n) / 10
            for group in ("obs", "next_obs"):
                demo[f"{group}/robot0_eef_pos"] = steps(i, n, 3)
                demo[f"{group}/robot0_eef_quat"] = np.tile([0.0, 0.6, 0.0, 0.8], (n, 1))
                demo[f"{group}/agentview_image"] = gradients(n, 12, 16)
        file["mask/train"] = np.array([b"demo_0"])
    return path


def write_minari(path):
    with h5py.File(path, "w") as file:
        for i, n in enumerate(LENGTHS):
            episode = file.create_group(f"episode_{i if i < 2 else 10}")
            episode.attrs["id"] = i
            episode["observations/achieved_goal"], episode["observations/observation"] = (
                steps(i, n + 1, 2),
                steps(i, n + 1, 4),
            )
            episode["actions"], episode["rewards"] = steps(i, n, 3), np.ones(n)
            episode["terminations"], episode["truncations"] = np.zeros(n, bool), np.arange(n) == n - 1
            episode["infos/qpos"], episode["infos/success"] = steps(i, n + 1, 2), np.zeros(n + 1, bool)
    return path


def write_d4rl(path, timeouts=True):
    whole = [steps(i, n, 4) for i, n in enumerate(LENGTHS)]
    ends = np.cumsum(LENGTHS)
    with h5py.File(path, "w") as file:
        file["observations"], file["next_observations"] = np.concatenate(whole), np.concatenate(whole)
        file["actions"], file["rewards"] = np.concatenate(whole)[:, :2], np.ones(ends[-1])
        file["infos/qvel"] = np.concatenate(whole)[:, :1]
        file["terminals"] = np.isin(np.arange(ends[-1]), ends[:1] - 1)
        if timeouts:
            file["timeouts"] = np.isin(np.arange(ends[-1]), ends[1:2] - 1)
        file["metadata/algorithm"] = np.bytes_(b"SAC")
    return path


def make(source, tmp_path):
    report = ingest(source, tmp_path / "log.h5", size=(12, 16), progress=False, force=True)
    return report, Log(tmp_path / "log.h5")


def check(log, stream, width, extra=0, hertz=20.0):
    for i, (episode, count) in enumerate(zip(log.episodes, LENGTHS, strict=True)):
        np.testing.assert_array_equal(episode.streams[stream].data, steps(i, count + extra, width))
        np.testing.assert_allclose(episode.streams[stream].time, np.arange(count + extra) / hertz, atol=1e-9)


def test_robomimic(tmp_path):
    report, log = make(write_robomimic(tmp_path / "low_dim.hdf5"), tmp_path)
    assert report.episodes == ("demo 0", "demo 1", "demo 10")
    for stream, width in (("action", 7), ("states", 5), ("robot0_eef_pos", 3)):
        check(log, stream, width, hertz=25.0)
    streams = log.episodes[0].streams
    assert streams["action"].spec.kind == "action"
    np.testing.assert_array_equal(streams["agentview_image"].data, gradients(6, 12, 16))
    assert streams["robot0_eef_quat"].spec.kind == "orientation"
    np.testing.assert_allclose(streams["robot0_eef_quat"].data[0], [0.8, 0, 0.6, 0], atol=1e-6)
    assert log.about["mjcf"] == MJCF
    assert "Lift" in str(log.about["description"])
    assert any("2 MJCF models" in note for note in report.notes)
    assert any("actions_abs" in note for note in report.notes)
    assert not any("assumed" in note for note in report.notes)


def test_quaternions_have_their_scalar_where_the_simulator_has_it(tmp_path):
    kwargs = {"controller_configs": {"type": "OSC_POSE"}}
    for told, expected in (
        ({"env_name": "Lift", "type": 1, "env_kwargs": kwargs}, ("orientation", [0.8, 0, 0.6, 0])),
        ({"env_name": "Isaac-Lift-v0", "type": 2}, ("orientation", [0, 0.6, 0, 0.8])),
        ({"env_name": "Kitchen", "type": 2}, ("sensor", [0, 0.6, 0, 0.8])),
    ):
        _, log = make(write_robomimic(tmp_path / "a.hdf5", env_args=json.dumps(told)), tmp_path)
        stream = log.episodes[0].streams["robot0_eef_quat"]
        assert stream.spec.kind == expected[0]
        np.testing.assert_allclose(stream.data[0], expected[1], atol=1e-6)


@pytest.mark.parametrize(
    "told",
    [
        {"sim_args": {"dt": 0.01, "decimation": 5}},
        {"sim_args": {"dt": 0.01, "decimation": 5}, "camera": {"fps": 60}},
        {"control_dt": 0.05, "sim_args": {"dt": 0.01, "decimation": 5}},
    ],
)
def test_a_step_of_isaac_lab_is_several_of_its_simulation(tmp_path, told):
    args = {"env_name": "Isaac-Lift-v0", "type": 2, **told}
    _, log = make(write_robomimic(tmp_path / "a.hdf5", env_args=json.dumps(args)), tmp_path)
    check(log, "action", 7, hertz=20.0)


def test_maniskill(tmp_path):
    with h5py.File(tmp_path / "trajectory.h5", "w") as file:
        for i, n in enumerate(LENGTHS):
            file[f"traj_{i}/actions"], file[f"traj_{i}/obs/agent/qpos"] = steps(i, n, 8), steps(i, n + 1, 9)
            file[f"traj_{i}/env_states/actors/cube"] = steps(i, n + 1, 13)
            file[f"traj_{i}/success"] = np.zeros(n, bool)
    told = {"env_info": {"env_id": "PickCube-v1", "env_kwargs": {"sim_config": {"sim_freq": 100, "control_freq": 25}}}}
    (tmp_path / "trajectory.json").write_text(json.dumps(told))
    report, log = make(tmp_path, tmp_path)
    for stream, width, extra in (("action", 8, 0), ("agent_qpos", 9, 1), ("env_states_actors_cube", 13, 1)):
        check(log, stream, width, extra, 25.0)
    assert "PickCube" in str(log.about["description"])
    assert not any("assumed" in note for note in report.notes)


def test_minari(tmp_path):
    report, log = make(write_minari(tmp_path / "main_data.hdf5"), tmp_path)
    assert report.episodes == ("episode 0", "episode 1", "episode 10")
    for stream, width, extra in (("action", 3, 0), ("observation", 4, 1), ("achieved_goal", 2, 1), ("qpos", 2, 1)):
        check(log, stream, width, extra)
    assert any("0.05 s are assumed" in note for note in report.notes)
    assert any("success" in note for note in report.notes)


@pytest.mark.parametrize("told", [{"env_spec": json.dumps({"kwargs": {"dt": 0.002}})}, {"fps": 500}])
def test_minari_tells_its_rate_beside_the_file(tmp_path, told):
    folder = tmp_path / "data"
    folder.mkdir()
    write_minari(folder / "main_data.hdf5")
    (folder / "metadata.json").write_text(json.dumps({"dataset_id": "D4RL/pen/human-v2"} | told))
    report, log = make(folder, tmp_path)
    check(log, "action", 3, hertz=500.0)
    assert not any("assumed" in note or "no format" in note for note in report.notes)
    assert "pen" in str(log.about["description"])


def test_d4rl_ends_episodes_where_they_end_or_time_out(tmp_path):
    report, log = make(write_d4rl(tmp_path / "hopper.hdf5"), tmp_path)
    for stream, width in (("observations", 4), ("action", 2), ("qvel", 1)):
        check(log, stream, width)
    assert report.episodes == ("episode 0", "episode 1", "episode 2")
    _, log = make(write_d4rl(tmp_path / "hopper.hdf5", timeouts=False), tmp_path)
    assert [len(episode.streams["action"]) for episode in log.episodes] == [6, 16]


def test_act(tmp_path):
    """Its images may be JPEG files, filled up to one length."""
    with h5py.File(tmp_path / "episode_3.hdf5", "w") as file:
        file.attrs["sim"] = False
        file["action"], file["observations/qpos"] = steps(0, 6, 14), steps(0, 6, 14)
        coded = [cv2.imencode(".jpg", frame[:, :, ::-1])[1].ravel() for frame in gradients(6, 12, 16)]
        longest = max(map(len, coded))
        file["observations/images/top"] = np.stack([np.pad(jpeg, (0, longest - len(jpeg))) for jpeg in coded])
    report, log = make(tmp_path / "episode_3.hdf5", tmp_path)
    (episode,) = log.episodes
    assert set(episode.streams) == {"action", "qpos", "images_top"}
    assert np.abs(episode.streams["images_top"].data.astype(int) - gradients(6, 12, 16)).mean() < 4
    assert report.episodes == ("episode_3.hdf5",)


def test_the_base_of_a_mobile_aloha_is_commanded_too(tmp_path):
    with h5py.File(tmp_path / "episode_3.hdf5", "w") as file:
        file["action"], file["base_action"], file["observations/qpos"] = (
            steps(0, 6, 14),
            steps(0, 6, 2),
            steps(0, 6, 14),
        )
        file["delta_action"] = steps(0, 6, 14)
    report, log = make(tmp_path / "episode_3.hdf5", tmp_path)
    kinds = {name: spec.kind for name, spec in log.streams.items()}
    assert kinds == {"action": "action", "base_action": "action", "qpos": "sensor"}
    assert any("delta_action" in note for note in report.notes)


def test_other_hdf5_is_not_claimed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = np.zeros(3)
    (tmp_path / "b.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert not any(hdf5.claims(path) for path in (tmp_path, tmp_path / "a.h5"))
    assert hdf5.claims(tmp_path / "b.h5"), "it is damaged, which reading it says"
    make(write_d4rl(tmp_path / "c.hdf5"), tmp_path)
    assert not hdf5.claims(tmp_path / "log.h5")
    with pytest.raises(RecipeError, match=r"no episodes in a layout that is known[\s\S]*robomimic"):
        ingest(tmp_path / "a.h5", tmp_path / "out.h5", format="hdf5", progress=False)


def test_a_file_that_is_cut_off_is_called_damaged(tmp_path):
    path = write_d4rl(tmp_path / "a.hdf5")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RecipeError, match="truncated file"):
        make(path, tmp_path)


def test_nothing_is_read_from_another_file(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.ones((6, 3))
    write_robomimic(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        demo = file["data/demo_0"]
        demo["obs/linked"] = h5py.ExternalLink("secret.h5", "x")
        demo["linked"] = h5py.ExternalLink("secret.h5", "x")
        layout = h5py.VirtualLayout((6, 3), float)
        layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "x", (6, 3))
        demo.create_virtual_dataset("obs/virtual", layout)
    report, _ = make(tmp_path / "a.hdf5", tmp_path)
    assert not {"linked", "virtual"} & set(report.streams)


def test_a_size_that_only_a_header_tells_is_refused(tmp_path):
    write_robomimic(tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        del file["data/demo_0/obs/robot0_eef_pos"]
        file["data/demo_0/obs"].create_dataset("robot0_eef_pos", (6, 10**9), "f4", chunks=(1, 1000))
    with pytest.raises(RecipeError, match="too large"):
        make(tmp_path / "a.hdf5", tmp_path)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 20_000), value=st.integers(0, 255), cut=st.booleans())
def test_damage_ends_in_a_named_error(tmp_path, at, value, cut):
    path = tmp_path / "a.hdf5"
    if not (tmp_path / "whole").exists():
        write_minari(tmp_path / "whole")
    content = bytearray((tmp_path / "whole").read_bytes())
    content[at % len(content)] = value
    path.write_bytes(content[: at % len(content)] if cut else content)
    hdf5.claims(path)
    with contextlib.suppress(WorldModelError):
        assert list(hdf5.read(path, Options((4, 4), scratch=tmp_path)))
