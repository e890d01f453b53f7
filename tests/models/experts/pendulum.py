"""A driven pendulum whose equation is known, as windows without a file."""

import numpy as np

from worldmodel.logs.align import TickLayout
from worldmodel.logs.windows import Context
from worldmodel.models.baselines.view import Examples, Lens
from worldmodel.types import Commands, StreamSpec

DT = 0.02
INERTIA, WEIGHT, DAMPING = 0.05, 0.8, 0.02  # kg m^2, N m, N m s
TORQUE = StreamSpec("torque", "action", ("angle",), ("N*m",), 1 / DT)


def simulated(seed: int, ticks: int = 300, substeps: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Angle and speed [T, 2] at ticks, and the torque [T, 1] that leaves each."""
    rng = np.random.default_rng(seed)
    torque = np.repeat(rng.normal(scale=0.7, size=ticks // 15 + 1), 15)[:ticks]
    states, (q, v) = np.zeros((ticks, 2)), rng.normal(size=2)
    for k in range(ticks):
        states[k] = q, v
        for _ in range(substeps):
            v += DT / substeps * (torque[k] - DAMPING * v - WEIGHT * np.sin(q)) / INERTIA
            q += DT / substeps * v
    return states, torque[:, None]


def layout(*specs: StreamSpec) -> TickLayout:
    return TickLayout(DT, (*specs, TORQUE))


def sensor(name: str, columns: str, units: str, circular: tuple[bool, ...] = ()) -> StreamSpec:
    return StreamSpec(name, "sensor", tuple(columns.split()), tuple(units.split()), 1 / DT, circular=circular)


def examples(
    readings: np.ndarray, actions: np.ndarray, lens: Lens, context: int = 24, horizon: int = 10, stride: int = 6
) -> Examples:
    """Windows of recordings: readings [E, T, Y] in units, actions [E, T, A]."""
    span = context + horizon
    rows = np.arange(0, readings.shape[1] - span, stride)[:, None] + np.arange(span)
    values, acts = (x[:, rows].reshape(-1, span, x.shape[-1]) for x in (readings, actions))
    seen = Context(values[:, :context], *_there(values[:, :context]), _commands(acts[:, : context - 1]), (), ())
    view = lens.look(seen, _commands(acts[:, context - 1 : -1]))
    came = lens.normal(values[:, context:])
    return Examples(view, came, np.ones(came.shape, bool), np.zeros(came.shape))


def lens_of(where: TickLayout, readings: np.ndarray, actions: np.ndarray) -> Lens:
    """Scaled by the recordings."""
    flat, acts = (x.reshape(-1, x.shape[-1]) for x in (readings, actions))
    return Lens(where, flat.mean(0), flat.std(0), acts.mean(0), acts.std(0))


def recorded(wraps: bool, noise: float = 0.0, episodes: int = 6, speeds: bool = True) -> tuple[Examples, Lens]:
    """Windows of a pendulum whose stream `joint` has an angle and a speed, beside a column that is of neither.

    `noise` is the angle's, in rad; the speed's is five times as large, in rad/s. Without `speeds` nobody reads it.
    """
    runs = [simulated(seed) for seed in range(episodes)]
    states, actions = (np.stack(x) for x in zip(*runs, strict=True))
    rng = np.random.default_rng(99)
    states = states + noise * np.array([1.0, 5.0]) * rng.normal(size=states.shape)
    decoy = np.cumsum(rng.normal(size=states[..., :1].shape), 1)
    angle, speed = states[..., :1], states[..., 1:]
    angle = np.concatenate([np.sin(angle), np.cos(angle)], -1) if wraps else angle
    read = [angle, speed, decoy] if speeds else [angle, decoy]
    columns = "angle speed", "rad rad/s", (wraps, False)
    joint = sensor("joint", *columns) if speeds else sensor("joint", "angle", "rad", (wraps,))
    readings, where = np.concatenate(read, -1), layout(joint, sensor("other", "x", "m"))
    lens = lens_of(where, readings, actions)
    return examples(readings, actions, lens), lens


def _there(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Masks [B, C, Y] and, of two streams, ages [B, C, 2] of readings that all came in time."""
    return np.ones(values.shape, bool), np.zeros((*values.shape[:2], 2))


def _commands(values: np.ndarray) -> Commands:
    return Commands(values, np.ones(values.shape, bool), np.zeros((*values.shape[:2], 1)))
