"""Windows of a log as a random-access dataset, for models of your own: physical columns, by stream, with masks.

    data = wm.Log("train.h5").windows(context_s=1.6, horizon_s=3.0)
    window = data[0]              # what was seen and what came, at one moment of one episode
    window.past["gyro"]           # [C, P] readings at the ticks; data.columns["gyro"] names the columns
    data.arrays([0, 5, 9])        # the same with a batch axis in front

PyTorch takes it as it is, since a map-style dataset is what has a length and items; its loader stacks the windows:

    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
    for batch in loader:
        loss = my_model(batch.past["gyro"], batch.actions).sub(batch.future["gyro"]).square().mean()

So does Grain, whose random-access sources have the same two methods:

    batches = grain.MapDataset.source(data).shuffle(seed=0).batch(32)
    batches[0].past["gyro"]       # [32, C, P]
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from worldmodel.errors import WorldModelError
from worldmodel.logs.align import TickLayout
from worldmodel.logs.phase import layout_of
from worldmodel.logs.physical import Columns, actions_by_stream, by_stream, mask_by_stream, physical_columns
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Starts, Windows
from worldmodel.types import Commands


class Window(NamedTuple):
    """One window: C ticks up to a moment and H ticks after it. `WindowDataset.arrays` puts B windows in front.

    Attributes:
        past: by stream float32 [C, P], the reading at each tick in physical columns; 0 where the mask is False.
            Positions (of GPS east, north, up in m) are from the past's last one. Video is uint8 [C, rows, columns, 3].
        past_mask: by stream bool [C, P]; of video bool [C].
        actions_past, actions_past_mask: float32 and bool [C - 1, A], what led from each tick of the past to the next;
            before the first command the mask is False.
        actions, actions_mask: [H, A]; the first one leaves the moment.
        future, future_mask: as `past` and `past_mask` for ticks 1 ... H after the moment.
        episode: the episode's index in the log.
        at_s: the moment, seconds in the episode.
    """

    past: dict[str, np.ndarray]
    past_mask: dict[str, np.ndarray]
    actions_past: np.ndarray
    actions_past_mask: np.ndarray
    actions: np.ndarray
    actions_mask: np.ndarray
    future: dict[str, np.ndarray]
    future_mask: dict[str, np.ndarray]
    episode: np.ndarray
    at_s: np.ndarray


@dataclasses.dataclass(frozen=True, repr=False)
class WindowDataset:
    """Every window of a log whose past and future lie within an episode, episode after episode, a tick apart.

    Attributes:
        windows: the aligned episodes.
        starts: like int [N, 2], for each window the episode (among those chosen) and the tick.
        columns: by stream what its physical columns are called, their units, and which are angles that wrap.
        action_columns: the names of the A action columns, as `stream.column`.
    """

    windows: Windows
    starts: Starts
    columns: dict[str, Columns]
    action_columns: tuple[str, ...]

    @classmethod
    def of(
        cls, log: Log, *, context_s: float, horizon_s: float, dt: float | None = None, episodes: Sequence[int] | None
    ) -> "WindowDataset":
        """See `Log.windows`.

        Raises:
            WorldModelError: if a span is not positive, or no episode is long enough.
        """
        for name, value in (("dt", dt), ("context_s", context_s), ("horizon_s", horizon_s)):
            if value is not None and not 0 < value < float("inf"):
                raise WorldModelError(f"{name} must be positive and finite.", found=f"{value} s")
        layout = layout_of(log, dt)
        context, horizon = (max(round(span_s / layout.dt), 1) for span_s in (context_s, horizon_s))
        windows = Windows.of(log, layout, context, horizon, episodes)
        columns = {spec.name: physical_columns(spec) for spec in windows.layout.readings}
        actions = tuple(f"{spec.name}.{column}" for spec in windows.layout.actions for column in spec.columns)
        return cls(windows, windows.starts(), columns, actions)

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Window:
        if not -len(self) <= index < len(self):
            raise IndexError(f"window {index} of a dataset with {len(self)}")
        return Window(*(_first(part) for part in self.arrays([index])))

    def arrays(self, indices: Sequence[int] | np.ndarray) -> Window:
        """Several windows at once, with a batch axis in front of every array."""
        windows, starts = self.windows, self.starts[np.asarray(indices)]
        context, future = windows.cut(starts, windows.horizon)
        past, past_mask = _readings(windows.layout, context.values, context.mask)
        coming, coming_mask = _readings(windows.layout, future.values, future.mask)
        before, ahead = (_commands(windows.layout, part.actions) for part in (context, future))
        for video, spec in enumerate(windows.layout.videos):
            seen, came = np.arange(1 - windows.context, 1), np.arange(1, windows.horizon + 1)
            past[spec.name], past_mask[spec.name] = _frames(windows, starts, video, seen)
            coming[spec.name], coming_mask[spec.name] = _frames(windows, starts, video, came)
        return Window(
            past, past_mask, *before, *ahead, coming, coming_mask,
            np.asarray(windows.episodes)[starts[:, 0]], windows.layout.time_s(starts[:, 1]),
        )  # fmt: skip

    def __repr__(self) -> str:
        windows, dt = self.windows, self.windows.layout.dt
        lines = [
            f"<WindowDataset: {len(self)} windows, {windows.context * dt:.2f} s and {windows.horizon * dt:.2f} s, "
            f"a tick is {dt:g} s"
        ]
        for name, (labels, units, _) in self.columns.items():
            named = (f"{label} [{unit}]" if unit else label for label, unit in zip(labels, units, strict=True))
            lines.append(f"{name}: {', '.join(named)}")
        lines.append(f"actions: {', '.join(self.action_columns)}")
        return "\n  ".join(lines) + ">"


def _first(part):
    return {name: value[0] for name, value in part.items()} if isinstance(part, dict) else part[0]


def _commands(layout: TickLayout, actions: Commands) -> tuple[np.ndarray, np.ndarray]:
    """Physical values and mask [B, T, A] of the actions of a context or a future, all streams side by side."""
    values, masks = actions_by_stream(layout, actions)
    none = np.zeros((*actions.values.shape[:2], 0), bool)  # a log without actions has A = 0
    both = ([none, *part.values()] for part in (values, masks))
    given, known = (np.concatenate(part, -1) for part in both)
    return given.astype(np.float32), known


def _readings(layout: TickLayout, values: np.ndarray, mask: np.ndarray):
    """Features and mask [B, T, D] as each stream's reading at the tick [B, T, P] in physical columns, and its mask."""
    masks = mask_by_stream(layout, mask)
    readings = by_stream(layout, values, masks)
    return {name: reading.astype(np.float32) for name, reading in readings.items()}, masks


def _frames(windows: Windows, starts: np.ndarray, video: int, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 [B, T, rows, columns, 3] at ticks relative to each start, and whether there is one [B, T]."""
    index = windows.ticks.spans(starts, int(offsets[0]), len(offsets)).frames[..., video]
    return windows.frames(video, starts, index)
