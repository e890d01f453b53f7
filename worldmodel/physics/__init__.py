"""A scene as a predictor: MuJoCo from the best estimate of the state, with members as sure as its numbers and state."""

from worldmodel.physics.known import KnownScene
from worldmodel.physics.spread import Spread

__all__ = ["KnownScene", "Spread"]
