"""Calls functions in a process of its own, which may crash or hang: libraries in C do so on damaged files.

The process is started once, when it is needed, and kept. It does not import the program that started it, so that a
script needs no guard.
"""

import atexit
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from worldmodel.allocator import keep_freed
from worldmodel.errors import WorldModelError

_DEATH_SIGNAL = 1  # prctl's: what a process gets when its parent has ended
_ENDS = (EOFError, BrokenPipeError, ConnectionResetError)


class StoppedError(Exception):
    """The process crashed, or was stopped as nothing came from it for too long."""


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
        """
        try:
            line = self._started()
            line.send((function, given, advance is not None))
            while True:
                if not line.poll(limit_s):
                    raise StoppedError(f"its reader came to no end in {limit_s or 0:.0f} s")
                kind, content = line.recv()
                if kind != "advanced":
                    break
                if advance is not None:
                    advance(content)
        except _ENDS as error:
            self.stop()
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

    def stop(self) -> None:
        """Ends the process, whatever it does, and forgets it."""
        if self._process is not None and self._line is not None and self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
            self._line.close()
        self._process = None


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
