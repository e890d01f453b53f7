"""A run or a scene as a service: asked over HTTP and WebSocket, by many at once."""

from worldmodel.serve.limits import Limits
from worldmodel.serve.server import serve

__all__ = ["Limits", "serve"]
