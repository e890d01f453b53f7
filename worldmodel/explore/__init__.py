"""Asking a run: one front end, as a page and as a widget of notebooks."""

from worldmodel.explore.explorer import Explorer

__all__ = ["Explorer"]
