"""What an expert is: the view of a window in, readings ahead out, nothing of what it does not know."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from worldmodel.models.baselines.view import View


@runtime_checkable
class Expert(Protocol):
    """Predicts some of the readings, in the frame of the machine and normalised (`worldmodel.models.baselines.view`).

    `name` is what tables call it. An expert is asked with contexts of any length: inside a context, to be measured
    there, with a short one.
    """

    @property
    def name(self) -> str: ...

    def predict(self, view: View) -> Float[np.ndarray, "B H Y"]:
        """Normalised readings at the ticks ahead; NaN in the columns that it says nothing of."""
