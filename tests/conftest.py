"""Fixtures that are made once for all tests."""

from tests.command_line import compiled_once, imagined, trained, validated

__all__ = ["compiled_once", "imagined", "trained", "validated"]
