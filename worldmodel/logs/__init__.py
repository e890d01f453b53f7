"""Logs: the HDF5 format with its reader and writer, `ingest` for recordings, alignment to ticks, and windows."""

from worldmodel.logs.dataset import Window, WindowDataset
from worldmodel.logs.inspect import print_summary
from worldmodel.logs.plot import plot_log
from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter

__all__ = ["Log", "LogWriter", "Window", "WindowDataset", "plot_log", "print_summary"]
