"""A small log of a driven oscillator with every kind of stream, for tests that need data and not a simulator."""

from pathlib import Path

import numpy as np

from worldmodel.geo import enu_to_geodetic
from worldmodel.logs.writer import LogWriter
from worldmodel.types import GPS_COLUMNS, GPS_UNITS, Samples, StreamSpec

ORIGIN = np.array([48.1, 11.6, 520.0])
SPECS = (
    StreamSpec("position", "sensor", ("x",), ("m",), 50.0),
    StreamSpec("velocity", "sensor", ("v",), ("m/s",), 100.0),
    StreamSpec("phase", "sensor", ("angle",), ("rad",), 25.0, circular=(True,)),
    StreamSpec("gps", "gps", GPS_COLUMNS, GPS_UNITS, 5.0),
    StreamSpec("camera", "video", ("red", "green", "blue"), ("", "", ""), 10.0, size=(16, 16)),
    StreamSpec("force", "action", ("f",), ("N",), 50.0),
)


def episode(seed: int, seconds: float = 4.0) -> dict[str, Samples]:
    """One recording, by stream."""
    rng = np.random.default_rng(seed)
    dt, count = 0.01, round(seconds / 0.01)
    force = np.repeat(rng.normal(size=count // 20 + 1), 20)[:count]
    x, v = rng.normal(size=2)
    states = np.zeros((count, 2))
    for k in range(count):
        states[k] = x, v
        v += dt * (-4 * x - 0.2 * v + 3 * force[k])
        x += dt * v
    time = np.arange(count) * dt
    noisy = states + 0.02 * rng.normal(size=states.shape)
    enu = np.stack([5 * states[:, 0], 3 * states[:, 1], 0.1 * states[:, 0]], -1)[::20]
    frames = np.zeros((len(time[::10]), 16, 16, 3), np.uint8)
    frames[np.arange(len(frames)), :, np.clip(8 + 3 * states[::10, 0], 0, 15).astype(int)] = 255
    return {
        "position": Samples(time[::2], noisy[::2, :1]),
        "velocity": Samples(time, noisy[:, 1:]),
        "phase": Samples(time[::4], np.arctan2(states[::4, 1:], states[::4, :1])),
        "gps": Samples(time[::20], enu_to_geodetic(enu, ORIGIN)),
        "camera": Samples(time[::10], frames),
        "force": Samples(time[::2], force[::2, None]),
    }


def write_log(
    path: Path, episodes: int = 4, seconds: float = 4.0, edit=None, seed: int = 0, about=None, specs=SPECS
) -> Path:
    """Writes a log of some of the streams; `edit(streams)` may change an episode before it is written."""
    with LogWriter(path, specs, about=about) as writer:
        for e in range(episodes):
            streams = episode(seed + e, seconds)
            kept = {spec.name: streams[spec.name] for spec in specs}
            writer.append(edit(kept) if edit else kept, name=f"oscillator {e}")
    return path
