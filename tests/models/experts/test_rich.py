"""Who is fitted of those that take long, and who is left out again."""

import dataclasses

import numpy as np
import pytest

from tests.models.experts.pendulum import DT, TORQUE, examples, layout, lens_of, recorded, sensor
from worldmodel.models.allowance import Allowance
from worldmodel.models.experts import rich
from worldmodel.models.experts.closed import Ridge
from worldmodel.models.experts.mechanics import LAST_STEPS, Mechanics, expert
from worldmodel.models.experts.rich import fit_rich, go_on_fitting, tell_all
from worldmodel.models.experts.structure import find_structure


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few windows, and a state space that is only named."""
    for stage in ("_NEAR", "_FAR", "_LAST"):
        monkeypatch.setattr(expert, stage, (10, 100))
    monkeypatch.setattr(rich.StateSpace, "fit", lambda *_: "a state space")


def followed():
    """A joint that goes where a command without a unit says, at a limited rate."""
    rng = np.random.default_rng(0)
    wanted = np.repeat(rng.uniform(-1, 1, (6, 7, 1)), 40, 1)
    angle = np.zeros_like(wanted)
    for k in range(1, wanted.shape[1]):
        angle[:, k] = angle[:, k - 1] + np.clip(wanted[:, k - 1] - angle[:, k - 1], -DT, DT)
    angle += 0.002 * rng.normal(size=angle.shape)
    where = layout(sensor("joint", "angle", "rad"))
    where = dataclasses.replace(where, streams=(*where.streams[:-1], dataclasses.replace(TORQUE, units=("",))))
    lens = lens_of(where, angle, wanted)
    return examples(angle, wanted, lens), lens


def fitted(examples, lens):
    said = []
    found = fit_rich(examples, lens, 0, Allowance(100_000, said.append), None, Ridge.fit(examples, lens))
    return [getattr(each, "name", each) for each in found], said


@pytest.mark.parametrize(("again", "beside"), [(1, ["a state space"]), (1e9, [])])
def test_mechanics_without_velocities_has_a_rival_where_there_is_time(monkeypatch, again, beside):
    monkeypatch.setattr(rich, "_AGAIN", again)
    names, said = fitted(*recorded(wraps=True, noise=0.01, speeds=False))
    assert names == ["mechanics", *beside]
    assert any(line.startswith("equations of motion") for line in said)


def test_where_velocities_are_read_it_needs_none():
    assert fitted(*recorded(wraps=True, noise=0.01))[0] == ["mechanics"]


def test_what_fits_worse_than_linear_models_is_no_mechanics():
    names, said = fitted(*followed())
    assert names == ["a state space"]
    assert "these are no equations of motion: linear models fit better" in said


def test_equations_of_motion_tell_all_where_nothing_else_is_read_and_little_is_left():
    (clean, lens), (noisy, _) = recorded(wraps=True, noise=0.001), recorded(wraps=True, noise=0.3)
    found, unsure = (fit_rich(each, lens, 0, Allowance()) for each in (clean, noisy))
    alone = clean._replace(mask=clean.mask & ~np.isnan(found[0].predict(clean.view)))
    assert tell_all(found, alone)
    assert not tell_all(found, clean)  # of a column that is no coordinate's they say nothing
    assert not tell_all([], alone)
    assert not tell_all(unsure, noisy._replace(mask=alone.mask))


def test_the_last_steps_of_mechanics_are_made_up_for():
    examples, lens = recorded(wraps=True, noise=0.001)
    allowance = Allowance(0.0)
    cut = Mechanics.fit(examples, lens, find_structure(examples, lens), 0, allowance)
    assert allowance.cut == [LAST_STEPS]
    later = Allowance()
    later.cut = allowance.cut
    (whole,) = go_on_fitting([cut], examples, later)
    assert later.cut == []
    before, after = (np.nanmean(examples.squared_errors(each.predict(examples.view))) for each in (cut, whole))
    assert after < 0.1 * before
    assert go_on_fitting([whole], examples, later) == [whole]  # none is missing
