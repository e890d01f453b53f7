"""Time that fits share: parts of it end with it, and what is left out is said once, wherever it was left out."""

import math
from types import SimpleNamespace

import pytest

from worldmodel.models.allowance import UNLIMITED, Allowance


def test_a_part_is_no_longer_than_what_is_left():
    whole = Allowance(100)
    assert 9 < whole.part(10).left <= 10
    assert 90 < whole.part(1000).left <= whole.left + 1e-3
    assert whole.part(-1).is_over
    assert Allowance(0).part(10).is_over
    assert not whole.is_over


def test_without_an_end_there_is_always_time():
    assert math.isinf(UNLIMITED.part(UNLIMITED.left / 2).left)
    assert 0 <= UNLIMITED.spent < math.inf


def test_what_is_left_out_of_a_part_is_left_out_of_the_whole_and_said_once():
    said: list[str] = []
    whole = Allowance(100, said.append)
    for part in (whole.part(10), whole.part(20)):
        part.leave_out("the moon")
    assert whole.cut == ["the moon"]
    assert said == ["no time left for the moon"]


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when the test says so."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("worldmodel.models.allowance.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_turns_share_what_is_left_when_each_begins(clock):
    seconds, whole = [], Allowance(90)
    for turn in whole.turns(3):
        seconds.append(turn.left)
        clock.now += 10 if len(seconds) == 1 else turn.left
    assert seconds == [30, 40, 40]
    assert whole.is_over


def test_there_are_as_many_of_something_as_there_is_time_for(clock):
    said: list[str] = []
    whole = Allowance(10, said.append)
    assert whole.most(50, 0, 5.0, "the stars") == 50
    assert whole.most(99, 99, 5.0, "the stars") == 99
    assert said == []
    clock.now = 4.0
    assert whole.most(50, 10, 5.0, "the stars") == 30
    assert whole.most(50, 40, 5.0, "the stars") == 40
    assert said == ["no time left for the stars"]
    assert UNLIMITED.most(10**12, 0, 1e-3, "the stars") == 10**12
