"""The linear part in closed form: hidden states as what the past tells of the future beyond the present reading."""

import numpy as np
from jaxtyping import Float, Int

from worldmodel.models.experts.state_space.cell import Shape
from worldmodel.models.experts.state_space.traces import Traces

_LAGS = 10  # of the past, and ticks of the future, that hidden states are found from
_ROWS = 20_000  # of a regression that is only a start
_RIDGE = 1e-6  # of normalised inputs: against singular ones alone


def linear(shape: Shape, traces: Traces) -> Float[np.ndarray, " P"]:
    """Parameters of a linear state space by regression on what a subspace method finds (Larimore 1990, CVA).

    The future is regressed on the present, the past and coming actions; the largest singular directions of the past's
    share in it are the hidden states, scaled to unit variance.
    """
    ticks = traces.readings.shape[1]
    lags = max(min(_LAGS, (ticks - 2) // 3), 1)
    at = _ticks(lags, ticks - lags - 1, len(traces.readings))
    now, after = (traces.readings[:, at + k].reshape(-1, shape.readings) for k in (0, 1))
    action = traces.actions[:, at].reshape(len(now), -1)
    hidden = _hidden(traces, at, lags, shape.hidden)
    z = np.concatenate([now, hidden[0], action], 1)
    change = np.concatenate([after, hidden[1]], 1) - z[:, : shape.states]
    weights = _regress(np.concatenate([z, np.ones((len(z), 1))], 1), change)
    return shape.join(linear=weights[:-1], constant=weights[-1], inner=0, bias=0, outer=0)


def _ticks(first: int, last: int, windows: int) -> Int[np.ndarray, " K"]:
    count = min(max(_ROWS // windows, 4), last - first)
    return np.unique(np.linspace(first, last - 1, max(count, 1)).astype(int))


def _hidden(
    traces: Traces, at: Int[np.ndarray, " K"], lags: int, count: int
) -> tuple[Float[np.ndarray, "N count"], Float[np.ndarray, "N count"]]:
    """Hidden states at ticks `at`, and a tick later."""
    y, u = traces.readings, traces.actions
    now, past = _flat(y, at), _past(traces, at, lags)
    future = np.concatenate([_flat(y, at + k) for k in range(1, lags + 1)], 1)
    coming = np.concatenate([_flat(u, at + k) for k in range(lags)], 1)
    known = np.concatenate([now, np.ones((len(now), 1))], 1)
    told = _regress(np.concatenate([past, known, coming], 1), future)[: past.shape[1]]
    from_now = _regress(known, past)
    beyond = (past - known @ from_now) @ told
    found = np.linalg.svd(beyond, full_matrices=False)[2][:count].T
    directions = np.pad(found / np.maximum((beyond @ found).std(0), 1e-9), ((0, 0), (0, count - found.shape[1])))
    later = np.concatenate([_flat(y, at + 1), np.ones((len(now), 1))], 1)
    return beyond @ directions, (_past(traces, at + 1, lags) - later @ from_now) @ told @ directions


def _past(traces: Traces, at: Int[np.ndarray, " K"], lags: int) -> Float[np.ndarray, "N F"]:
    parts = [_flat(traces.readings, at - k) for k in range(1, lags)] + [
        _flat(traces.actions, at - k) for k in range(1, lags + 1)
    ]
    return np.concatenate(parts, 1)


def _flat(values: Float[np.ndarray, "W T S"], at: Int[np.ndarray, " K"]) -> Float[np.ndarray, "N S"]:
    return values[:, at].reshape(-1, values.shape[-1])


def _regress(inputs: Float[np.ndarray, "N F"], targets: Float[np.ndarray, "N G"]) -> Float[np.ndarray, "F G"]:
    gram = inputs.T @ inputs
    return np.linalg.solve(gram + _RIDGE * len(inputs) * np.eye(len(gram)), inputs.T @ targets)
