"""A run beside a machine: readings are pushed one at a time, and futures imagined of the same moment."""

from worldmodel.live.alarms import Alarms, Watch
from worldmodel.live.belief import Belief
from worldmodel.live.intake import Arrival
from worldmodel.live.live import Live

__all__ = ["Alarms", "Arrival", "Belief", "Live", "Watch"]
