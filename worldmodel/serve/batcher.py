"""Requests that come while the model is busy are answered together as soon as it is free."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from worldmodel.imagine.trajectory import Trajectory
from worldmodel.serve.engine import Engine
from worldmodel.serve.limits import Limits
from worldmodel.serve.question import Question


class BusyError(Exception):
    """Too many requests wait already."""


class Batcher:
    """One thread that computes, and a queue before it. Nothing waits for a batch to fill.

    Args:
        engine: what computes.
        limits: how many may wait, and how many are answered at once.
        note: is told the size of each batch.
    """

    def __init__(self, engine: Engine, limits: Limits, note: Callable[[int], None] = lambda size: None) -> None:
        self._engine, self._limits, self._note = engine, limits, note
        self._waiting: deque[tuple[Question, asyncio.Future[Trajectory]]] = deque()
        self._thread = ThreadPoolExecutor(1, "imagine")
        self._task: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    async def ask(self, question: Question) -> Trajectory:
        """The answer, when its turn has come.

        Raises:
            BusyError: if too many wait.
            TimeoutError: if it took too long.
        """
        if len(self._waiting) >= self._limits.waiting:
            raise BusyError
        future: asyncio.Future[Trajectory] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        async with asyncio.timeout(self._limits.answer_s):
            return await future

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._next():
            self._note(len(batch))
            questions = [question for question, _ in batch]
            try:
                found = await loop.run_in_executor(self._thread, self._engine.answers, questions)
            except Exception as error:  # each is told; the server goes on
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), trajectory in zip(batch, found, strict=True):
                if not future.done():
                    future.set_result(trajectory)

    def _next(self) -> list[tuple[Question, asyncio.Future[Trajectory]]]:
        """The oldest, and as many others of its shape as fit; those whose client has gone are dropped."""
        alive = [each for each in self._waiting if not each[1].done()]
        same = [each for each in alive if each[0].shape == alive[0][0].shape][: self._limits.batch]
        taken = {id(each) for each in same}
        self._waiting = deque(each for each in alive if id(each) not in taken)
        return same
