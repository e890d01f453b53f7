"""`worldmodel serve`: the application in uvicorn."""

import ipaddress
from pathlib import Path

from worldmodel.errors import WorldModelError
from worldmodel.foreteller import Foreteller
from worldmodel.logs.reader import Log
from worldmodel.serve.limits import Limits


def serve(
    asked: Foreteller | Path | str,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    token: str | None = None,
    limits: Limits | None = None,
    usual: Log | None = None,
) -> None:
    """Serves a run or a scene until it is stopped, and says what is to be known of it.

    Args:
        asked: the run or the scene, its folder, or a shipped scene's name.
        host: where it listens.
        port: likewise.
        token: what every request must bring.
        limits: what requests may take.
        usual: a log that was held out, from which alarms of sessions learn what is usual; without one there are none.

    Raises:
        WorldModelError: for a host that others reach, without a token; or a package that is missing.
    """
    check_host(host, token)
    limits = limits or Limits()
    try:
        import uvicorn

        from worldmodel.serve.app import create_app
    except ImportError as error:
        remedy = "pip install 'worldmodel-toolkit[serve]'"
        raise WorldModelError("Serving needs more packages.", found=str(error), remedy=remedy) from error
    from worldmodel.training import load

    opened = asked if isinstance(asked, Foreteller) else load(asked)
    for note in opened.notes:
        print(f"note: {note}", flush=True)
    watch = None if usual is None else opened.watch(usual)
    app = create_app(opened, token=token, limits=limits, warm=True, watch=watch)
    uvicorn.run(
        app, host=host, port=port, ws_max_size=limits.body_bytes, ws_max_queue=4, timeout_keep_alive=30,
        limit_concurrency=4 * limits.waiting, timeout_graceful_shutdown=5, log_level="warning", access_log=False,
        lifespan="off",  # a second Ctrl-C would show a traceback of it; the process ends anyway
    )  # fmt: skip


def check_host(host: str, token: str | None) -> None:
    """Refuses to be reached by others without a token.

    Raises:
        WorldModelError: for a host that is not this machine's loopback, without a token of some length.
    """
    if token is not None and len(token) < 16:
        raise WorldModelError("The token is too short.", expected="16 characters or more", found=f"{len(token)}")
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local and token is None:
        raise WorldModelError(
            f"Others reach {host}, and there is no token.",
            expected="a loopback address such as 127.0.0.1, or --token",
            found=host,
            remedy="pass --token (or set WORLDMODEL_TOKEN), and put TLS before it",
        )
