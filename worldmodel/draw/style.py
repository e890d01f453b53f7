"""The look of every plot, and pictures that show themselves."""

import base64
import contextlib
import html
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_STYLE = Path(__file__).parent / "page.css"  # of every page that the toolkit writes
INK, MUTED, IMAGINED = "#1b2733", "#6b7785", "#0072B2"  # what came, what was seen, what is imagined
WIDTH = 10.4  # inches of a figure of several panels, as wide as the report's page
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito's
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.titlecolor": INK,
    "axes.edgecolor": "#c3ccd4",
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.limits": (-3, 5),
    "axes.prop_cycle": f"cycler('color', {list(_COLOURS)})",
    "grid.color": "#e6eaee",
    "grid.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name or a unit is a dollar
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "xtick.major.pad": 6,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",  # the page's fonts, and text that can be read by machines
    "svg.hashsalt": "worldmodel",
}
_SMALL_DPI = 45  # a picture beside a few lines of text


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The plots' style, for figures made in the block."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure, inches wide and high. It is not pyplot's, which would change a notebook's back end."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


class Picture:
    """A drawn figure. A notebook shows it, a terminal says what it is, `save` writes it.

    Attributes:
        figure: matplotlib's, to change or add to.
    """

    def __init__(self, figure: "Figure", title: str) -> None:
        self.figure, self.title = figure, title

    def save(self, path: Path | str, dpi: int = 110) -> Path:
        """Writes it in the format that the path's ending names, such as .png, .svg or .pdf."""
        self.figure.savefig(path, dpi=dpi)
        return Path(path)

    def png(self, dpi: int = 65) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=dpi)
        return buffer.getvalue()

    def address(self, dpi: int = 110) -> str:
        """It as a PNG inside a `data:` address, so that a page that shows it needs no file."""
        return "data:image/png;base64," + base64.b64encode(self.png(dpi)).decode()

    def _repr_png_(self) -> bytes:
        return self.png()

    def __repr__(self) -> str:
        width, height = self.figure.get_size_inches()
        return f"<Picture of {self.title}, {width:g} x {height:g} inches: .save('name.png') writes it>"


def beside_text(text: str, picture: Picture) -> str:
    """HTML of an object's few lines with a small picture below them, for notebooks."""
    return f"<pre>{html.escape(text)}</pre>{inline_image(picture)}"


def inline_image(picture: Picture) -> str:
    """HTML of a small picture that needs no file."""
    return f'<img alt="{html.escape(picture.title)}" src="{picture.address(_SMALL_DPI)}">'
