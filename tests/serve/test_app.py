"""What a client of the service gets."""

import asyncio
import json
import math
from concurrent.futures import ThreadPoolExecutor

import jax
import msgpack
import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from tests.serve.served import SOCKET, binary, client, message, samples
from tests.untrained import untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.imagine.forecaster import Forecasted
from worldmodel.models.experts.reach import labels
from worldmodel.serve.app import create_app
from worldmodel.serve.limits import Limits
from worldmodel.serve.question import Asked, answer, question_of
from worldmodel.serve.server import check_host
from worldmodel.serve.sessions import FullError, Sessions, UnknownSessionError
from worldmodel.types import Samples

HELD = {"force": {"time": [0.0], "data": [[0.5]]}}


@pytest.fixture(scope="module")
def answered(asked):
    """The future after 2 s of samples under a constant force."""
    response = asked.post("/imagine", json={"streams": message(samples()), "actions": HELD, "seed": 3, "frames": True})
    assert response.status_code == 200, response.text
    return response.json()


def test_the_answer_is_that_of_the_run_on_a_log_of_the_same_samples(run, log, answered):
    held = Samples(np.array([0.0]), np.array([[0.5]]))
    expected = run.imagine(log, episode=0, at_s=2.0, seed=3, actions={"force": held})
    assert answered["start_s"] == pytest.approx(2.0)
    assert answered["streams"].keys() == expected.imagined.keys()
    for name, (times, data) in expected.imagined.items():
        np.testing.assert_allclose(answered["streams"][name]["time"], times, atol=1e-9)
        apart = np.abs(np.array(answered["streams"][name]["data"], float) - data).max()
        assert apart <= {"camera": 1, "gps": 1e-4}.get(name, 1e-3), name


def test_ticks_that_lie_between_samples_do_so_before_the_moment_too(log):
    run = untrained_run(log, dt=0.05, context=10, horizon=4, phase_s=0.03)
    question = question_of(run, samples(), Asked(at_s=1.98), Limits())
    moment = run.session.moment(log, episode=0, at_s=1.98)
    assert question.moment.at_s + question.begin_s == pytest.approx(1.98)
    assert question.moment.context.mask.any()
    for one, two in zip(jax.tree.leaves(question.moment.context), jax.tree.leaves(moment.context), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)
    newest = question_of(run, samples(), Asked(), Limits())  # whose sample lies before its tick as others do
    assert newest.moment.at_s + newest.begin_s == pytest.approx(2.03)


def test_what_lies_outside_is_told_of_the_horizon_that_is_asked_for(run):
    """Programs go on for longer."""
    layout = run.layout
    question = question_of(run, samples(), Asked(horizon_s=3 * layout.dt), Limits())
    ticks, columns = len(question.commands.values[0]), labels(layout)
    assert ticks > 3
    outside = np.zeros((1, ticks, len(columns)))
    outside[:, 2:, 0], outside[:, 3:, 1] = 1.0, 2.0
    nothing, read = np.zeros((0, 1, ticks, 0)), np.zeros((1, 2, ticks, layout.size))
    told = answer(question, Forecasted(read.mean(1), read, [], nothing, outside), ())
    assert told.outside == {columns[0]: 1.0}


def test_a_binary_question_gets_the_same_answer(asked, answered):
    body = msgpack.packb({"streams": binary(samples()), "actions": HELD, "seed": 3, "frames": True})
    kind = {"content-type": "application/msgpack", "accept": "application/msgpack"}
    response = asked.post("/imagine", content=body, headers=kind)
    assert response.headers["content-type"] == "application/msgpack"
    for name, found in msgpack.unpackb(response.content)["streams"].items():
        array = found["data"]
        data = np.frombuffer(array["data"], array["dtype"]).reshape(array["shape"])
        np.testing.assert_array_equal(data, np.array(answered["streams"][name]["data"]))


def test_a_server_that_is_started_again_gives_the_same_answer(run, answered):
    with client(run) as again:
        asked = {"streams": message(samples()), "actions": HELD, "seed": 3, "frames": True}
        assert again.post("/imagine", json=asked).json() == answered


