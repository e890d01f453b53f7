"""Generalised coordinates with a mass matrix, a potential and friction, fitted on rollouts."""

from worldmodel.models.experts.mechanics.expert import Mechanics

__all__ = ["Mechanics"]
