"""Figures on the page: each an SVG inside a data address."""

import base64
import io
import re

from worldmodel.draw import Picture, style

_FONTS = "'Inter','Segoe UI','Helvetica Neue',Arial,'Liberation Sans',sans-serif"


def data_address(picture: Picture) -> str:
    """The picture as a `data:` address, the same to the byte for the same figures."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with style():
        FigureCanvasSVG(picture.figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text = re.sub(r"<[^>]*>", _rounded, buffer.getvalue())  # not what it says: a tick at 0.0025 is no tick at 0.00
    for i, name in enumerate(dict.fromkeys(re.findall(r'id="([pm][0-9a-f]{10})"', text))):
        text = text.replace(name, f"i{i}")  # the hashes are of rounding errors that differ from run to run
    text = text.replace("'DejaVu Sans'", _FONTS)
    return "data:image/svg+xml;base64," + base64.b64encode(text.encode()).decode()


def _rounded(tag: re.Match[str]) -> str:
    """A tag whose numbers end at a hundredth of a point, which is finer than any screen."""
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", tag[0])
