"""What is known of a machine at a tick."""

import dataclasses

import numpy as np

from worldmodel.logs.windows import Context


@dataclasses.dataclass(frozen=True)
class Belief:
    """What was pushed, as a model sees it at a tick.

    Attributes:
        at_s: the tick, in seconds on the machine's clock: the first that sees all that was pushed.
        ready: whether there are as many ticks as the model looks back; `imagine` waits for that.
        context: what models see, of one window: the very one that a log of the same samples would give.
        readings: by stream the newest sample, as pushed, and of a column that it is silent on, where it is older than
            the context, what that read before; streams without one are missing.
        age_s: by stream, seconds from that sample to the tick; infinite where there is none. It grows while a stream
            is silent.
        late: by stream, how many samples came after newer ones and were put in their place.
        dropped: by stream, how many came too late for that, or twice.
    """

    at_s: float
    ready: bool
    context: Context
    readings: dict[str, np.ndarray]
    age_s: dict[str, float]
    late: dict[str, int]
    dropped: dict[str, int]
