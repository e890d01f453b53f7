"""`worldmodel explore`: the page on this machine, and a socket that answers it."""

import asyncio
import contextlib
import json
import socket as sockets
import webbrowser
from typing import Any
from urllib.parse import urlsplit

from worldmodel.errors import WorldModelError
from worldmodel.explore.answers import Answers
from worldmodel.explore.assets import ASSETS
from worldmodel.explore.wire import message

_HOST = "127.0.0.1"
_LOCAL = [_HOST, "localhost"]
_MESSAGE_BYTES = 1 << 20


def explore_page(explorer: Answers, *, port: int = 0, browser: bool = True) -> None:
    """Serves the page, to this machine alone, until stopped; port 0 takes one that is free.

    Raises:
        WorldModelError: if a package is missing, or the port is taken.
    """
    try:
        import uvicorn

        app = create_app(explorer)
    except ImportError as error:
        remedy = "pip install 'worldmodel-toolkit[explore]'"
        raise WorldModelError("The page needs more packages.", found=str(error), remedy=remedy) from error
    with _listening(port) as bound:
        address = f"http://{_HOST}:{bound.getsockname()[1]}/"
        print(f"{address} (Ctrl+C ends it)", flush=True)
        if browser:
            webbrowser.open(address)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, ws_max_size=_MESSAGE_BYTES, timeout_graceful_shutdown=1,
            lifespan="off",  # the application has none, and a second Ctrl-C would show a traceback of it
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[bound])


def create_app(explorer: Answers) -> Any:
    """The application: static files, and `/socket`."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.routing import Mount, WebSocketRoute
    from starlette.staticfiles import StaticFiles

    async def endpoint(socket: Any) -> None:
        origin = socket.headers.get("origin")
        if origin is not None and urlsplit(origin).hostname not in _LOCAL:
            await socket.close(1008, "Only this machine's own page is answered.")
            return
        await socket.accept()
        await _Talk(explorer, socket).run()

    return Starlette(
        routes=[WebSocketRoute("/socket", endpoint), Mount("/", StaticFiles(directory=ASSETS, html=True))],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_LOCAL)],
    )


class _Talk:
    """One page's requests: of those of a kind that wait, only the newest is answered."""

    def __init__(self, explorer: Answers, socket: Any) -> None:
        self._explorer, self._socket = explorer, socket
        self._waiting: dict[str, dict[str, Any]] = {}
        self._news = asyncio.Event()

    async def run(self) -> None:
        from starlette.websockets import WebSocketDisconnect

        answering = asyncio.create_task(self._answer())
        try:
            while True:
                await self._take(await self._socket.receive_text())
        except (WebSocketDisconnect, KeyError):
            pass
        finally:
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await answering

    async def _take(self, text: str) -> None:
        try:
            request = json.loads(text)
        except ValueError:
            request = None
        if not isinstance(request, dict):
            await self._socket.send_bytes(message({"id": None, "error": "A request is a JSON object."}))
            return
        older = self._waiting.pop(str(request.get("kind")), None)
        self._waiting[str(request.get("kind"))] = request
        self._news.set()
        if older is not None:
            await self._socket.send_bytes(message({"id": older.get("id"), "overtaken": True}))

    async def _answer(self) -> None:
        while True:
            await self._news.wait()
            if not self._waiting:
                self._news.clear()
                continue
            request = self._waiting.pop(next(iter(self._waiting)))
            await self._socket.send_bytes(await asyncio.to_thread(self._message, request))

    def _message(self, request: dict[str, Any]) -> bytes:
        return message({"id": request.get("id"), **self._explorer.handle(request)})


def _listening(port: int) -> sockets.socket:
    try:
        return sockets.create_server((_HOST, port))
    except OSError as error:
        raise WorldModelError(
            f"Port {port} cannot be used.", found=str(error), remedy="pass another --port; 0 takes one that is free"
        ) from error
