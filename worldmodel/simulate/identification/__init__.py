"""Fits the numbers of a scene to recordings of the machine that it stands for."""

from worldmodel.simulate.identification.identify import Found, Identified, identify
from worldmodel.simulate.identification.page import error_rows, number_rows
from worldmodel.simulate.identification.parameters import GROUPS

__all__ = ["GROUPS", "Found", "Identified", "error_rows", "identify", "number_rows"]
