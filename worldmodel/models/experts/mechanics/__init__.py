"""Generalised coordinates with a mass matrix, a potential and friction, fitted on rollouts."""

from worldmodel.models.experts.mechanics.expert import LAST_STEPS, Mechanics

__all__ = ["LAST_STEPS", "Mechanics"]
