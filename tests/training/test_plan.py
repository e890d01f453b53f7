"""What suits a log where nothing is asked for."""

import numpy as np
import pytest

from worldmodel.logs.reader import Log
from worldmodel.logs.writer import LogWriter
from worldmodel.simulate import simulate
from worldmodel.training import plan, train, trainer
from worldmodel.training.plan import Options, may_go_without, new_settings
from worldmodel.training.telling import choices
from worldmodel.types import Samples, StreamSpec


def recorded(path, seconds, fixes_hz, kind="gps"):
    """A boat whose helm and gyroscope speak at 50 Hz."""
    fix = (("latitude", "longitude", "altitude"), ("deg", "deg", "m"))
    columns, units = fix if kind == "gps" else (("x", "y", "z"), ("m", "m", "m"))
    specs = [
        StreamSpec("helm", "action", ("rudder",), ("rad",), 50.0),
        StreamSpec("gyro", "sensor", ("z",), ("rad/s",), 50.0),
        StreamSpec("place", kind, columns, units, fixes_hz),
    ]
    time, fixes = np.arange(0, seconds, 0.02), np.arange(0, seconds, 1 / fixes_hz)
    still = Samples(time, np.zeros((len(time), 1)))
    with LogWriter(path, specs) as writer:
        writer.append({"helm": still, "gyro": still, "place": Samples(fixes, np.zeros((len(fixes), 3)))})
    return Log(path)


@pytest.mark.parametrize(
    ("fixes_hz", "seconds", "kind", "context"),
    [
        (1, 60, "gps", 150),  # three fixes, of which one alone tells no speed
        (2, 60, "gps", 75),
        (10, 60, "gps", 64),
        (0.1, 600, "gps", 256),  # no more than that
        (1, 6, "gps", 99),  # nor than a third of a recording
        (1, 60, "sensor", 64),  # what is no place is known by its last reading
    ],
)
def test_a_context_shows_fixes_that_tell_how_fast_a_machine_goes(tmp_path, fixes_hz, seconds, kind, context):
    log = recorded(tmp_path / "a.h5", seconds, fixes_hz, kind)
    settings = new_settings(log, [log.files[0]], Options())
    assert (settings.context, settings.horizon) == (context, 64)
    assert new_settings(log, [log.files[0]], Options(context=0.4)).context == 20
    said = any("which show 3 fixes of place," in line for line in choices(settings, log))
    assert said == (context in (150, 75))


def planned(log, steps=None, **asked):
    options = Options(**asked)
    return may_go_without(new_settings(log, log.files, options, steps), options, steps)


def test_a_network_that_nobody_asked_for_may_be_left_out(tmp_path, monkeypatch):
    log = recorded(tmp_path / "boat.h5", 60, 1)
    assert not planned(log)  # there is none
    monkeypatch.setattr(plan, "_PAYS", 100)
    assert planned(log)
    assert not any(planned(log, **asked) for asked in ({"network": True}, {"preset": "debug"}, {"steps": 10}))


@pytest.mark.parametrize("minutes", [None, 2])
def test_no_network_is_trained_where_equations_of_motion_tell_all(tmp_path, monkeypatch, capsys, minutes):
    simulate("cartpole", tmp_path / "log.h5", episodes=4, seconds=2.0, seed=0, progress=False)
    monkeypatch.setattr(plan, "_PAYS", 100)
    monkeypatch.setattr(trainer, "fit_rich", lambda *_: [])
    monkeypatch.setattr(trainer, "tell_all", lambda *_: True)
    seconds = []
    monkeypatch.setattr(trainer, "go_on_fitting", lambda rich, _, allowance: seconds.append(allowance.left) or rich)
    run = train(tmp_path / "log.h5", tmp_path / "run", minutes=minutes, dt=0.02, context_s=0.5, horizon_s=0.3)
    assert run.model is None
    assert not run.settings.network
    assert run.settings.minutes == minutes
    assert "no network is trained: equations of motion tell all readings" in capsys.readouterr().out
    assert seconds[0] > 0.4 * (120 - 60) or minutes is None  # more than half of the minutes are theirs
