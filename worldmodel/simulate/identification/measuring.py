"""What a scene's predictions are worth, before and after, beside holding the last reading."""

from collections.abc import Sequence

import numpy as np

from worldmodel.codecs import codec
from worldmodel.simulate.identification.parameters import Machine
from worldmodel.simulate.identification.recordings import Recording, stream_of
from worldmodel.simulate.identification.windows import Windows, spread
from worldmodel.simulate.observer import Observer

SHARES = (0.1, 0.2, 0.5, 1.0)  # of the horizon, at which errors are told


def errors_of(
    observer: Observer, recordings: Sequence[Recording], horizon_s: float, before: Machine, after: Machine
) -> dict[str, dict[str, np.ndarray]]:
    """NRMSE [T] by who (`hold`, `before`, `after`) and stream, at `SHARES` of the horizon; of what moves."""
    windows = Windows.cut(observer, recordings, spread(recordings, horizon_s), horizon_s)
    out: dict[str, dict[str, np.ndarray]] = {"hold": {}, "before": {}, "after": {}}
    for who, machine in (("before", before), ("after", after)):
        windows.follow(machine)
        predicted, _ = windows.predict(machine, np.zeros((len(windows), len(windows.begin.std))))
        for name in (n for n in windows.compared if _moves(windows, n).any()):
            part = windows.compared[name]
            out[who][name] = _nrmse(windows, name, np.nan_to_num(predicted[name], nan=1e6, posinf=1e6, neginf=-1e6))
            held = windows.held(name)[:, None]
            out["hold"][name] = _nrmse(windows, name, np.broadcast_to(held, part.values.shape))
    return out


def _nrmse(windows: Windows, name: str, predicted: np.ndarray) -> np.ndarray:
    """At a tenth, a fifth, a half and all of the horizon; of a stream by the deviation of its readings."""
    part = windows.compared[name]
    error = codec(stream_of(windows.world.scene, name).spec).residual(part.values, predicted)
    error = np.where(part.known[..., None], error, np.nan)
    at = [max(round(share * part.time.shape[1]) - 1, 0) for share in SHARES]
    moves = _moves(windows, name)
    columns = np.sqrt(np.nanmean(error[:, at][..., moves] ** 2, 0)) / windows.deviation(name)[moves]
    return np.sqrt(np.mean(columns**2, -1))


def _moves(windows: Windows, name: str) -> np.ndarray:
    """bool [E] which components of a stream's error have a deviation to compare with."""
    return windows.deviation(name) > 1e-9
