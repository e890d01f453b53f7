"""An export runs without the package, and rolls the very futures of the run."""

import dataclasses
import importlib.metadata
import json
import re
import subprocess
import sys

import jax
import numpy as np
import onnxruntime
import pytest

from tests.command_line import run as command
from tests.oscillator import SPECS, episode
from tests.untrained import random_model, untrained_run
from worldmodel.errors import WorldModelError
from worldmodel.export.artefact import export_run, exported_model
from worldmodel.export.graphs import Graph, graphs, to_commands, to_context
from worldmodel.export.onnx_graph import convert
from worldmodel.imagine.engine import Imaginer
from worldmodel.imagine.trajectory import frame_ticks
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.models.config import RSSMConfig

MEMBERS, HORIZON, CONTEXT = 3, 4, 8


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "a.h5"
    specs = [s for s in SPECS if s.name in ("velocity", "gps", "camera", "force")]  # few compile sooner
    with LogWriter(path, specs) as writer:
        writer.append({s.name: episode(0)[s.name] for s in specs})
    return Log(path)


@pytest.fixture(scope="module")
def run(log, tmp_path_factory):
    opened = untrained_run(log, dt=0.05, context=CONTEXT, horizon=HORIZON)
    opened.folder = tmp_path_factory.mktemp("run")
    return opened


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("export") / "out"
    export_run(run, out, members=MEMBERS)
    return out


@pytest.fixture(scope="module")
def example(folder):
    return dict(np.load(folder / "example.npz"))


@pytest.fixture(scope="module")
def given(example):
    return {name.rpartition("/")[2]: x for name, x in example.items() if name.startswith("futures/in/")}


ONLY = """
import importlib.metadata, runpy, sys

class Only:
    packages, allowed = importlib.metadata.packages_distributions(), set(sys.argv[2:])

    def find_spec(self, name, path=None, target=None):
        makers = self.packages.get(name.partition(".")[0])
        if makers and not self.allowed & set(makers):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Only())
sys.modules["worldmodel"] = None
runpy.run_path(sys.argv[1])
"""


def with_requirements(name):
    """A distribution, and what it wants without extras."""
    plain = [line for line in importlib.metadata.requires(name) or () if "extra ==" not in line]
    return {name}.union(*(with_requirements(re.split(r"[^\w.-]", line)[0]) for line in plain))


def test_the_loader_needs_what_it_says_alone(folder, compiled_once):
    (named,) = re.findall(r"`pip install (.*?)`", (folder / "README.md").read_text())
    allowed = set().union(*map(with_requirements, named.split()))
    command = [sys.executable, "-I", "-c", ONLY, str(folder / "load.py"), *allowed]
    ran = subprocess.run(command, capture_output=True, text=True, env=compiled_once, cwd=folder)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("within") == 3  # clean, read, and the camera's frames
    assert all(float(line.split("within ")[1].split()[0]) <= 1e-4 for line in ran.stdout.splitlines())


def test_what_is_exported_are_the_futures_of_the_run(run, example, given):
    ahead = to_commands({n.removeprefix("future_"): x for n, x in given.items() if n.startswith("future_")})
    ticks = [asked[None] for asked in frame_ticks(run.layout, HORIZON)]
    readings, frames = Imaginer(run.model, int(given["seed"])).futures(to_context(given, 1), ahead, ticks, MEMBERS)
    np.testing.assert_allclose(example["futures/out/clean"], readings.clean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(example["futures/out/read"], readings.read, rtol=1e-4, atol=1e-5)
    assert np.abs(example["futures/out/frames_0"].astype(int) - frames[0].members).max() <= 1


def test_onnx_rolls_the_same_futures_with_the_same_noise(folder, run, example, given):
    key = jax.random.fold_in(jax.random.key(given["seed"]), 0)
    first, later = jax.random.split(key)
    noise = np.asarray(jax.random.normal(first, (1, MEMBERS, *run.model.start_noise)))
    noises = np.asarray(jax.random.normal(later, (1, MEMBERS, HORIZON, run.model.step_noise)))
    sensors = np.asarray(jax.random.normal(jax.random.fold_in(key, 1), (1, MEMBERS, HORIZON, run.layout.size)))
    context = {n: x for n, x in given.items() if not n.startswith("future_") and n != "seed"}
    seen = call(folder, "observe", context | {"noise": noise})
    latent, out = seen["latent"], []
    for tick in range(HORIZON):
        ahead = {n.removeprefix("future_"): x[:, tick] for n, x in given.items() if n.startswith("future_")}
        ahead |= {"latent": latent, "angle": seen["angle"], "noise": noises[:, :, tick]}
        out.append(call(folder, "step", ahead | {"reading_noise": sensors[:, :, tick], "tick": np.array(tick, "i4")}))
        latent = out[-1]["next"]
    for name in ("clean", "read"):
        found, expected = np.stack([each[name] for each in out], 2), example[f"futures/out/{name}"]
        assert np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
    shown = {"latent": out[1]["next"], "tokens": seen["tokens_0"], "last": seen["last_0"], "tick": np.array(1, "i4")}
    frame = call(folder, "draw_0", shown)["frame"].astype(int)
    assert np.abs(frame - example["futures/out/frames_0"][:, :, 0]).max() <= 1  # of 10 Hz: one each second tick


def call(folder, name, inputs):
    session = onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
    outputs = [x.name for x in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, inputs), strict=True))


