"""Fits the numbers of a scene to recordings of the machine that it stands for."""
