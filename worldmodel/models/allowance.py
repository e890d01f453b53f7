"""How long fitting may take: what would take longer is left out, kept in mind, and said."""

import time
from collections.abc import Callable


class Allowance:
    """Wall clock that all that is fitted shares.

    What ends by it depends on the machine and on how busy that is, so nothing does in silence.

    Args:
        seconds: from now on.
        say: is told what is being done, and what is left out.
    """

    def __init__(self, seconds: float = float("inf"), say: Callable[[str], None] = lambda _: None) -> None:
        self.say = say
        self.cut: list[str] = []
        self._since, self._seconds = time.monotonic(), seconds

    @property
    def spent(self) -> float:
        """Seconds until now."""
        return time.monotonic() - self._since

    @property
    def left(self) -> float:
        """Seconds from now on; 0 at its end."""
        return max(self._seconds - self.spent, 0.0)

    @property
    def is_over(self) -> bool:
        """Whether nothing more should be begun."""
        return self.left == 0

    def part(self, seconds: float) -> "Allowance":
        """So many of the seconds that are left; what is left out there is left out here."""
        part = Allowance(min(seconds, self.left), self.say)
        part.cut = self.cut
        return part

    def leave_out(self, what: str) -> None:
        """There is no time for it."""
        if what not in self.cut:
            self.cut.append(what)
            self.say(f"no time left for {what}")


UNLIMITED = Allowance()
