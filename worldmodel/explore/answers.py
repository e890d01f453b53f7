"""Requests of a page or a widget: which are known, one answered after the other."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from worldmodel.errors import WorldModelError


class Answers:
    """What a page or a widget asks: an `Explorer`, or a `worldmodel.explore.drive.Drive`.

    A request of the kind `past` is answered by the method `_past`, and so on. May be called from threads.

    Args:
        asked: by kind what a request may say.
        needed: by kind what it must say.
    """

    def __init__(self, asked: Mapping[str, set[str]], needed: Mapping[str, set[str]]) -> None:
        self._asked, self._needed = asked, needed
        self._lock, self._other = threading.Lock(), ThreadPoolExecutor(1)

    def handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer; to a mistake `{"error": what it is and what to do}`."""
        try:
            kind = self._kind_of(request)
            with self._lock:
                return getattr(self, f"_{kind}")(request)
        except WorldModelError as error:
            return {"error": str(error)}

    def _kind_of(self, request: Mapping[str, Any]) -> str:
        """The kind of a request that has all it needs and nothing unknown.

        Raises:
            WorldModelError: if it is something else.
        """
        kind = request.get("kind") if isinstance(request, Mapping) else None
        if not isinstance(kind, str) or kind not in self._asked:
            raise WorldModelError("There is no such request.", expected=", ".join(self._asked), found=repr(kind)[:80])
        if unknown := request.keys() - self._asked[kind] - {"kind", "id"}:
            expected = ", ".join(sorted(self._asked[kind]))
            raise WorldModelError(f"{str(min(unknown))[:80]!r} is no part of {kind}.", expected=expected)
        given = {key for key, value in request.items() if value is not None}
        if missing := self._needed.get(kind, set()) - given:
            raise WorldModelError(f"{kind} needs {' and '.join(sorted(missing))}.")
        return kind
