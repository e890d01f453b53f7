"""What is validated: which windows of which episodes, what was seen there, and what really came."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from worldmodel.codecs import codec
from worldmodel.logs.align import align
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Context, Future, Windows
from worldmodel.training.run import Run
from worldmodel.types import StreamSpec

MAX_STARTS = 320


@dataclasses.dataclass
class Problem:
    """A set of starts with contexts, futures and the truth in physical units.

    Attributes:
        name, kind: for people; `replay` or `counterfactual`.
        starts: int [W, 2] (episode, tick).
        context, future: as the model gets them.
        recorded, truth: by stream [W, H, S] readings at the tick, as recorded and free of noise (the same where no
            truth is known); GPS in metres relative to the context's last fix. mask, truth_mask: bool of that shape.
        has_truth: whether `truth` is free of noise.
        branches: how many consecutive episodes of the log are futures of one world.
    """

    name: str
    kind: str
    log: Log
    windows: Windows
    horizon: int
    starts: np.ndarray
    context: Context
    future: Future
    recorded: dict[str, np.ndarray]
    mask: dict[str, np.ndarray]
    truth: dict[str, np.ndarray]
    truth_mask: dict[str, np.ndarray]
    has_truth: bool
    branches: int

    @property
    def episodes(self) -> np.ndarray:
        """int [W], which episode each start is in; branches of one world share a context, so they count as one."""
        return self.starts[:, 0] // self.branches

    @property
    def readings(self) -> tuple[StreamSpec, ...]:
        return self.windows.layout.readings


def make_problem(
    run: Run,
    log: Log,
    *,
    name: str,
    horizon_s: float | None,
    episodes: Sequence[int] | None = None,
    at_s: float | None = None,
    branches: int = 1,
) -> Problem:
    """Chooses starts evenly over every episode, or at one moment of each.

    Args:
        run: whose context and layout to use.
        log: opened with its truth, if it has one.
        name: for people.
        horizon_s: how far ahead; by default as far as the run was trained.
        episodes: which of the log's; by default all.
        at_s: the only moment to start from in each episode: branches of simulated worlds part there.
        branches: how many branches each world has.

    Raises:
        WorldModelError: if the log's streams are not the run's, or its episodes are too short.
    """
    dt = run.settings.dt
    horizon = run.horizon_ticks(horizon_s)
    windows = run.windows(log, horizon, episodes)
    log = windows.log  # in the units of the run
    starts = windows.starts()
    if at_s is not None:
        starts = starts[starts[:, 1] == round(at_s / dt)]
    starts = starts[np.unique(np.linspace(0, len(starts) - 1, min(MAX_STARTS, len(starts))).astype(int))]
    context, future = windows.cut(starts, horizon)
    recorded, mask = at_tick(windows, future.values), at_tick(windows, future.mask, is_mask=True)
    if not log.has_truth:
        truth, truth_mask = recorded, mask
    else:
        truth, truth_mask = _truth(windows, log, starts, horizon)
    return Problem(
        name, "replay" if at_s is None else "counterfactual", log, windows, horizon, starts, context, future,
        recorded, mask, truth, truth_mask, log.has_truth, branches,
    )  # fmt: skip


def at_tick(windows: Windows, features: np.ndarray, is_mask: bool = False) -> dict[str, np.ndarray]:
    """Each stream's reading at the tick [..., S] in physical units from features [..., D]; of a mask, bool [..., S]."""
    layout, out = windows.layout, {}
    for spec in layout.readings:
        columns = layout.columns[spec.name]
        part = features[..., columns.stop - layout.features(spec) : columns.stop]
        if not is_mask:
            out[spec.name] = codec(spec).physical(part)
        else:
            out[spec.name] = codec(spec).physical_mask(part)
    return out


def _truth(windows: Windows, log: Log, starts: np.ndarray, horizon: int):
    """The noise-free readings at the ticks ahead of each start, GPS relative to the noisy fix that the model has."""
    layout = windows.layout
    used = np.unique(starts[:, 0])
    aligned = {i: align(log.episodes[windows.episodes[i]], layout, True, windows.ticks[i].origin) for i in used}
    ahead = np.arange(1, horizon + 1)
    values = np.stack([aligned[e].values[t + ahead] for e, t in starts]).astype(np.float32)
    mask = np.stack([aligned[e].mask[t + ahead] for e, t in starts])
    for spec in layout.readings:
        columns = layout.slot_columns(spec)
        fixes = np.stack([windows.last_fix(e, t, spec.name) for e, t in starts])[:, None, None]
        mask[..., columns] &= np.isfinite(fixes)
        values[..., columns] = np.where(mask[..., columns], values[..., columns] - fixes, 0)
    return at_tick(windows, values), at_tick(windows, mask, is_mask=True)
