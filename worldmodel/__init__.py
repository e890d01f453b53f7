"""Learn a world model from a machine's own recordings, imagine what its sensors read next, measure how far to trust it.

What most programs need:

    from worldmodel.logs import Log, LogWriter
    from worldmodel.logs.ingest import ingest
    from worldmodel.simulate import simulate
    from worldmodel.training import load_run, train
    from worldmodel.imagine import imagine
    from worldmodel.validate import validate
    from worldmodel.report import write_report
"""

from worldmodel.version import __version__

__all__ = ["__version__"]
