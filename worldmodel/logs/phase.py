"""The ticks that suit a log: how far apart they are, and where between its samples."""

import dataclasses

import numpy as np
from jaxtyping import Float

from worldmodel.arrays import evenly
from worldmodel.logs.align import ROUNDING_S, TickLayout, default_dt
from worldmodel.logs.reader import Log

_SHARES = (0, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)  # of a slot, that ticks may be later
_NOTICED = 0.01  # of the slots: for less it does not pay that readings are older at their ticks
_EPISODES, _STAMPS = 64, 1 << 16  # that are looked at


def layout_of(log: Log, dt: float | None = None) -> TickLayout:
    """All streams of a log on ticks that suit it.

    The first tick is with the first sample, unless fewer slots are empty otherwise: who stamps every tick with a little
    jitter writes samples before and after its end, so that one has none and the next has two.

    Args:
        log: it.
        dt: seconds from tick to tick; by default what suits the streams' rates.
    """
    streams = tuple(log.streams.values())
    layout = TickLayout(default_dt(streams) if dt is None else dt, streams)
    read = [spec for spec in streams if spec.kind != "action" and layout.interval(spec) == 1]
    if not read:
        return layout
    slots_s = [layout.dt / layout.slots(spec) for spec in read]
    phases_s = np.unique(np.outer(slots_s, _SHARES))
    counts = np.zeros((2, len(read), len(phases_s)))
    for place in evenly(len(log.episodes), min(len(log.episodes), _EPISODES)):
        recorded = log.episodes[int(place)].streams
        for i, (spec, slot_s) in enumerate(zip(read, slots_s, strict=True)):
            counts[:, i] += _filled(recorded[spec.name].time[:_STAMPS], slot_s, phases_s)
    filled, slots = counts
    empty = 1 - (filled / np.maximum(slots, 1)).mean(0)
    return dataclasses.replace(layout, phase_s=float(phases_s[np.argmax(empty <= empty.min() + _NOTICED)]))


def _filled(
    time: Float[np.ndarray, " M"], slot_s: float, phases_s: Float[np.ndarray, " P"]
) -> Float[np.ndarray, "2 P"]:
    """How many slots have a sample, and how many there are from the first of these to the last, by phase."""
    if not len(time):
        return np.zeros((2, len(phases_s)))
    slot = np.ceil((time - phases_s[:, None] - ROUNDING_S) / slot_s)
    return np.stack([1 + (np.diff(slot) > 0).sum(1), 1 + slot[:, -1] - slot[:, 0]])
