"""The look of every plot, and its way onto the page as an SVG inside a data address."""

import base64
import contextlib
import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodel.validate.labels import INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 10.4  # inches, as wide as the page
_GRID = "#e6eaee"
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
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,  # a name may hold a dollar sign
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "xtick.major.pad": 6,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",  # the page's fonts, and text that can be read by machines
    "svg.hashsalt": "worldmodel",
}
_FONTS = "'Inter','Segoe UI','Helvetica Neue',Arial,'Liberation Sans',sans-serif"


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The plots' style, for figures made and encoded in the block."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def encode(figure: "Figure") -> str:
    """The figure as a `data:` address."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = re.sub(r"(\d+\.\d\d)\d+", r"\1", buffer.getvalue())  # a hundredth of a point is finer than any screen
    for i, name in enumerate(dict.fromkeys(re.findall(r'id="([pm][0-9a-f]{10})"', text))):
        text = text.replace(name, f"i{i}")  # the hashes are of rounding errors that differ from run to run
    text = text.replace("'DejaVu Sans'", _FONTS)
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def plain(axes: "Axes", horizons: np.ndarray, few: bool) -> None:
    """A logarithmic axis of horizons [H] in seconds with plain numbers."""
    low, high = float(np.min(horizons)), float(np.max(horizons))
    axes.set_xscale("log")
    axes.set_xlim(low / 1.08, high * 1.08)
    steps = (1,) if few and high / low > 30 else (1, 2, 5)
    ticks = [step * 10.0**power for power in range(-6, 6) for step in steps]
    shown = [tick for tick in ticks if low / 1.01 <= tick <= high * 1.01] or [low]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_xticks([], minor=True)