def test_the_card_names_every_column_and_tensor(folder, run):
    card = json.loads((folder / "card.json").read_text())
    assert [s["name"] for s in card["streams"]] == [s.name for s in run.layout.streams]
    assert len(card["columns"]) == run.layout.size
    assert card["columns"][2] == {"stream": "gps", "feature": 2, "slot": 0, "slots": 1, "relative": True}
    assert card["graphs"]["step"]["outputs"]["read"]["shape"] == [1, MEMBERS, run.layout.size]
    assert max(card["largest_error_of_onnx"].values()) <= 1e-5
    np.testing.assert_allclose(card["normalisation"]["std"], run.model.scaling.std[...])
    assert "| gps | gps | latitude" in (folder / "README.md").read_text()


def test_the_recurrent_model_is_onnx_too(run):
    settings = dataclasses.replace(run.settings, model=RSSMConfig(width=8, stochastic=3, video_width=8))
    model = random_model(settings, run.model.scaling)
    assert {node.op_type for node in convert(graphs(model, 2)["step"], "step").graph.node} >= {"MatMul", "Sigmoid"}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jax.numpy.atan2(x[..., 0], x[..., 1]),
        lambda x: jax.lax.cummax(x, 1),
        lambda x: jax.numpy.argsort(x, axis=1).astype("float32"),
        lambda x: jax.lax.scan(lambda c, v: (c + v, c * v), x[:, 0], x.swapaxes(0, 1))[1],
        lambda x: jax.lax.scan(lambda c, v: (c + v * x[:, 1], c), x[:, 0], x.swapaxes(0, 1))[1],
        lambda x: jax.numpy.take_along_axis(x, jax.numpy.argmax(x, 1, keepdims=True), 1),
        lambda x: x[..., np.array([[1, 0], [2, 1]])],
        lambda x: jax.numpy.einsum("bij,bkj->bik", x, x),
        lambda x: jax.image.resize(x, (2, 8, 9), "linear"),
    ],
)
def test_an_operation_is_what_jax_does(function):
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    x[0, 0] = 0, -1, 0
    graph = Graph(lambda given: {"y": function(given["x"])}, {"x": jax.ShapeDtypeStruct(x.shape, x.dtype)})
    session = onnxruntime.InferenceSession(convert(graph, "one").SerializeToString())
    np.testing.assert_allclose(session.run(None, {"x": x})[0], function(x), rtol=1e-5, atol=1e-6)


def test_what_onnx_lacks_is_named():
    graph = Graph(lambda given: {"y": jax.lax.lgamma(given["x"])}, {"x": jax.ShapeDtypeStruct((2,), np.float32)})
    with pytest.raises(WorldModelError, match="'lgamma'"):
        convert(graph, "one")


def test_a_model_of_half_precision_is_exported_in_whole(run):
    config = dataclasses.replace(run.settings.model, dtype="bfloat16")
    half = dataclasses.replace(run, settings=dataclasses.replace(run.settings, model=config))
    assert exported_model(half).config.dtype == "float32"


def test_a_run_without_a_network_is_refused(run, tmp_path):
    settings = dataclasses.replace(run.settings, network=False)
    for each, remedy in ((settings, "--network"), (run.settings, "--resume")):  # it had no time to be trained
        with pytest.raises(WorldModelError, match=rf"no network[\s\S]*{remedy}"):
            export_run(dataclasses.replace(run, model=None, settings=each), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("onnx", "missing", "without"),
    [(True, "flatbuffers, onnx, onnxruntime", False), (True, "onnxruntime", True), (False, "flatbuffers", False)],
)
def test_a_package_that_is_missing_is_named(run, tmp_path, monkeypatch, onnx, missing, without):
    gone = missing.split(", ")
    monkeypatch.setattr("worldmodel.export.artefact.find_spec", lambda name: None if name in gone else name)
    with pytest.raises(WorldModelError, match=rf"no {missing}\n[\s\S]*worldmodel-toolkit\[export\]") as raised:
        export_run(run, tmp_path / "out", onnx=onnx)
    assert ("--no-onnx" in str(raised.value)) == without


def test_the_command_says_what_is_wrong(tmp_path):
    ran = command("export", tmp_path / "nothing", "--out", tmp_path / "out")
    assert (ran.code, "holds no run" in ran.err) == (2, True)
    ran = command("serve", tmp_path / "nothing", "--host", "0.0.0.0")
    assert (ran.code, "--token" in ran.err) == (2, True)
