"""What one server, one session and one request may take."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds that keep a server alive whatever its clients do. What a session keeps is bounded by the run itself.

    Attributes:
        body_bytes: of a request or a message.
        body_s: seconds that a body may take to arrive.
        answer_s: seconds that a request may wait for its answer.
        members: futures of a request.
        waiting: requests that wait for the model; more are told to come again.
        batch: windows that are imagined at once.
        ticks: of a horizon, where nothing was trained that bounds it.
        sessions: machines at a time.
        idle_s: seconds after which a session that says nothing is forgotten.
    """

    body_bytes: int = 16 << 20
    body_s: float = 10.0
    answer_s: float = 60.0
    members: int = 64
    waiting: int = 256
    batch: int = 16
    ticks: int = 256
    sessions: int = 64
    idle_s: float = 300.0
