"""Which recordings are fitted, and which only measure."""

import numpy as np
from jaxtyping import Float

from worldmodel.errors import SceneError
from worldmodel.logs.reader import Log
from worldmodel.simulate.scene import Scene


def roles(scene: Scene, log: Log, holdout: float, seed: int) -> tuple[list[int], list[int]]:
    """Which episodes are fitted, and which only measure; copies stay together.

    The one that moves most is fitted: it tells most, and what measures then lies within what was fitted.

    Args:
        scene: whose readings tell what moves.
        log: the recordings.
        holdout: share of them that measure, of two or more one at least; with 0, none.
        seed: decides which of the others.

    Raises:
        SceneError: if none would be left to measure.
    """
    count = len(log.episodes)
    if holdout == 0:
        return list(range(count)), []
    alike = {i: group[0] for group in log.copies() for i in group}
    units = [i for i in range(count) if alike.get(i, i) == i]
    if len(units) == 1:
        raise SceneError(
            "No episode is left to measure.",
            expected="two episodes or more",
            found="one" if count == 1 else f"{count} copies of one",
            remedy="--holdout 0 fits it alone: the errors that are reported are then those of the fit",
        )
    moves = motion(scene, log)
    units.remove(max(units, key=lambda i: moves[i]))
    order = np.random.default_rng(seed).permutation(units)
    chosen = set(order[: max(round(holdout * (len(units) + 1)), 1)].tolist())
    measure = [i for i in range(count) if alike.get(i, i) in chosen]
    return [i for i in range(count) if i not in measure], measure


def motion(scene: Scene, log: Log) -> Float[np.ndarray, " E"]:
    """How much each episode's readings vary, as a share of how they do over the log; the mean over all columns."""
    shares = []
    for stream in scene.read:
        read = [np.asarray(episode.streams[stream.spec.name].data, np.float64) for episode in log.episodes]
        with np.errstate(all="ignore"):
            shares.append(np.array([np.nanvar(x, 0) for x in read]) / np.nanvar(np.concatenate(read), 0))
    return np.nan_to_num(np.concatenate(shares, 1)).mean(1)
