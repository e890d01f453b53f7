"""What a page draws of a trajectory: bands of each column, their error against what came, ways, and frames."""

from typing import Any

import numpy as np

from worldmodel.arrays import wrapped
from worldmodel.codecs import codec
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.logs.physical import first_fix, physical_columns, physical_values
from worldmodel.types import Samples, StreamSpec

PERCENT = (5, 25, 50, 75, 95)
QUARTERS = 4
_SAME_S = 1e-6


def logged(spec: StreamSpec, samples: Samples, start_s: float) -> dict[str, Any]:
    """What a log holds of a stream, its times from the moment on, in physical columns."""
    values = physical_values(spec, samples.data, first_fix(spec, samples.data))
    return read(Samples(samples.time, values), start_s)


def read(samples: Samples, start_s: float) -> dict[str, Any]:
    """Physical values [N, P], as a page wants them."""
    return {"time": samples.time - start_s, "columns": list(samples.data.T)}


def summary(trajectory: Trajectory, count: int) -> dict[str, Any]:
    """What is told of futures beside their fans; with so many frames of each video."""
    videos = [spec for spec in trajectory.streams.values() if spec.kind == "video" and count]
    return {
        "start_s": trajectory.start_s,
        "members": trajectory.members,
        "trust": {name: {who: float(w.mean()) for who, w in by.items()} for name, by in trajectory.trust.items()},
        "outside": {name: float(size) for name, size in trajectory.outside.items()},
        "unsure": dict(trajectory.unsure),
        "silent": list(trajectory.silent),
        "aimless": list(trajectory.aimless),
        "frames": {spec.name: frames(trajectory, spec, count) for spec in videos},
    }


def fan(
    trajectory: Trajectory,
    spec: StreamSpec,
    beside: np.ndarray | None = None,
    as_recorded: bool = True,
    origin: np.ndarray | None = None,
) -> dict[str, Any]:
    """A stream's futures: for each physical column bands, the mean, its error [M] and the root of its mean square.

    Args:
        trajectory: the futures, with what came.
        spec: the stream.
        beside: what MuJoCo would read [M, P]; the page shows it, and how far it and the mean are apart.
        as_recorded: whether the commands are those under which came what came; else nothing is an error.
        origin: what fixes are metres from; by default the first that the trajectory holds.
    """
    came = trajectory.logged[spec.name]
    time, data = trajectory[spec.name]
    origin = first_fix(spec, came.data, data) if origin is None else origin
    members = physical_values(spec, data, origin)  # [M, K, P]
    mean = codec(spec).average(members, 1)
    wraps = np.array(physical_columns(spec).wraps, bool)
    true = at_times(time, came.time, physical_values(spec, came.data, origin), 0.75 / spec.rate_hz)
    true = true if as_recorded else np.full_like(true, np.nan)
    errors, bands = apart(mean, true, wraps), bands_of(members, mean, wraps)
    columns = [
        {"bands": bands[..., i], "mean": mean[:, i], "error": error, "rmse": root_mean_square(error)}
        for i, error in enumerate(errors.T)
    ]
    if beside is not None:
        others, between = apart(beside, true, wraps), apart(mean, beside, wraps)
        for i, column in enumerate(columns):
            rms = {"rmse": root_mean_square(others[:, i]), "apart": root_mean_square(between[:, i])}
            column["twin"] = {"values": beside[:, i], **rms}
    answer = {"time": time - trajectory.start_s, "columns": columns, "errors": by_unit(spec, mean, true)}
    if track := codec(spec).track:
        answer["ways"] = members[..., list(track)].swapaxes(0, 1)
    return answer


def by_unit(spec: StreamSpec, mean: np.ndarray, true: np.ndarray) -> list[dict[str, Any]]:
    """For each unit of a stream's errors, the root mean square in each quarter of the horizon [4].

    Of positions and attitudes it is that of the distance, as in reports, else that of a column.
    """
    kind = codec(spec)
    squares, units = kind.residual(mean, true)[:, kind.figure] ** 2, kind.error_units[kind.figure]
    quarters = np.array_split(squares, QUARTERS)
    found = []
    for unit in dict.fromkeys(units):
        columns = [i for i in range(squares.shape[1]) if units[i] == unit]
        times = len(columns) if kind.distance else 1
        found.append({"unit": unit, "rmse": np.sqrt([times * _mean(part[:, columns]) for part in quarters])})
    return found


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def bands_of(members: np.ndarray, mean: np.ndarray, wraps: np.ndarray) -> np.ndarray:
    """Percentiles [5, M, P] of members [M, K, P]; of angles those of how far each is from the mean [M, P]."""
    ordered = np.sort(apart(members, mean[:, None], wraps), axis=1)  # `np.percentile` takes four times as long
    at = np.array(PERCENT) / 100 * (members.shape[1] - 1)
    low = at.astype(int)
    high, share = np.minimum(low + 1, members.shape[1] - 1), (at - low)[:, None]
    return (mean[:, None] + ordered[:, low] * (1 - share) + ordered[:, high] * share).swapaxes(0, 1)


def at_times(asked: np.ndarray, time: np.ndarray, values: np.ndarray, within_s: float) -> np.ndarray:
    """The sample [M, P] nearest to each time; NaN where none is that near."""
    if not len(time):
        return np.full((len(asked), values.shape[1]), np.nan)
    after = np.clip(np.searchsorted(time, asked), 1, max(len(time) - 1, 1))
    near = np.where(asked - time[after - 1] < time[after % len(time)] - asked, after - 1, after % len(time))
    return np.where((np.abs(time[near] - asked) < within_s)[:, None], values[near], np.nan)


def frames(trajectory: Trajectory, spec: StreamSpec, count: int) -> list[dict[str, Any]]:
    """Some frames, evenly over the horizon, of the first future, beside the real ones."""
    time, data = trajectory[spec.name]
    came = trajectory.logged[spec.name]
    if not len(time):
        return []
    chosen = np.unique(np.linspace(0, len(time) - 1, count + 1).round().astype(int)[1:])
    return [
        {
            "after_s": float(time[row] - trajectory.start_s),
            "imagined": data[row, 0],
            "real": _real(came, time[row], 0.75 / spec.rate_hz),
        }
        for row in chosen
    ]


def past_frames(samples: Samples, start_s: float, count: int) -> list[dict[str, Any]]:
    """The newest frames up to the moment."""
    rows = np.flatnonzero(samples.time <= start_s + _SAME_S)[-count:]
    return [{"after_s": float(samples.time[row] - start_s), "seen": samples.data[row]} for row in rows]


def apart(values: np.ndarray, others: np.ndarray, wraps: np.ndarray) -> np.ndarray:
    """How far values [..., P] are above others; angles the short way round."""
    difference = values - others
    return np.where(wraps, wrapped(difference), difference)


def root_mean_square(error: np.ndarray) -> float | None:
    """Of what is known; None of nothing."""
    known = error[np.isfinite(error)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else None


def _real(came: Samples, time: float, within_s: float) -> np.ndarray | None:
    near = int(np.argmin(np.abs(came.time - time))) if len(came.time) else -1
    return came.data[near] if near >= 0 and abs(came.time[near] - time) < within_s else None
