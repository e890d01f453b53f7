"""HDF5 logs: the format, its reader and writer, alignment to ticks, and windows."""
