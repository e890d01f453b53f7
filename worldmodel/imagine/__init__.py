"""Imagining: rolling a trained model forward from a moment of a log."""

from worldmodel.imagine.engine import Imagined, Imaginer
from worldmodel.imagine.forecaster import Forecasted, Forecaster
from worldmodel.imagine.output import imagine_to
from worldmodel.imagine.session import Session
from worldmodel.imagine.trajectory import Trajectory

__all__ = ["Forecasted", "Forecaster", "Imagined", "Imaginer", "Session", "Trajectory", "imagine_to"]
