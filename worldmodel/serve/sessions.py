"""Machines that push: each has a `Live` of the run, whose memory is of a fixed size."""

import secrets
import time
from collections.abc import Callable

from worldmodel.foreteller import Foreteller
from worldmodel.live import Live, Watch
from worldmodel.serve.limits import Limits


class FullError(Exception):
    """There are as many sessions as there may be."""


class UnknownSessionError(Exception):
    """There is no such session, or it was forgotten."""


class Sessions:
    """All of them; one that says nothing for a while is forgotten.

    Args:
        run: what they are asked of.
        limits: how many, how long.
        clock: seconds.
        watch: what tells their alarms; None for no alarms.
    """

    def __init__(
        self,
        run: Foreteller,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        watch: Watch | None = None,
    ) -> None:
        self._run, self._limits, self._clock, self._watch = run, limits, clock, watch
        self._open: dict[str, tuple[float, Live]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self) -> str:
        """Begins one; returns its name, which cannot be guessed.

        Raises:
            FullError: if there are as many as there may be.
        """
        self._forget()
        if len(self._open) >= self._limits.sessions:
            raise FullError
        name = secrets.token_urlsafe(16)
        self._open[name] = self._clock(), self._run.live(watch=self._watch)
        return name

    def get(self, name: str) -> Live:
        """The session, which is then not idle.

        Raises:
            UnknownSessionError: if there is none of that name.
        """
        self._forget()
        if name not in self._open:
            raise UnknownSessionError
        _, session = self._open[name]
        self._open[name] = self._clock(), session
        return session

    def close(self, name: str) -> None:
        """Forgets one."""
        self.get(name)
        del self._open[name]

    def _forget(self) -> None:
        oldest = self._clock() - self._limits.idle_s
        self._open = {name: each for name, each in self._open.items() if each[0] >= oldest}
