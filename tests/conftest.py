"""Fixtures that are made once for all tests."""

import os

os.environ.setdefault("WORLDMODEL_CACHE", "off")  # tests leave nothing in the user's cache folder

from tests.command_line import compiled_once, imagined, trained, validated

__all__ = ["compiled_once", "imagined", "trained", "validated"]
