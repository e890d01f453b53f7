"""A scene is served as a run is; what it cannot do is said."""

import json

import numpy as np
import pytest

from tests.serve.served import SOCKET, client, message
from tests.simulate.identification import machines
from worldmodel.logs.reader import Log
from worldmodel.physics import KnownScene
from worldmodel.serve.limits import Limits
from worldmodel.types import Samples

HELD = {"torque": {"time": [0.0], "data": [[0.5]]}}
# Two opposite torques that blow an arm without mass up, within a few steps.
STIFF = machines.TRUE.replace('damping="0.05"', 'damping="0.05" stiffness="-1e12"')


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    machines.log(folder, episodes=1, seed=3)
    return folder


@pytest.fixture(scope="module")
def log(folder):
    with Log(folder / "log3.h5") as opened:
        yield opened


@pytest.fixture(scope="module")
def scene(folder):
    return KnownScene.of(folder / "true")


@pytest.fixture(scope="module")
def asked(scene):
    with client(scene) as opened:
        yield opened


def samples(log, until_s=1.0, after_s=-1.0):
    """What the log's streams hold of a span."""
    found = {name: log.episodes[0].streams[name][:] for name in ("angle", "speed", "torque")}
    rows = {name: (s.time <= until_s + 1e-9) & (s.time > after_s + 1e-9) for name, s in found.items()}
    return message({name: Samples(s.time[rows[name]], s.data[rows[name]]) for name, s in found.items()})


def test_the_answer_is_that_of_the_scene_on_a_log_of_the_same_samples(scene, log, asked):
    held = Samples(np.array([0.0]), np.array([[0.5]]))
    expected = scene.imagine(log, episode=0, at_s=1.0, seed=3, members=3, horizon_s=1.0, actions={"torque": held})
    question = {"streams": samples(log), "actions": HELD, "seed": 3, "members": 3, "horizon_s": 1.0}
    answered = asked.post("/imagine", json=question).json()
    assert answered["start_s"] == pytest.approx(1.0)
    assert answered["streams"].keys() == expected.imagined.keys() == {"angle", "speed", "torque"}
    for name, (times, data) in expected.imagined.items():
        np.testing.assert_allclose(answered["streams"][name]["time"], times, atol=1e-9)
        np.testing.assert_allclose(answered["streams"][name]["data"], data, atol=1e-5)


def test_a_session_and_a_socket_answer_as_one_question_does(log, asked):
    whole = asked.post("/imagine", json={"streams": samples(log), "seed": 1, "members": 2}).json()["streams"]
    name = asked.post("/sessions").json()["id"]
    for start in np.arange(0, 1, 0.25):
        asked.post(f"/sessions/{name}/samples", json={"streams": samples(log, start + 0.25, start if start else -1)})
    pushed = asked.post(f"/sessions/{name}/imagine", json={"seed": 1, "members": 2}).json()["streams"]
    with asked.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"streams": samples(log), "imagine": {"seed": 1, "members": 2}}))
        told = json.loads(socket.receive_text())["streams"]
    for stream, there in whole.items():
        np.testing.assert_allclose(pushed[stream]["data"], there["data"], atol=1e-5)
        np.testing.assert_allclose(told[stream]["data"], there["data"], atol=1e-5)


def test_a_stream_that_is_missing_is_none_and_not_zero(log, asked):
    given = samples(log)
    blind = {**given, "speed": {**given["speed"], "data": [[None]] * len(given["speed"]["time"])}}
    without = {name: s for name, s in given.items() if name != "speed"}
    one, other = (asked.post("/imagine", json={"streams": x, "members": 1}).json()["streams"] for x in (blind, without))
    assert one == other
    assert np.isfinite(np.array(one["speed"]["data"], float)).all()


def test_it_says_what_it_is_and_what_it_cannot_do(log, asked):
    about = asked.get("/run").json()
    assert (about["kind"], about["context_s"], about["horizon_s"]) == ("scene", 0.64, 0.64)
    assert [s["name"] for s in about["streams"]] == ["angle", "speed", "torque"]
    assert any("not calibrated" in note for note in about["notes"])
    properties = asked.get("/openapi.json").json()["components"]["schemas"]["Question"]["properties"]
    assert properties["streams"]["properties"].keys() == {"angle", "speed", "torque"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"frames": True}, "no frames"),
        ({"horizon_s": 3.0}, "at most 2.56 s"),
        ({"horizon_s": -1}, "horizon"),
        ({"members": 65}, "1 to 64"),
        ({"actions": {"angle": HELD["torque"]}}, "angle"),
    ],
)
def test_what_cannot_be_had_is_told(log, asked, wanted, said):
    response = asked.post("/imagine", json={"streams": samples(log), **wanted})
    assert (response.status_code, said in response.json()["error"]) == (422, True), response.text


def test_a_simulation_that_becomes_unstable_is_told_and_the_server_goes_on(tmp_path, log):
    wild = KnownScene.of(machines.scene(tmp_path / "wild", STIFF))
    with client(wild, limits=Limits()) as opened:
        response = opened.post("/imagine", json={"streams": samples(log), "members": 1})
        assert (response.status_code, "became unstable" in response.json()["error"]) == (422, True)
        assert opened.get("/healthz").status_code == 200
