"""Drawing that several parts share: the look of every plot, member futures as a fan, frames as a film."""

from worldmodel.draw.fan import Fan, draw_fan, draw_track, draw_way, name_lines, panel_title
from worldmodel.draw.film import difference, draw_strip, film
from worldmodel.draw.html import header_of, image_of, page_of, table_of
from worldmodel.draw.style import INK, MUTED, PAGE_STYLE, WIDTH, Picture, beside_text, inline_image, new_figure, style

__all__ = [
    "Fan", "INK", "MUTED", "PAGE_STYLE", "Picture", "WIDTH", "beside_text", "difference", "draw_fan", "draw_strip",
    "draw_track", "draw_way", "film", "header_of", "image_of", "inline_image", "name_lines", "new_figure",
    "page_of", "panel_title", "style", "table_of",
]  # fmt: skip
