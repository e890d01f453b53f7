"""Recordings made by hand, and what the checks say of them."""

import numpy as np

from worldmodel.logs.health import clock, rates
from worldmodel.logs.health.examination import STAGES
from worldmodel.logs.ingest.recording import Recording
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, StreamSpec


def sensor(name, columns, units, rate_hz=100.0, **more):
    return StreamSpec(name, "sensor", tuple(columns), tuple(units), rate_hz, **more)


def action(name, columns, units=None, rate_hz=100.0):
    return StreamSpec(name, "action", tuple(columns), tuple(units or [""] * len(columns)), rate_hz)


def gps(*more, rate_hz=10.0):
    names, units = [name for name, _ in more], [unit for _, unit in more]
    return StreamSpec("gps", "gps", (*GPS_COLUMNS, *names), (*GPS_UNITS, *units), rate_hz)


def record(*streams, name="drive"):
    """A recording of (spec, time [M], data [M, S] or [M])."""
    recording = Recording(name)
    for spec, time, data in streams:
        data = np.asarray(data, np.uint8 if spec.kind == "video" else np.float64)
        recording.add(spec, np.asarray(time, np.float64), data[:, None] if data.ndim == 1 else data)
    return recording


def said(recording, word=""):
    """The findings of all checks whose names begin with a word; what the checks before them ask for is not done."""
    checks = [check for stage in STAGES for check in stage]
    if word.startswith("clock") and word != "clock: offset":
        checks = [check for check in checks if check.__module__ in (clock.__name__, rates.__name__)]
    return [finding for check in checks for finding in check(recording) if finding.check.startswith(word)]


def one(recording, word=""):
    (finding,) = said(recording, word)
    return finding


def noise(count, columns=1, seed=0):
    return np.random.default_rng(seed).normal(size=(count, columns))
