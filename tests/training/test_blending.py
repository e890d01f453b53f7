"""How the network joins experts that others than the select episodes told apart."""

import numpy as np

from tests.oscillator import write_log
from worldmodel.logs.reader import Log
from worldmodel.models.baselines import Baselines
from worldmodel.models.baselines.simple import hold_last
from worldmodel.models.experts.fitting import Trial
from worldmodel.models.experts.left_out import joined
from worldmodel.models.experts.reach import Reach
from worldmodel.models.experts.team import Team
from worldmodel.training import blending, trainer
from worldmodel.training.data import measure_scaling
from worldmodel.training.plan import Options, new_settings
from worldmodel.training.progress import TrainingProgress


def test_beside_simulated_episodes_a_network_is_compared_in_left_out_windows_of_episodes_that_select(
    tmp_path, monkeypatch
):
    """A network that holds is where holding is; of what it learned from it is not asked."""
    logs = [
        write_log(tmp_path / "sim.h5", 6, 1.5, seed=100, about={"simulator": "MuJoCo"}),
        write_log(tmp_path / "real.h5", 12, 1.5),
    ]
    log = Log(logs)
    settings = new_settings(log, logs, Options(network=True, dt=0.05, context=0.4, horizon=0.2))
    windows, select = (trainer._windows(log, settings, some) for some in (settings.fitted, settings.select))
    baselines = Baselines.fit(windows, measure_scaling(windows, 0), 0)
    trial = Trial.of(baselines.lens, windows, None, 0, trainer.Allowance(), settings.teachers)
    parts, compared = trial.closed(baselines, []), []
    monkeypatch.setattr(blending, "network_ahead", lambda _, lens, *asked: hold_last(lens.look(*asked)))
    reweighed = Team.reweighed
    monkeypatch.setattr(Team, "reweighed", lambda *given: compared.append(given[2]) or reweighed(*given))

    def blended(left_out):
        reach, show = Reach.over(baselines.lens, [windows]), TrainingProgress(False)
        return blending.blended(settings, baselines, [], left_out, reach, select, object(), show)

    left_out = joined(parts)
    assert blended(left_out).has_network
    rows = np.isin(np.asarray(settings.fitted)[left_out.starts[:, 0]], settings.select)
    held = left_out.ahead[baselines.names.index("hold")]
    assert 0 < rows.sum() < len(rows)
    np.testing.assert_array_equal(compared[0], np.where(rows[:, None, None], held, np.nan))
    few = blended(parts[0])  # time ended after one part, in which too few select to tell
    assert few.has_network
    assert len(compared) == 1
