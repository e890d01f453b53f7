"""Of what imagined frames are mixed: what the network draws, the last frame seen, the mean one, and memories."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import UInt8
from scipy.optimize import nnls

from worldmodel.arrays import evenly
from worldmodel.imagine.engine import Imaginer
from worldmodel.logs.windows import Context, Future, Windows
from worldmodel.models.memory import Memory
from worldmodel.models.objective import energy_score
from worldmodel.models.world_model import Film, WorldModel

_WINDOWS, _HORIZONS, _MEMBERS = 96, 6, 4  # docs/experiments.md; more cost minutes
_REMEMBERED, _BYTES = 2048, 20 << 20  # frames of each video that are kept at most, and what they take
_SURENESS = (0.2, 0.6)  # with less, members would recall what does not go with what is kept
_DRAWN = np.array([1.0, 0.0, 0.0])  # where no frame came that could tell
_SUM = 1e3  # how much more a sum of shares that is not 1 weighs than the frames' errors


def remembered(windows: Windows, video: int) -> UInt8[np.ndarray, "N rows columns 3"]:
    """Frames of the episodes, evenly over all of them, that are kept with a run."""
    spec = windows.layout.videos[video]
    starts = windows.starts().thinned(min(_REMEMBERED, max(_BYTES // int(np.prod(spec.sample_shape)), 1)))
    newest = windows.ticks.spans(starts, 1 - windows.context, windows.context).frames[..., video].max(1)
    shown, there = windows.frames(video, starts, newest[:, None])
    return shown[there]


def measure_film(
    model: WorldModel, windows: Windows, mean: Sequence[np.ndarray], memories: Sequence[np.ndarray] = ()
) -> Film:
    """Shares that make the squared error of pixels smallest, on windows of the select episodes.

    A network that knows little of what comes would do better to say what is seen on average, and just ahead what was
    seen last: with these shares it does, at each horizon. Between the horizons that are measured they are interpolated.

    Args:
        model: which draws the frames.
        windows: of the select episodes.
        mean: by video, the mean frame of the training episodes, uint8 [rows, columns, 3].
        memories: by video, frames of them that members may recall (`remembered`), if that is better (`_recalled`).
    """
    chosen = windows.starts().thinned(_WINDOWS)
    ticks = np.unique(np.geomspace(1, windows.horizon, _HORIZONS).round().astype(int)) - 1
    asked = windows.frame_ticks(chosen, np.tile(ticks, (len(chosen), 1)), windows.horizon)
    context, future = windows.cut(chosen, windows.horizon, asked)
    bright = [frame / np.float32(255) for frame in mean]
    drawn = _shown(model, Film(np.tile(_DRAWN, (len(mean), windows.horizon, 1)), bright), context, future)
    shares = []
    for video, frames in enumerate(drawn):
        there = future.frames_mask[video] & context.frames_mask[video][:, -1:] & (asked >= ticks)
        parts = np.broadcast_arrays(frames.mean(1, dtype=np.float32), context.frames[video][:, -1:], mean[video])
        known = [(rows, i) for i, rows in enumerate(there.T) if rows.any()]
        found = [_shares([part[at] for part in parts], future.frames[video][at]) for at in known] or [_DRAWN]
        measured = [ticks[i] for _, i in known] or [0]
        every = np.arange(windows.horizon)
        shares.append(np.stack([np.interp(every, measured, column) for column in np.array(found).T], 1))
    film = Film(np.array(shares), bright)
    if not memories:
        return film
    some = evenly(len(chosen), _WINDOWS // 2)
    context, future = jax.tree.map(lambda x: x[some], (context, future))
    return _recalled(model, film, memories, context, future)


def _recalled(model: WorldModel, film: Film, memories: Sequence[np.ndarray], context: Context, future: Future) -> Film:
    """The film with memories of the sureness whose energy score is best, or none of a video that is best without."""
    tried = [film, *(film.recalling([Memory(frames, s) for frames in memories]) for s in _SURENESS)]
    best = np.argmin([_scores(model, each, context, future) for each in tried], 0)
    return film.recalling([tried[row].memory[video] for video, row in enumerate(best)])


def _scores(model: WorldModel, film: Film, context: Context, future: Future) -> list[float]:
    """By video, the mean energy score of what members show; 0 where no frame came that could tell."""
    shown, scores = _shown(model, film, context, future), []
    for members, came, mask, seen in zip(shown, future.frames, future.frames_mask, context.frames_mask, strict=True):
        known = mask & seen[:, -1:]
        scores.append(float(energy_score(members.swapaxes(1, 2)[known], came[known]).mean()) if known.any() else 0.0)
    return scores


def _shown(model: WorldModel, film: Film, context: Context, future: Future) -> list[np.ndarray]:
    """By video, what members show with a film; one program is for all films of as many remembered frames."""
    before, model.film = model.film, film
    shown = Imaginer(model).frames(context, future.actions, future.frame_ticks, _MEMBERS)
    model.film = before
    return shown


def _shares(parts: Sequence[np.ndarray], came: np.ndarray) -> np.ndarray:
    """Shares [3] of at least 0 that sum to 1, of frames [N, rows, columns, 3] beside those that came."""
    flat = np.stack([part.astype(np.float32).ravel() for part in parts])
    gram, toward = flat @ flat.T, flat @ came.astype(np.float32).ravel()
    scale = max(np.trace(gram), 1.0)  # 0 of a camera that is dark
    root = np.linalg.cholesky(gram / scale + 1e-9 * np.eye(len(parts)))
    rows = np.append(root.T, np.full((1, len(parts)), _SUM), axis=0)
    found, _ = nnls(rows, np.append(np.linalg.solve(root, toward / scale), _SUM))
    return found / found.sum()
