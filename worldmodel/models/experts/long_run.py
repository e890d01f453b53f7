"""How experts do over runs that are far longer than those that they were fitted on."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from worldmodel.logs.windows import Windows
from worldmodel.models.baselines.view import Lens
from worldmodel.models.experts.expert import Expert
from worldmodel.models.experts.left_out import predictions

FAR = 2  # horizons, from which on long runs count
_LONG, _MOST = 4, 30_000  # horizons that a recording must hold, and ticks of it at most


def long_run(experts: Sequence[Expert], lens: Lens, windows: Windows) -> Float[np.ndarray, "K Y"]:
    """Mean squared errors from the first context of the longest recording to its end, the nearest horizons apart.

    Infinite where an expert says nothing or diverges; of no expert where no recording is long enough. Experts may have
    learned from it: it shows who leaves the track.
    """
    lengths, horizon = np.asarray(windows.ticks.lengths), windows.horizon
    longest = int(lengths.argmax())
    ticks = min(int(lengths[longest]) - windows.context, _MOST)
    if ticks < _LONG * horizon:
        return np.zeros((0, len(lens.centre)))
    start = np.array([[longest, windows.context - 1]])
    seen = lens.seen(*windows.without_video().cut(start, ticks))
    with np.errstate(all="ignore"):
        said = predictions(experts, seen.view)
        errors = np.stack([seen.squared_errors(ahead)[0, FAR * horizon :] for ahead in said])
    came = seen.mask[0, FAR * horizon :]
    total = np.where(came, np.where(np.isfinite(errors), errors, np.inf), 0.0).sum(1)
    return total / np.maximum(came.sum(0), 1)
