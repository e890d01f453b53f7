"""Logs: the HDF5 format with its reader and writer, `ingest` for recordings, alignment to ticks, and windows."""

from worldmodel.logs.inspect import plot_log, print_summary
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter

__all__ = ["Log", "LogWriter", "plot_log", "print_summary"]
