"""Drawing that several parts share: the look of every plot, member futures as a fan, frames as a film."""

from worldmodel.draw.fan import Fan, draw_fan, draw_track
from worldmodel.draw.film import difference, draw_strip, film
from worldmodel.draw.style import IMAGINED, INK, MUTED, Picture, new_figure, style

__all__ = [
    "Fan", "IMAGINED", "INK", "MUTED", "Picture", "difference", "draw_fan", "draw_strip", "draw_track", "film",
    "new_figure", "style",
]  # fmt: skip
