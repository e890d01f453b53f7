"""The command line, one module for each part of the road.

Heavy libraries are imported by the command that needs them, so that `--help` answers at once.
"""

# In the order in which `--help` lists their commands.
from worldmodel.cli import recordings, scenes, runs, measuring, serving  # noqa: F401, I001
from worldmodel.cli.application import app, main

__all__ = ["app", "main"]
