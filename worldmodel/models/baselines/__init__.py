"""What a world model has to beat, on the view that it has: the same frame, readings, masks and actions.

* `mean`: the average of the training data;
* `hold`: the last reading;
* `velocity`: the line through the last readings;
* `linear`: ridge regressions, one step rolled out or straight to a tick, whichever is better there;
* `dead_reckoning`: speed and turning integrated from the track so far, where a vehicle's streams tell them.
"""

from worldmodel.models.baselines.fitted import Baselines
from worldmodel.models.baselines.sensors import Named

__all__ = ["Baselines", "Named"]