def test_clients_at_once_are_answered_as_if_each_were_alone(asked):
    def ask(seed):
        return asked.post(
            "/imagine", json={"streams": message(samples()), "seed": seed, "members": 2, "frames": True}
        ).json()

    alone = [ask(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(ask, range(6)))
    for one, other in zip(alone, together, strict=True):
        for name in one["streams"]:
            np.testing.assert_allclose(
                np.array(one["streams"][name]["data"]), np.array(other["streams"][name]["data"]), rtol=1e-4, atol=1e-4
            )
    assert alone[0]["streams"] != alone[1]["streams"]


def test_a_session_answers_as_one_question_does(asked):
    name = asked.post("/sessions").json()["id"]
    for start in np.arange(0, 2, 0.25):
        given = {"streams": message(samples(start + 0.25, start if start else -1))}
        assert asked.post(f"/sessions/{name}/samples", json=given).status_code == 200
    held = asked.get(f"/sessions/{name}").json()
    assert (held["at_s"], held["ready"], held["age_s"]["velocity"]) == (pytest.approx(2.0), True, pytest.approx(0.0))
    found = asked.post(f"/sessions/{name}/imagine", json={"seed": 1, "members": 2, "frames": True})
    whole = asked.post("/imagine", json={"streams": message(samples()), "seed": 1, "members": 2, "frames": True})
    for stream, there in whole.json()["streams"].items():
        np.testing.assert_allclose(found.json()["streams"][stream]["data"], there["data"], rtol=1e-4, atol=1e-4)
    assert asked.delete(f"/sessions/{name}").status_code == 200
    assert asked.get(f"/sessions/{name}").status_code == 404


def test_a_socket_is_a_session(asked):
    with asked.websocket_connect(SOCKET) as socket:
        socket.send_text(json.dumps({"streams": message(samples()), "imagine": {"members": 2, "frames": True}}))
        assert len(json.loads(socket.receive_text())["streams"]["velocity"]["data"][0]) == 2
        socket.send_text("no json")
        assert "no JSON" in json.loads(socket.receive_text())["error"]
        socket.send_bytes(msgpack.packb({"imagine": {"members": 3, "frames": True}}))
        assert msgpack.unpackb(socket.receive_bytes())["streams"]["velocity"]["data"]["shape"][1] == 3


def changed(stream="velocity", **parts):
    given = message(samples())
    given[stream].update(parts)
    return {"streams": given}


WRONG = {
    "no object": ([1], 400, "no object"),
    "nothing": ({}, 422, "streams"),
    "no stream of that name": ({"streams": {"gyro": {"time": [0], "data": [[0]]}}}, 422, "'gyro'"),
    "a word": ({"streams": "all"}, 422, "no object"),
    "no data": ({"streams": {"velocity": {"time": [0]}}}, 422, "velocity"),
    "another shape": (changed(data=[[1, 2]]), 422, "another shape"),
    "rows of several lengths": (changed(data=[[1], [1, 2]]), 422, "no array of numbers"),
    "words for numbers": (changed(data=[["fast"]]), 422, "no array of numbers"),
    "time that goes back": (changed(time=[1.0, 0.5], data=[[0], [0]]), 422, "does not increase"),
    "time unknown": (changed(time=[None], data=[[0]]), 422, "does not increase"),
    "beyond float32": (changed(time=[2.0], data=[[1e300]]), 422, "beyond float32"),
    "pixels": (changed("camera", time=[2.0], data=np.full((1, 16, 16, 3), 300).tolist()), 422, "no pixels"),
    "no reading": ({"streams": message({"force": samples()["force"]})}, 422, "no reading"),
    "all too old": ({"streams": message(samples()), "at_s": 99.0}, 422, "no reading"),
    "no members": ({"streams": message(samples()), "members": 0}, 422, "members"),
    "many members": ({"streams": message(samples()), "members": 10**6}, 422, "members"),
    "half a member": ({"streams": message(samples()), "members": 1.5}, 422, "members"),
    "a far horizon": ({"streams": message(samples()), "horizon_s": 1e6}, 422, "far beyond"),
    "a horizon backwards": ({"streams": message(samples()), "horizon_s": -1}, 422, "horizon"),
    "a seed of many digits": ({"streams": message(samples()), "seed": 10**400}, 422, "seed"),
    "a negative seed": ({"streams": message(samples()), "seed": -1}, 422, "seed"),
    "another key": ({"streams": message(samples()), "membres": 3}, 422, "'membres'"),
    "no action": ({"streams": message(samples()), "actions": {"gps": {}}}, 422, "gps"),
    "no times": ({"streams": message(samples()), "actions": {"force": {"time": [], "data": []}}}, 422, "force"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_told_and_nothing_breaks(asked, name):
    body, status, text = WRONG[name]
    response = asked.post("/imagine", json=body)
    assert (response.status_code, text in response.json()["error"]) == (status, True), response.text


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff\xfe", b'{"streams": NaN}', b'{"a": 1e}', b"null"])
def test_what_is_no_json_is_told(asked, body):
    assert asked.post("/imagine", content=body).status_code == 400


@pytest.mark.parametrize("found", [b"\xc1", b"\x93\x01", msgpack.packb(1), b"\xdf\xff\xff\xff\xff"])
def test_what_is_no_messagepack_is_told(asked, found):
    response = asked.post("/imagine", content=found, headers={"content-type": "application/msgpack"})
    assert response.status_code == 400


@pytest.mark.parametrize("dtype", ["O", "<U4", "<f2"])
def test_arrays_of_other_types_are_refused(asked, dtype):
    array = {"dtype": dtype, "shape": [1], "data": b"12345678"}
    body = msgpack.packb({"streams": {"velocity": {"time": array, "data": array}}})
    response = asked.post("/imagine", content=body, headers={"content-type": "application/msgpack"})
    assert response.status_code == 400


def test_readings_that_are_missing_are_null_and_not_zero(asked):
    given = message(samples())
    blind = {**given, "velocity": {**given["velocity"], "data": [[None]] * len(given["velocity"]["time"])}}
    without = {name: s for name, s in given.items() if name != "velocity"}
    found = [
        asked.post("/imagine", json={"streams": streams, "frames": True}).json()["streams"]
        for streams in (blind, without)
    ]
    assert found[0] == found[1]
    assert not math.isnan(found[0]["velocity"]["data"][0][0][0])


def test_a_large_body_is_refused_before_it_is_read(run):
    with client(run, limits=Limits(body_bytes=1000)) as small:
        assert small.post("/imagine", content=b" " * 2000).status_code == 413


def test_sessions_are_few(run):
    with client(run, limits=Limits(sessions=1)) as small:
        small.post("/sessions")
        assert small.post("/sessions").status_code == 429
        with pytest.raises(WebSocketDisconnect), small.websocket_connect(SOCKET) as socket:
            socket.receive_text()


def test_a_session_that_says_nothing_is_forgotten(run):
    now = [0.0]
    sessions = Sessions(run, Limits(sessions=1, idle_s=10), clock=lambda: now[0])
    name = sessions.open()
    now[0] = 9.0
    sessions.get(name)
    now[0] = 18.0
    with pytest.raises(FullError):
        sessions.open()
    now[0] = 20.0
    with pytest.raises(UnknownSessionError):
        sessions.get(name)
    assert sessions.open()


def test_late_samples_are_put_in_their_place_and_a_clock_that_goes_back_is_told(asked):
    name = asked.post("/sessions").json()["id"]
    for times in ([1.0, 2.0], [1.8, 2.0]):
        given = {"streams": {"velocity": {"time": times, "data": [[0.0]] * len(times)}}}
        held = asked.post(f"/sessions/{name}/samples", json=given).json()
    assert (held["late"]["velocity"], held["dropped"]["velocity"]) == (1, 1)
    assert asked.post(f"/sessions/{name}/imagine", json={"actions": {"gps": {}}}).status_code == 422
    back = {"streams": {"velocity": {"time": [0.5], "data": [[0.0]]}}}
    response = asked.post(f"/sessions/{name}/samples", json=back)
    assert (response.status_code, "'velocity' went back" in response.json()["error"]) == (422, True)
    asked.delete(f"/sessions/{name}")


def test_alarms_are_told_of_each_tick_after_a_moment(run, log):
    watch = run.watch(log, episodes=[0], progress=False)
    with client(run, watch=watch) as watched:
        name = watched.post("/sessions").json()["id"]
        watched.post(f"/sessions/{name}/samples", json={"streams": message(samples())})
        (newest,) = watched.get(f"/sessions/{name}/alarms").json()["alarms"]
        assert (newest["at_s"], newest["surprised"]) == (pytest.approx(2.0), False)
        assert "velocity" in newest["surprise"]
        since = watched.get(f"/sessions/{name}/alarms", params={"since_s": 1.8}).json()["alarms"]
        np.testing.assert_allclose([each["at_s"] for each in since], [1.85, 1.9, 1.95, 2.0])
        assert since[-1] == newest
        assert watched.get(f"/sessions/{name}/alarms", params={"since_s": "now"}).status_code == 422
        with watched.websocket_connect(SOCKET) as socket:
            socket.send_text(json.dumps({"streams": message(samples()), "alarms": {"since_s": 1.8}}))
            answer = json.loads(socket.receive_text())
            assert (answer["alarms"], answer["ready"]) == (since, True)
            socket.send_text(json.dumps({"alarms": 3}))
            assert "alarms is no object" in json.loads(socket.receive_text())["error"]


def test_who_has_no_watch_tells_no_alarms(asked):
    name = asked.post("/sessions").json()["id"]
    assert "Nobody watches" in asked.get(f"/sessions/{name}/alarms").json()["error"]
    asked.delete(f"/sessions/{name}")


def test_too_little_to_imagine_from_is_told(asked):
    name = asked.post("/sessions").json()["id"]
    assert asked.get(f"/sessions/{name}").status_code == 422
    assert "Nothing was pushed" in asked.post(f"/sessions/{name}/imagine").json()["error"]
    asked.delete(f"/sessions/{name}")


def test_a_token_is_wanted_where_there_is_one(run):
    with client(run, token="0123456789abcdef") as guarded:
        assert guarded.get("/healthz").status_code == 200
        assert guarded.get("/run").status_code == 401
        assert guarded.get("/run", headers={"authorization": "Bearer 0123456789abcdeX"}).status_code == 401
        assert guarded.get("/run", headers={"authorization": "Bearer 0123456789abcdef"}).status_code == 200
        with pytest.raises(WebSocketDisconnect), guarded.websocket_connect(SOCKET):
            pass


def test_pages_of_other_sites_are_refused(asked):
    assert asked.get("/run", headers={"host": "evil.example"}).status_code == 400
    with (
        pytest.raises(WebSocketDisconnect),
        asked.websocket_connect(SOCKET, headers={"origin": "http://evil.example"}),
    ):
        pass


@pytest.mark.parametrize(("host", "token"), [("0.0.0.0", None), ("example.org", None), ("127.0.0.1", "short")])
def test_others_reach_it_by_a_token_only(host, token):
    with pytest.raises(WorldModelError, match="token"):
        check_host(host, token)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_this_machine_needs_none(host):
    check_host(host, None)


def test_it_counts_and_describes_itself(asked, run):
    text = asked.get("/metrics").text
    assert 'worldmodel_requests_total{route="/imagine",status="200"}' in text
    assert "worldmodel_batch_size_count" in text
    found = asked.get("/openapi.json").json()
    assert {route.path for route in create_app(run).routes} - {"/stream"} == found["paths"].keys()
    assert found["components"]["schemas"]["Question"]["properties"]["streams"]["properties"].keys() == {
        s.name for s in run.layout.streams
    }
    assert asked.get("/run").json()["tick_s"] == run.layout.dt


def test_a_body_that_does_not_come_is_given_up(run):
    app, sent = create_app(run, limits=Limits(body_s=0.05)), []

    async def receive():
        await asyncio.sleep(10)

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "POST", "path": "/imagine", "query_string": b"", "headers": headers}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 408
