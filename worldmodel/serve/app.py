"""The service over HTTP and WebSocket."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller
from worldmodel.live import Watch
from worldmodel.serve.batcher import BusyError
from worldmodel.serve.limits import Limits
from worldmodel.serve.openapi import document
from worldmodel.serve.service import Service
from worldmodel.serve.sessions import FullError, UnknownSessionError
from worldmodel.serve.wire import BINARY, MalformedError, pack, since_of, unpack

_LOCAL = ["127.0.0.1", "localhost", "[::1]", "::1"]
Message = dict[str, Any]


def create_app(
    run: Foreteller,
    *,
    token: str | None = None,
    limits: Limits | None = None,
    warm: bool = False,
    watch: Watch | None = None,
) -> Starlette:
    """The application that serves a run or a scene.

    Args:
        run: what is asked.
        token: that every request must bring (`Authorization: Bearer`); without one only this machine's names are
            answered to, so that no page in a browser reaches it by another.
        limits: what requests may take.
        warm: compile now what most requests need, and not when the first comes.
        watch: what tells the alarms of sessions (`run.watch`); without one there are none.
    """
    service = Service(run, limits or Limits(), watch)
    if warm:
        service.engine.warm(service.limits)
    front = _Front(service, token)
    guard = [] if token else [Middleware(TrustedHostMiddleware, allowed_hosts=_LOCAL)]
    return Starlette(routes=front.routes, middleware=guard, lifespan=front.lifespan)


class _Front:
    """Reads requests, and writes what the service answers."""

    def __init__(self, service: Service, token: str | None) -> None:
        self._service, self._token, self._limits = service, token, service.limits
        self._document = document(service.run, service.limits, token is not None)

    @property
    def routes(self) -> list[Any]:
        plain = self._service
        return [
            self._route("/healthz", "GET", lambda r: _soon({"status": "ok"}), open_to_all=True),
            self._route("/metrics", "GET", self._metrics),
            self._route("/openapi.json", "GET", lambda r: _soon(self._document)),
            self._route("/run", "GET", lambda r: _soon(plain.about())),
            self._route("/imagine", "POST", lambda r: self._taking(r, plain.imagine)),
            self._route("/sessions", "POST", self._open),
            self._route("/sessions/{id}", "GET", lambda r: _soon(plain.held(self._session(r)))),
            self._route("/sessions/{id}", "DELETE", self._close),
            self._route("/sessions/{id}/samples", "POST", self._push),
            self._route("/sessions/{id}/imagine", "POST", self._imagine_in),
            self._route("/sessions/{id}/alarms", "GET", self._alarms),
            WebSocketRoute("/stream", self._stream),
        ]

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        yield
        self._service.batcher.close()

    def _route(
        self,
        path: str,
        method: str,
        answer: Callable[[Request], Awaitable[Message | Response]],
        open_to_all: bool = False,
    ) -> Route:
        async def endpoint(request: Request) -> Response:
            began, binary = time.perf_counter(), BINARY in request.headers.get("accept", "")
            if not (open_to_all or self._allowed(request)):
                response = _failure(401, "This server wants a token.", binary)
            else:
                response = await _guarded(lambda: answer(request), binary)
            self._service.measured.requests.labels(path, str(response.status_code)).inc()
            self._service.measured.seconds.labels(path).observe(time.perf_counter() - began)
            return response

        return Route(path, endpoint, methods=[method])

    def _allowed(self, connection: HTTPConnection) -> bool:
        """Whether it brings the token; where there is none, that no page of another site asks."""
        if self._token is None:
            origin = connection.headers.get("origin")
            return origin is None or urlsplit(origin).hostname in _LOCAL
        given = connection.headers.get("authorization", "")
        return secrets.compare_digest(given.encode(), f"Bearer {self._token}".encode())

    async def _taking(self, request: Request, answer: Callable[[Message], Awaitable[Message]]) -> Message:
        body, binary = await self._body(request), BINARY in request.headers.get("content-type", "")
        return await answer(await asyncio.to_thread(unpack, body, binary))

    async def _body(self, request: Request) -> bytes:
        """The request's body, if it is small enough and comes soon enough."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._limits.body_s):
                async for part in request.stream():
                    size += len(part)
                    if size > self._limits.body_bytes:
                        raise HTTPException(413, f"The body is larger than {self._limits.body_bytes} bytes.")
                    parts.append(part)
        except TimeoutError as error:
            raise HTTPException(408, f"The body took longer than {self._limits.body_s:g} s.") from error
        return b"".join(parts)

    def _session(self, request: Request) -> Any:
        return self._service.sessions.get(request.path_params["id"])

    async def _metrics(self, request: Request) -> Response:
        return Response(self._service.measured.text(), media_type="text/plain; version=0.0.4")

    async def _open(self, request: Request) -> Message:
        return {"id": self._service.sessions.open(), "idle_s": self._limits.idle_s}

    async def _close(self, request: Request) -> Message:
        self._service.sessions.close(request.path_params["id"])
        return {}

    async def _push(self, request: Request) -> Message:
        session = self._session(request)

        return await self._taking(request, lambda message: self._service.push(session, message))

    async def _imagine_in(self, request: Request) -> Message:
        session = self._session(request)
        return await self._taking(request, lambda message: self._service.imagine_in(session, message))

    async def _alarms(self, request: Request) -> Message:
        return {"alarms": await self._service.alarms(self._session(request), since_of(request.query_params))}

    async def _stream(self, socket: WebSocket) -> None:
        """A session as long as its socket: `streams` pushes, `imagine` and `alarms` ask, in one message or several."""
        if not self._allowed(socket):
            await socket.close(1008, "This server wants a token.")
            return
        await socket.accept()
        sessions = self._service.sessions
        try:
            name = sessions.open()
        except FullError:
            await socket.close(1013, "There are as many sessions as there may be.")
            return
        try:
            while True:
                await self._exchange(socket, name)
        except (WebSocketDisconnect, TimeoutError, UnknownSessionError):
            with contextlib.suppress(RuntimeError):
                await socket.close(1000)
        finally:
            with contextlib.suppress(UnknownSessionError):
                sessions.close(name)

    async def _exchange(self, socket: WebSocket, name: str) -> None:
        """One message and its answer, in the form that it came in."""
        async with asyncio.timeout(self._limits.idle_s):
            got = await socket.receive()
        if got["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        binary = got.get("bytes") is not None
        body = got["bytes"] if binary else got["text"].encode()
        response = await _guarded(lambda: self._told(body, binary, name), binary)
        async with asyncio.timeout(self._limits.body_s):  # a client that does not read is left
            answer = bytes(response.body)
            await (socket.send_bytes(answer) if binary else socket.send_text(answer.decode()))

    async def _told(self, body: bytes, binary: bool, name: str) -> Message:
        if len(body) > self._limits.body_bytes:
            raise HTTPException(413, f"The message is larger than {self._limits.body_bytes} bytes.")
        message, session = await asyncio.to_thread(unpack, body, binary), self._service.sessions.get(name)
        if unknown := message.keys() - {"streams", "imagine", "alarms"}:
            raise WorldModelError(
                f"{str(min(unknown))[:80]!r} is no part of this message.", expected="streams, imagine, alarms"
            )
        if "streams" in message:
            await self._service.push(session, {"streams": message["streams"]})
        told = {}
        if "alarms" in message:
            told = {"alarms": await self._service.alarms(session, since_of(_object(message, "alarms")))}
        if "imagine" not in message:
            return self._service.held(session) | told
        return await self._service.imagine_in(session, _object(message, "imagine")) | told


def _object(message: Message, name: str) -> Message:
    """A part of a message."""
    if not isinstance(found := message[name], dict):
        raise WorldModelError(f"{name} is no object.", expected="an object, such as {}", found=type(found).__name__)
    return found


async def _guarded(answer: Callable[[], Awaitable[Message | Response]], binary: bool) -> Response:
    """The answer as a response; a mistake as one that says what it was."""
    try:
        found = await answer()
    except MalformedError as error:
        return _failure(400, str(error), binary)
    except WorldModelError as error:
        return _failure(422, str(error), binary)
    except UnknownSessionError:
        return _failure(404, "There is no such session, or it was idle too long.", binary)
    except FullError:
        return _failure(429, "There are as many sessions as there may be.", binary)
    except BusyError:
        return _failure(503, "Too many requests wait; come again.", binary)
    except TimeoutError:
        return _failure(504, "The answer took too long.", binary)
    except HTTPException as error:
        return _failure(error.status_code, error.detail, binary)
    return found if isinstance(found, Response) else _response(found, 200, binary)


def _failure(status: int, text: str, binary: bool) -> Response:
    response = _response({"error": text}, status, binary)
    if status == 401:
        response.headers["www-authenticate"] = "Bearer"
    if status == 503:
        response.headers["retry-after"] = "1"
    return response


def _response(message: Message, status: int, binary: bool) -> Response:
    return Response(pack(message, binary), status, media_type=BINARY if binary else "application/json")


async def _soon(message: Message) -> Message:
    return message
