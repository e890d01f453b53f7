"""Calls functions in a process of its own, which may crash or hang: libraries in C do so on damaged files.

The process is started once, when it is needed, and kept. It does not import the program that started it, so that a
script needs no guard.
"""

import atexit
import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from worldmodel.allocator import available_bytes, keep_freed
from worldmodel.errors import WorldModelError

_DEATH_SIGNAL = 1  # prctl's: what a process gets when its parent has ended
_ENDS = (EOFError, BrokenPipeError, ConnectionResetError)
_LOOK_S = 0.1
_LEAST, _LEAST_BYTES = 0.1, 512 << 20  # of what was free, and at most: less left, and the system would stop somebody


class StoppedError(Exception):
    """The process crashed, or was stopped as nothing came from it for too long."""


class NoRoomError(StoppedError):
    """The process was stopped before it had taken all the memory that there is."""


class Apart:
    """One such process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._line: Connection | None = None
        self._owner = 0

    def __call__(
        self,
        function: Callable[..., Any],
        *given: Any,
        limit_s: float | None,
        advance: Callable[[int], object] | None = None,
    ) -> Any:
        """What a function of a module returns or raises there.

        Args:
            function: what is called, with `advance=` as its last argument where that is given here.
            given: its arguments.
            limit_s: the longest time in seconds until it returns or advances; None for any.
            advance: called with what the function passes to its own.

        Raises:
            StoppedError: if it took longer, or the process ended.
            NoRoomError: if it takes more memory than is free.
        """
        free = available_bytes()
        try:
            line = self._started()
            line.send((function, given, advance is not None))
            while True:
                _wait(line, math.inf if limit_s is None else limit_s, free)
                kind, content = line.recv()
                if kind != "advanced":
                    break
                if advance is not None:
                    advance(content)
        except _ENDS as error:
            if self.stop() == -signal.SIGKILL:
                raise NoRoomError("its reader was killed, as systems do that run out of memory") from error
            raise StoppedError("its reader crashed") from error
        except BaseException:
            self.stop()
            raise
        if kind == "raised":
            raise content
        return content

    def _started(self) -> Connection:
        if self._process is None or self._process.poll() is not None or self._owner != os.getpid() or not self._line:
            self._line, theirs = Pipe()
            command = [sys.executable, "-c", f"from {__name__} import serve; serve({theirs.fileno()})"]
            null = subprocess.DEVNULL
            found = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # what this process finds
            self._process = subprocess.Popen(
                command, stdin=null, stdout=null, stderr=null, pass_fds=[theirs.fileno()], env=found
            )
            self._owner = os.getpid()
            theirs.close()
        return self._line

    def end(self) -> None:
        """Ends the process; a call that waits for it, in another thread, raises StoppedError."""
        if self._process is not None and self._owner == os.getpid():
            self._process.kill()

    def stop(self) -> int | None:
        """Ends the process, whatever it does, and forgets it; returns how it ended."""
        process, self._process = self._process, None
        if process is None or self._line is None or self._owner != os.getpid():
            return None
        process.kill()
        self._line.close()
        return process.wait()


def _wait(line: Connection, limit_s: float, free: float) -> None:
    """Until something comes: no longer than that, and only while memory is left of the bytes that were free."""
    until = time.monotonic() + limit_s
    while True:
        if available_bytes() < min(_LEAST * free, _LEAST_BYTES):  # however often something comes
            raise NoRoomError(f"its reader takes more than the {free / 1e9:.1f} GB that were free")
        if line.poll(min(_LOOK_S, limit_s)):
            return
        if time.monotonic() > until:
            raise StoppedError(f"its reader came to no end in {limit_s:.0f} s")


apart = Apart()
atexit.register(apart.stop)


def serve(place: int) -> None:
    """Answers calls on a line until it ends.

    Args:
        place: the line's file descriptor.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and stops this process
    with contextlib.suppress(Exception):  # on Linux: a loop that never ends would outlive its parent
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)
    keep_freed()
    line = Connection(place)
    with contextlib.suppress(*_ENDS):
        while True:
            function, given, advances = line.recv()
            line.send(_outcome(line, function, given, advances))


def _outcome(line: Connection, function: Callable[..., Any], given: tuple[Any, ...], advances: bool) -> tuple[str, Any]:
    def advance(count: int) -> None:
        line.send(("advanced", count))

    try:
        return "returned", function(*given, **({"advance": advance} if advances else {}))
    except (WorldModelError, OSError) as error:
        return "raised", error
    except Exception as error:
        return "raised", RuntimeError(f"{type(error).__name__}: {error}")
