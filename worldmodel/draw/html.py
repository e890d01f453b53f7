"""What the toolkit's pages share: one HTML file that needs nothing else, its header, its tables."""

from collections.abc import Mapping, Sequence
from html import escape

from worldmodel.draw.style import PAGE_STYLE, Picture


def page_of(title: str, header: str, parts: Sequence[tuple[str, str, str]]) -> str:
    """A whole page of sections (anchor, title, HTML), of which empty ones are left out."""
    there = [part for part in parts if part[2]]
    links = "".join(f'<a href="#{anchor}">{name}</a>' for anchor, name, _ in there)
    sections = "".join(f'<section id="{anchor}"><h2>{name}</h2>{body}</section>' for anchor, name, body in there)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{PAGE_STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f"{header}<nav>{links}</nav><main>{sections}</main></body></html>\n"
    )


def header_of(eyebrow: str, name: str, verdict: str, facts: Mapping[str, str]) -> str:
    """The dark top of a page: what it is of, in a line what was found, and facts."""
    listing = "".join(f"<div><dt>{key}</dt><dd>{escape(value)}</dd></div>" for key, value in facts.items())
    return (
        f'<header><div class="inner"><p class="eyebrow">{escape(eyebrow)}</p><h1>{escape(name)}</h1>'
        f'<p class="kind">{escape(verdict)}</p><dl>{listing}</dl></div></header>'
    )


def table_of(rows: Sequence[Sequence[str]]) -> str:
    """A table whose first row is its head."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[1:])
    return f'<div class="scroll"><table class="board"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def image_of(picture: Picture | None) -> str:
    """A picture as wide as the page; nothing of none."""
    if picture is None:
        return ""
    return f'<div class="scroll"><img class="plot" src="{picture.address()}" alt="{escape(picture.title)}"></div>'
