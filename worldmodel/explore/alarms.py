"""Alarms of a moment that is looked at. What is usual is learned beside, while the page is in use already."""

import threading
from collections.abc import Callable
from typing import Any

from worldmodel.errors import WorldModelError
from worldmodel.imagine.session import Session
from worldmodel.live import Watch
from worldmodel.logs.reader import Log


class Watching:
    """A watch in the making.

    Args:
        make: learns what is usual; it is called once, in a thread of its own, when alarms are asked for.
    """

    def __init__(self, make: Callable[[], Watch]) -> None:
        self._make, self._note = make, "learning what is usual …"
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._learn, daemon=True)

    def _learn(self) -> None:
        try:
            self._watch = self._make()
        except WorldModelError as error:
            self._note = str(error)

    @property
    def watch(self) -> Watch | None:
        """None while it learns, and where it cannot."""
        if self._thread.ident is None:
            self._thread.start()
        return self._watch

    @property
    def learning(self) -> bool:
        return self._thread.is_alive()

    def of_moment(self, session: Session, log: Log, episode: int, at_s: float) -> dict[str, Any]:
        """What is told of a moment of a log, or that it is not known yet."""
        watch = self.watch
        if watch is None:
            return {"learning": self.learning, "note": self._note}
        window = session.recent(log, episode=episode, at_s=at_s, look=watch.look)
        return {"learning": False, **watch.judge(at_s, *window).told()}
