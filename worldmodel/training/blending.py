"""The network joins the experts of a run, and all are weighed."""

import numpy as np

from worldmodel.imagine.forecaster import network_ahead
from worldmodel.logs.windows import Starts, Windows
from worldmodel.models.experts.left_out import LeftOut
from worldmodel.models.experts.team import Team
from worldmodel.models.world_model import WorldModel

_WINDOWS = 256  # of the select episodes that the network is asked for at most


def joined_by_network(
    team: Team, left_out: LeftOut, select: Windows, network: WorldModel, *, apart: bool, learned: bool
) -> Team:
    """The experts with the network, by its errors on the select episodes.

    Args:
        team: without it.
        left_out: what they were weighed by.
        select: windows of the select episodes.
        network: trained.
        apart: whether these are those of `left_out`, so that all can be compared column by column.
        learned: whether it learned from them.
    """
    starts = left_out.starts if apart else _some(select.starts())
    context, future = select.cut(starts, select.horizon)
    ahead = network_ahead(network, team.lens, context, future.actions)
    if apart:
        return team.reweighed(left_out, ahead)
    seen = team.lens.seen(context, future)
    held = np.repeat(seen.view.held[:, -1:], select.horizon, 1)
    groups = 0 if learned else len(np.unique(starts[:, 0]))
    return team.with_network(seen.squared_errors(ahead), seen.squared_errors(held), groups)


def _some(starts: Starts) -> np.ndarray:
    return starts[np.unique(np.linspace(0, len(starts) - 1, _WINDOWS).astype(int))]
