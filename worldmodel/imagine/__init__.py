"""Imagining: rolling a trained model forward from a moment of a log."""

from worldmodel.imagine.engine import Imaginer
from worldmodel.imagine.output import imagine_to
from worldmodel.imagine.trajectory import Trajectory, imagine
from worldmodel.training.run import load_run

__all__ = ["Imaginer", "Trajectory", "imagine", "imagine_to", "load_run"]
