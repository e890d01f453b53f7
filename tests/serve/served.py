"""A small run, samples of a recording, and a client of an application that serves it."""

import numpy as np
from starlette.testclient import TestClient

from tests.oscillator import SPECS, episode
from worldmodel.serve.app import create_app
from worldmodel.types import Samples

SOCKET = "ws://127.0.0.1/stream"
STREAMS = [s for s in SPECS if s.name in ("velocity", "gps", "camera", "force")]


def client(run, **options) -> TestClient:
    return TestClient(create_app(run, **options), base_url="http://127.0.0.1")


def samples(until_s: float = 2.0, after_s: float = -1.0) -> dict[str, Samples]:
    found = {s.name: episode(0)[s.name] for s in STREAMS}
    rows = {name: (s.time <= until_s + 1e-9) & (s.time > after_s + 1e-9) for name, s in found.items()}
    return {name: Samples(s.time[rows[name]], s.data[rows[name]]) for name, s in found.items()}


def message(given: dict[str, Samples]) -> dict:
    return {name: {"time": s.time.tolist(), "data": s.data.tolist()} for name, s in given.items()}


def binary(given: dict[str, Samples]) -> dict:
    return {name: {"time": _array(s.time), "data": _array(s.data)} for name, s in given.items()}


def _array(x: np.ndarray) -> dict:
    return {"dtype": x.dtype.str, "shape": list(x.shape), "data": x.tobytes()}
