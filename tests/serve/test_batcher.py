"""The queue before the model, with a model that only notes what it is asked."""

import asyncio
import threading
from types import SimpleNamespace

import pytest

from worldmodel.serve.batcher import Batcher, BusyError
from worldmodel.serve.limits import Limits


class Noting:
    """Answers with the question; the first waits until it is let go."""

    def __init__(self):
        self.batches, self.free = [], threading.Event()

    def answers(self, questions):
        assert self.free.wait(10)
        self.batches.append([q.name for q in questions])
        if "bad" in self.batches[-1]:
            raise ValueError("bad")
        return questions


def question(name, shape=1):
    return SimpleNamespace(name=name, shape=shape)


def run(names, **limits):
    engine = Noting()

    async def ask():
        batcher = Batcher(engine, Limits(**limits))
        asked = [asyncio.create_task(batcher.ask(question(*name))) for name in names]
        await asyncio.sleep(0.02)
        engine.free.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        batcher.close()
        return found

    return engine.batches, asyncio.run(ask())


def test_what_comes_while_the_model_is_busy_is_answered_together():
    batches, found = run([("a",), ("b",), ("c", 2), ("d",), ("e",)], batch=2)
    assert batches in ([["a", "b"], ["c"], ["d", "e"]], [["a"], ["b", "d"], ["c"], ["e"]])
    assert [q.name for q in found] == ["a", "b", "c", "d", "e"]


def test_one_that_fails_is_told_and_the_next_is_answered():
    _, found = run([("bad",), ("good", 2)])
    assert isinstance(found[0], ValueError)
    assert found[1].name == "good"


def test_more_than_may_wait_are_told_to_come_again():
    _, found = run([(str(i),) for i in range(4)], waiting=2, batch=1)
    assert sum(isinstance(each, BusyError) for each in found) >= 1
    assert sum(hasattr(each, "name") for each in found) >= 2


def test_an_answer_that_takes_too_long_is_given_up():
    engine = Noting()

    async def ask():
        batcher = Batcher(engine, Limits(answer_s=0.02))
        with pytest.raises(TimeoutError):
            await batcher.ask(question("slow"))
        engine.free.set()
        batcher.close()

    asyncio.run(ask())
