"""Who leaves the track over a long run has no say there, and as much as before near by."""

import numpy as np
import pytest

from tests.oscillator import write_log
from worldmodel.logs.align import TickLayout
from worldmodel.logs.reader import Log
from worldmodel.logs.windows import Windows
from worldmodel.models.baselines import Baselines
from worldmodel.models.experts.closed import closed
from worldmodel.models.experts.left_out import ask, measured
from worldmodel.models.experts.long_run import long_run
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.team import Team
from worldmodel.training.data import measure_scaling

C, H = 16, 10


def cut(windows, starts, horizon):
    """Contexts, and the actions that follow them."""
    context, future = windows.cut(starts, horizon)
    return context, future.actions


class Drifts:
    """Exact at first, and farther off with the square of the time."""

    name = "drifts"

    def predict(self, view):
        return np.repeat(view.held[:, -1:], view.horizon, 1) + (np.arange(view.horizon)[:, None] / (4 * H)) ** 2


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    log = Log(write_log(tmp_path_factory.mktemp("long") / "log.h5", episodes=2, seconds=8.0))
    return Windows.of(log, TickLayout(0.05, tuple(log.streams.values())), C, H).without_video()


def test_who_drifts_is_not_asked_far_ahead(windows):
    baselines = Baselines.fit(windows, measure_scaling(windows, 0), 0)
    lens, experts = baselines.lens, (*closed(baselines, ("mean",)), Drifts())
    far = long_run(experts, lens, windows)
    assert far.shape == (2, len(lens.centre))
    assert (far[1] > 2 * far[0]).all()
    starts = np.asarray(windows.starts())[::20]
    left_out = measured(experts, lens, windows, starts, starts[:, 0])
    left_out = left_out._replace(ahead=np.stack([left_out.ahead[0], left_out.came + 0.01]))  # near by it is good
    team = Team.of(lens, experts, C, H, left_out, Reach.over(lens, [windows]), far)
    ahead = np.zeros((2, 1, 4 * H, len(lens.centre)))
    _, _, weights = team.blend.mix(ahead, left_out.within[:, :1])
    told = np.isfinite(team.blend.usual).all((0, 1))
    assert told.sum() > 2
    assert (weights[1, 0, : 2 * H, told] > 0.99).all()
    assert (weights[1, 0, 2 * H :, told] < 0.2).all()


def test_who_leaves_what_was_ever_read_is_not_asked_far_ahead_however_good_it_was(windows):
    baselines = Baselines.fit(windows, measure_scaling(windows, 0), 0)
    lens, experts = baselines.lens, (*closed(baselines, ("mean",)), Drifts())
    starts = np.asarray(windows.starts())[::20]
    left_out = measured(experts, lens, windows, starts, starts[:, 0])
    left_out = left_out._replace(ahead=np.stack([left_out.ahead[0], left_out.came + 0.01]))
    team = Team.of(lens, experts, C, H, left_out, Reach.over(lens, [windows]))
    asked = team.asked(*cut(windows, starts[:1], 4 * H))
    said = ask(experts, lens, asked)
    lost = said.ahead.copy()
    lost[1, 0, 3 * H] += 50.0  # for one tick
    kept, gone = (
        team.blended(asked.view, said._replace(ahead=x), None, np.zeros((1, 1), int)) for x in (said.ahead, lost)
    )
    moving = np.isfinite(team.reach.low) & ~lens.layout.relative[lens.layout.newest]
    assert moving.any()
    assert (kept.weights[1, 0][:, moving] > 0.99).all()
    assert (gone.weights[1, 0, : 3 * H, moving] > 0.99).all()
    assert (gone.weights[1, 0, 3 * H :, moving] < 0.01).all()


def test_where_no_recording_is_long_there_is_nothing_to_know(windows):
    short = Windows.of(windows.log, windows.layout, C, 60).without_video()
    baselines = Baselines.fit(windows, measure_scaling(windows, 0), 0)
    assert long_run(closed(baselines, ("mean",)), baselines.lens, short).shape[0] == 0
