"""A few starts with everything that a picture of them needs."""

import jax
import numpy as np

from worldmodel.imagine.engine import Imaginer
from worldmodel.types import Commands
from worldmodel.validate.problem import Problem, at_tick
from worldmodel.validate.result import Example

_COUNT, _DRAWN = 3, 12


def draw_examples(imaginer: Imaginer, problem: Problem, members, predictions) -> list[Example]:
    """Examples of starts spread over the problem, chosen without looking at how well they went."""
    rows = np.unique(np.linspace(0, len(problem.starts) - 1, _COUNT + 2).astype(int)[1:-1])
    return [_example(imaginer, problem, members, predictions, int(row)) for row in rows]


def _example(imaginer: Imaginer, problem: Problem, members, predictions, row: int) -> Example:
    windows, dt = problem.windows, problem.windows.layout.dt
    episode, tick = (int(x) for x in problem.starts[row])
    shift = {
        s.name: np.nan_to_num(windows.last_fix(episode, tick, s.name)) if s.kind == "gps" else 0.0
        for s in problem.readings
    }
    seen = at_tick(windows, problem.context.values[row])
    seen_mask = at_tick(windows, problem.context.mask[row], is_mask=True)
    one = jax.tree.map(lambda x: x[row : row + 1], problem.context)
    layout = windows.layout
    span = layout.interval(layout.videos[0]) if layout.videos else 1
    there = [
        t for t in range(problem.horizon)
        if layout.videos and windows.ticks[episode].frames[tick + 1 + t, 0] >= 0
    ]  # fmt: skip
    asked = tuple(there[max(round(0.25 / dt / span), 1) - 1 :: max(round(0.25 / dt / span), 1)][:12])
    imagined, real = [], []
    if asked:
        imagined = imaginer.frames(
            one, Commands(*(x[row : row + 1] for x in problem.future.actions)), np.asarray(asked)[None]
        )
        _, future = windows.cut(problem.starts[row : row + 1], problem.horizon, np.asarray(asked)[None])
        real = list(future.frames)
    names = [s.name for s in layout.videos] if asked else []
    return Example(
        episode=problem.log.episodes[windows.episodes[episode]].name,
        at_s=tick * dt,
        context_time=np.arange(1 - windows.context, 1) * dt,
        context={n: np.where(seen_mask[n], v, np.nan) + shift[n] for n, v in seen.items()},
        time=(np.arange(problem.horizon) + 1) * dt,
        truth={n: np.where(problem.truth_mask[n][row], v[row], np.nan) + shift[n] for n, v in problem.truth.items()},
        members={n: v[row, :_DRAWN] + shift[n] for n, v in members.items()},
        baselines={
            p: {n: v[row] + shift[n] for n, v in ahead.items()} for p, ahead in predictions.items() if p != "model"
        },
        video_time=(np.asarray(asked, float) + 1) * dt,
        video_context={n: problem.context.frames[i][row] for i, n in enumerate(names)},
        video_truth={n: real[i][0] for i, n in enumerate(names)},
        video_imagined={n: imagined[i][0, 0] for i, n in enumerate(names)},
    )
