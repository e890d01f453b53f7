"""How long fitting may take: what would take longer is left out, kept in mind, and said."""

import time
from collections.abc import Callable, Iterator


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

    def most(self, wanted: int, least: int, a_second: float, what: str) -> int:
        """How many of something: as `wanted` if there is time for so many `a_second`, of which a slow core is sure."""
        affordable = self.left * a_second
        if wanted <= max(affordable, least):
            return wanted
        self.leave_out(what)
        return max(int(affordable), least)

    def turns(self, count: int) -> Iterator["Allowance"]:
        """So many parts, each an even share of what is left when it is asked for."""
        return (self.part(self.left / left) for left in range(count, 0, -1))

    def leave_out(self, what: str) -> None:
        """There is no time for it."""
        if what not in self.cut:
            self.cut.append(what)
            self.say(f"no time left for {what}")


UNLIMITED = Allowance()
