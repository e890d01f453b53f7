"""Ridge regression with targets that may be missing."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import solve

from worldmodel.arrays import evenly

_DEAR = 2e11  # floating-point operations: some ten seconds of one core


def ridge(
    inputs: Float[np.ndarray, "M F"],
    targets: Float[np.ndarray, "M Y"],
    mask: Bool[np.ndarray, "M Y"],
    penalties: Sequence[float],
) -> Float[np.ndarray, "R F+1 Y"]:
    """Weights, the last one constant and free, for each penalty (of a mean squared error): [R, F + 1, Y].

    Each column of targets is fitted on the rows where it is there; columns there together are fitted together. A
    column that never is gets zeros.
    """
    weights = np.zeros((len(penalties), inputs.shape[1] + 1, targets.shape[1]))
    together: dict[bytes, list[int]] = {}
    for column, rows in enumerate(mask.T):
        together.setdefault(rows.tobytes(), []).append(column)
    for columns in together.values():
        rows = mask[:, columns[0]]
        if not rows.any():
            continue
        x, y = (inputs, targets[:, columns]) if rows.all() else (inputs[rows], targets[rows][:, columns])
        x_mean, y_mean = x.mean(0, dtype=float), y.mean(0, dtype=float)
        for slopes, each in zip(weights, _slopes(x - x_mean, y - y_mean, penalties), strict=True):
            slopes[:-1, columns] = each
            slopes[-1, columns] = y_mean - x_mean @ each
    return weights


def affordable(mask: Bool[np.ndarray, "M N Y"], inputs: int, penalties: int) -> Int[np.ndarray, " rows"]:
    """Rows on which N fits of Y columns each cost no more than some seconds: all, or as many, spread evenly.

    A log whose columns come and go apart, as those of a radar, has a regression of its own for each of them.

    Args:
        mask: where targets are.
        inputs: how many there are.
        penalties: how many are tried.
    """
    counts = np.concatenate([np.unique(each, axis=1).sum(0) for each in mask.swapaxes(0, 1)]).astype(float)

    def cost(share: float) -> float:
        rows = share * counts
        few, many = np.minimum(rows, inputs), np.maximum(rows, inputs)
        return float((2 * few**2 * many + penalties * few**3 * 2 / 3).sum())

    share = 1.0
    while cost(share) > _DEAR:
        share *= 0.95
    return evenly(len(mask), max(int(share * len(mask)), 1))


def _slopes(
    x: Float[np.ndarray, "M F"], y: Float[np.ndarray, "M Y"], penalties: Sequence[float]
) -> Iterator[Float[np.ndarray, "F Y"]]:
    """For each penalty, from the smaller of the two matrices that tell them: of inputs, or of rows."""
    few = len(x) < x.shape[1]
    gram, moment = (x @ x.T, y) if few else (x.T @ x, x.T @ y)
    for penalty in penalties:
        solved = solve(gram + penalty * len(x) * np.eye(len(gram)), moment, assume_a="pos")
        yield x.T @ solved if few else solved
