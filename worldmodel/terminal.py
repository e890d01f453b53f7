"""Tables and sentences for a terminal of any width."""

import dataclasses
import re
import textwrap
from collections.abc import Collection, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.jupyter import JupyterMixin
from rich.progress import Progress, ProgressColumn
from rich.table import Table
from rich.text import Text

_GAP, _EDGES = 2, 2  # between columns, and both margins together
_BREAK = re.compile(r"(?<!\d) ")  # of a heading: a number stays beside its unit
_NAME, _LEAST = 18, 8  # widths of a column of words: before columns leave, and at last


def say(console: Console, text: str | Text, indent: int = 0) -> None:
    """A sentence: broken between words on a terminal, whole elsewhere, so that a file can be searched for it."""
    whole, room = Text(text) if isinstance(text, str) else text, max(console.width - indent, _NAME)
    lines = [whole.plain]
    if console.is_terminal:  # a path stays in one piece
        pieces = textwrap.TextWrapper(
            room, expand_tabs=False, replace_whitespace=False, break_long_words=False, break_on_hyphens=False
        )
        lines = pieces.wrap(whole.plain) or [""]
    end = 0
    for line in lines:
        start = whole.plain.index(line, end)
        end = start + len(line)
        console.print(Text(" " * indent) + whole[start:end], soft_wrap=True, highlight=False)


def progress_bar(*columns: ProgressColumn, show: bool) -> Progress:
    """A bar beside what a command prints: on a terminal or in a notebook, and silent where that goes into a file."""
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not (show and (console.is_terminal or console.is_jupyter)))


def counted(count: int, thing: str) -> str:
    """'1 episode', '2 episodes'."""
    return f"{count} {thing}{'s' * (count != 1)}"


def listing(names: Sequence[object], most: int = 12) -> str:
    """'a, b, c and 4 more'."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(str, names[:most])) + more


def shortened(word: str, width: int) -> str:
    """A word without its middle: names that begin alike are told apart by their ends."""
    if cell_len(word) <= width:
        return word
    end = (width - 1) // 2
    return f"{set_cell_size(word, width - 1 - end)}…{set_cell_size(word[::-1], end)[::-1]}"


@dataclasses.dataclass(frozen=True)
class Grid(JupyterMixin):
    """A table that fits where it is printed, and shows itself in a notebook: no cell is broken within a word.

    Where there is less room, first headings break between words, then columns of words do, and long words lose their
    middles; then columns leave, and a line names them, or the table goes on below.

    Attributes:
        head: of each column.
        rows: cells as they are printed, without markup; an empty row is a gap.
        words: heads of columns of words; all others hold numbers, and stand to the right, whole.
        leave: heads of columns that may leave, the first one first; what does not leave goes on below.
        where: who leaves can be seen, for the line that names them.
        title: above it. below: a sentence.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    words: Collection[str] = ()
    leave: Sequence[str] = ()
    where: str = ""
    title: str = ""
    below: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, "bold")
        everyone, here = range(len(self.head)), options.max_width - _EDGES
        leaving = [self.head.index(name) for name in self.leave]
        gone = next((n for n in range(len(leaving)) if self._fits({*everyone} - {*leaving[:n]}, here)), len(leaving))
        left = [i for i in everyone if i not in leaving[:gone]]
        for part in self._parts(left, here):
            yield self._table(part, here)
        if gone:
            names = ", ".join(self.head[i] for i in sorted(leaving[:gone]))
            yield Text(f"no room for {names}{': ' if self.where else ''}{self.where}")
        if self.below:
            yield Text(self.below)

    def _fits(self, columns: Collection[int], here: int) -> bool:
        return _taken(self._widths(sorted(columns), here, _NAME)) <= here

    def _parts(self, columns: list[int], here: int) -> list[list[int]]:
        """Columns that stand side by side, the first one in every part: as few parts as fit, and alike."""
        first, *rest = columns
        for count in range(1, len(rest) + 1):
            size = -(-len(rest) // count)
            parts = [[first, *rest[at : at + size]] for at in range(0, len(rest), size)]
            if all(self._fits(part, here) for part in parts):
                return parts
        return [[first, column] for column in rest] or [columns]

    def _widths(self, columns: Sequence[int], here: int, least: int) -> list[int]:
        """The width of each of these columns; more in all than there is room for, where `least` forbids less."""
        cells = [max((_width(row[i]) for row in self.rows if row), default=0) for i in columns]
        whole = [max(cell, cell_len(self.head[i])) for cell, i in zip(cells, columns, strict=True)]
        if _taken(whole) <= here:
            return whole
        words = [max(map(cell_len, _BREAK.split(self.head[i]))) for i in columns]
        widths = [max(pair) for pair in zip(cells, words, strict=True)]
        for k, width in enumerate(widths):  # a heading breaks only where it must
            if _taken(widths) + whole[k] - width <= here:
                widths[k] = whole[k]
        can = [k for k, i in enumerate(columns) if self.head[i] in self.words]
        while _taken(widths) > here and any(widths[k] > max(least, words[k]) for k in can):
            widths[max(can, key=lambda k: widths[k] - max(least, words[k]))] -= 1
        return widths

    def _table(self, columns: Sequence[int], here: int) -> Table:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
        widths = self._widths(columns, here, _LEAST)
        for i, width in zip(columns, widths, strict=True):
            worded = self.head[i] in self.words
            table.add_column(Text(self.head[i]), justify="left" if worded else "right", width=width, no_wrap=False)
        for row in self.rows:
            chosen = zip(columns, widths, strict=True)
            table.add_row(*(_shortened(row[i], width) for i, width in chosen) if row else ())
        return table


def _width(cell: str | Text) -> int:
    return cell_len(str(cell))


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _shortened(cell: str | Text, width: int) -> RenderableType:
    """A cell whose every word fits."""
    if isinstance(cell, Text):
        return cell
    return Text(" ".join(shortened(word, width) for word in cell.split(" ")))
