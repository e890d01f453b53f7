"""A compact state space: few readings, hidden states, a linear part and a small nonlinearity; fitted on rollouts."""

from worldmodel.models.experts.state_space.expert import StateSpace

__all__ = ["StateSpace"]
