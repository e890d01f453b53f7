"""What a server does, whatever it is reached by."""

import asyncio
import dataclasses
import math
from collections.abc import Callable
from typing import Any

from worldmodel.foreteller import Foreteller
from worldmodel.live import Live, Watch
from worldmodel.serve.batcher import Batcher
from worldmodel.serve.engine import engine_of
from worldmodel.serve.limits import Limits
from worldmodel.serve.measured import Measured
from worldmodel.serve.question import Asked, Question, question_in, question_of
from worldmodel.serve.sessions import Sessions
from worldmodel.serve.wire import asked_of, samples_of, trajectory_message
from worldmodel.types import Samples
from worldmodel.version import __version__


class Service:
    """A run or a scene that many clients ask; each method takes and gives a message."""

    def __init__(self, run: Foreteller, limits: Limits, watch: Watch | None = None) -> None:
        self.run, self.limits, self.measured = run, limits, Measured()
        self.sessions = Sessions(run, limits, watch=watch)
        self.engine = engine_of(run)
        together = dataclasses.replace(limits, batch=min(limits.batch, self.engine.together))
        self.batcher = Batcher(self.engine, together, self.measured.batch.observe)
        self.measured.sessions.set_function(lambda: len(self.sessions))
        self.measured.waiting.set_function(lambda: self.batcher.waiting)

    def about(self) -> dict[str, Any]:
        """Who is asked: streams, ticks, limits, and what is to be known of the answers."""
        layout = self.run.layout
        streams = [
            {"name": s.name, "kind": s.kind, "columns": list(s.columns), "units": list(s.units), "rate_hz": s.rate_hz}
            for s in layout.streams
        ]
        return {
            "version": __version__,
            "kind": self.run.name,
            "tick_s": layout.dt,
            "context_s": self.run.context * layout.dt,
            "horizon_s": self.run.horizon_ticks(None) * layout.dt,
            "streams": streams,
            "limits": vars(self.limits),
            "notes": list(self.run.notes),
        }

    async def imagine(self, message: dict[str, Any]) -> dict[str, Any]:
        """Imagines after the samples that the message holds."""
        layout = self.run.layout
        asked = asked_of(message, layout.actions, also=("streams",))
        given = samples_of(message.get("streams"), layout.streams, "streams")
        return await self._answered(question_of, given, asked)

    async def push(self, session: Live, message: dict[str, Any]) -> dict[str, Any]:
        """Takes samples for a session, in the order of their times; of a mistake in one those before it are kept."""
        given = samples_of(message.get("streams"), self.run.layout.streams, "streams")
        await asyncio.to_thread(_push, session, given)
        return self.held(session)

    async def imagine_in(self, session: Live, message: dict[str, Any]) -> dict[str, Any]:
        """Imagines after the samples that a session holds."""
        return await self._answered(question_in, session, asked_of(message, self.run.layout.actions))

    async def alarms(self, session: Live, since_s: float | None) -> list[dict[str, Any]]:
        """Those of each tick of a session after a moment; by default of the newest."""
        found = await asyncio.to_thread(session.alarms_since, math.inf if since_s is None else since_s)
        return [alarms.told() for alarms in found]

    @staticmethod
    def held(session: Live) -> dict[str, Any]:
        """What a session knows: its tick, how old each stream's newest sample is, what came late, what was dropped."""
        belief = session.belief
        ages = {name: float(age) if math.isfinite(age) else None for name, age in belief.age_s.items()}
        late, dropped = ({name: int(count) for name, count in x.items()} for x in (belief.late, belief.dropped))
        return {
            "at_s": float(belief.at_s), "ready": bool(belief.ready), "age_s": ages, "late": late, "dropped": dropped,
        }  # fmt: skip

    async def _answered(self, make: Callable[..., Question], given: Any, asked: Asked) -> dict[str, Any]:
        ready = await asyncio.to_thread(make, self.run, given, asked, self.limits)
        return trajectory_message(await self.batcher.ask(ready))


def _push(session: Live, given: dict[str, Samples]) -> None:
    samples = (
        (time, name, row) for name, s in given.items() for time, row in zip(s.time.tolist(), s.data, strict=True)
    )
    for time, name, row in sorted(samples, key=lambda sample: sample[0]):
        session.push(name, time, row)
