"""A run beside a machine."""

from typing import Literal

import numpy as np

from worldmodel.imagine.actions import Given
from worldmodel.imagine.trajectory import Trajectory
from worldmodel.live.belief import Belief

Arrival = Literal["in time", "late", "dropped"]


class Live:
    """Takes a machine's readings as they come, and imagines what comes next.

        live = run.live()
        live.push("gyro", 12.31, [0.1, 0.0, 0.2])
        live.imagine({"wheels": Samples(time, data)}, horizon_s=1.0, members=16)

    Times are seconds on the machine's clock. Ticks are `dt` apart, the first at `start_s`; a tick sees what was stamped
    up to it. One thread may push while another imagines.

    Args:
        start_s: the moment of the first tick; by default the first stamp that is pushed.
        watermark_s: how far a sample may be behind the newest stamp of all streams, or of its own, and is still put in
            its place.
    """

    def push(self, stream: str, time_s: float, value: np.ndarray | float) -> Arrival:
        """Takes one sample: a reading, a frame, or a command that was given.

        Args:
            stream: its name in the run.
            time_s: when it was taken.
            value: [S] in the stream's units, NaN where a column is missing; a frame is uint8 [rows, columns, 3].

        Returns:
            `late` where a newer one was there before it. `dropped` where it is more than the watermark behind the
            newest of any stream, or its own stream has one of that very time.

        Raises:
            WorldModelError: if there is no such stream, the value does not fit it, or the stream's clock went back: the
                sample is more than the watermark behind its own stream.
        """
        raise NotImplementedError

    @property
    def belief(self) -> Belief:
        """What is known at the newest tick.

        Raises:
            WorldModelError: if nothing was pushed yet.
        """
        raise NotImplementedError

    def imagine(
        self,
        actions: Given | None = None,
        horizon_s: float | None = None,
        members: int = 16,
        *,
        seed: int = 0,
        at_s: float | None = None,
        beyond_trained: bool = False,
    ) -> Trajectory:
        """Imagines what every stream reads next; the answer is that of `run.imagine` on a log of the same samples.

        Args:
            actions: what is commanded, by action stream with times in seconds after the moment; until its first, and by
                default, what is in force holds.
            horizon_s: how far; by default as far as the run was trained.
            members: how many futures.
            seed: decides their noise.
            at_s: the moment, rounded down to a tick; by default the newest stamp. Later, where all streams are silent;
                earlier by no more than the watermark.
            beyond_trained: allow a horizon of more than twice what was trained.

        Raises:
            WorldModelError: if too little was pushed, or the moment or the actions do not fit.
        """
        raise NotImplementedError
