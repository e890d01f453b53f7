"""What a training shows: what it is doing, a bar with its rate and the time that is left."""

from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from worldmodel.terminal import say

_WHOLE = 1000  # of the bar


class _Words(TextColumn):
    """Gives way where the line is too long, and loses its end, so that the bar and the times stay."""

    def __init__(self, text: str) -> None:
        super().__init__(text, table_column=Column(no_wrap=False))

    def render(self, task: Task) -> Text:
        words = super().render(task)
        words.no_wrap, words.overflow = True, "ellipsis"
        return words


class TrainingProgress:
    """Lines for what is prepared, then a bar over the training's budget."""

    def __init__(self, show: bool) -> None:
        self._console = Console(quiet=not show)
        columns = (
            _Words("{task.description}"), BarColumn(20), TextColumn("{task.percentage:.0f} %"),
            TimeElapsedColumn(), TimeRemainingColumn(), _Words("{task.fields[rate]}"),
        )  # fmt: skip
        self._bar = Progress(*columns, console=self._console, disable=not show)
        self._task = self._bar.add_task("training", total=_WHOLE, rate="")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """A line above the bar."""
        say(self._console, text)

    def doing(self, what: str) -> None:
        """What comes next, which takes a while; a file, which shows no bar, gets a line."""
        if not self._console.is_terminal:
            self.say(what)
        self._bar.start()
        self._bar.update(self._task, description=what)

    def trained(self, share: float, what: str) -> None:
        """How much of the training is done, and what there is to say of it."""
        self._bar.start()
        self._bar.update(self._task, completed=share * _WHOLE, description="training", rate=what)
