"""Where futures begin, and which way: as surely as that is known of a machine whose place is followed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from worldmodel.codecs import codec
from worldmodel.imagine.forecaster import Forecasted
from worldmodel.logs.align import TickLayout
from worldmodel.logs.followed import Beginning
from worldmodel.logs.windows import Context


def begun(
    layout: TickLayout, context: Context, begins: Sequence[Beginning], foreseen: Forecasted, seed: int
) -> Forecasted:
    """What is foreseen of B windows, as machines stand there, and from where they may be.

    A machine that stands is seen with north up: no track tells which way it points. Odometry may, and each member is
    turned that way, as far apart as that is unsure, and moved by as much as its place is. The mean is that over turns.
    """
    clean, read = foreseen.clean, foreseen.read
    if not any(each.unsure or each.noses for each in begins):
        return foreseen
    clean, read = np.array(clean), np.array(read)
    noses = any(each.noses for each in begins)
    seen = np.asarray(layout.frames.angle(context.values, context.mask)) if noses else np.zeros((len(read), 0))
    for row, each in enumerate(begins):
        if each.noses:
            turn, turned = _turns(layout, seen[row], each, read.shape[1], [seed, row]), layout.frames.readings.turn
            read[row] = turned(read[row], turn)
            clean[row] = turned(np.repeat(clean[row][None], len(turn), 0), turn).mean(0)
        for name, deviation in each.unsure.items():
            spec = layout.spec(name)
            columns = layout.slot_columns(spec)[:, codec(spec).turning.place]
            # receivers of one machine are off together: one path carries both
            offset = np.random.default_rng([seed, row, 0x0FF]).normal(0, deviation, (read.shape[1], columns.shape[1]))
            read[row][..., columns] += offset[:, None, None]
    return foreseen._replace(clean=clean, read=read)


def _turns(
    layout: TickLayout, seen: Float[np.ndarray, " G"], begins: Beginning, count: int, key: Sequence[int]
) -> Float[np.ndarray, "K G"]:
    """By how much the members of a window are turned, which was seen at angles `seen`, in each world frame."""
    turn = np.zeros((count, len(seen)))
    for stream, (nose, off) in begins.noses.items():
        frame = layout.frames.names.index(codec(layout.spec(stream)).world_frame)
        apart = np.random.default_rng([*key, frame, 0xA1]).normal(0, 1, count)
        turn[:, frame] = nose - seen[frame] + off * apart
    return turn
