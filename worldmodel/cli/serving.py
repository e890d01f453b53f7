"""Runs for other programs: exported, served."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from worldmodel.cli.application import app
from worldmodel.cli.options import ASKED, Force, Out, say_notes, wrote


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A trained run.")],
    out: Out,
    members: Annotated[int, typer.Option(min=1, help="Futures that the programs roll at once.")] = 16,
    horizon: Annotated[float | None, typer.Option(help="Seconds ahead; by default as far as was trained.")] = None,
    onnx: Annotated[bool, typer.Option(help="Write ONNX graphs too, checked with ONNX Runtime.")] = True,
    force: Force = False,
) -> None:
    """Write a run's network for programs without this package: StableHLO and ONNX, with a card."""
    from worldmodel.progress import doing

    with doing(f"exporting {run}"):
        from worldmodel.export.artefact import export_run

        files = export_run(run, out, members=members, horizon_s=horizon, onnx=onnx, force=force)
    wrote(*files)


@app.command()
def serve(
    run: Annotated[Path, typer.Argument(help=ASKED)],
    host: Annotated[str, typer.Option(help="The address to listen on; another than this machine's needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8765,
    token: Annotated[
        str | None, typer.Option(envvar="WORLDMODEL_TOKEN", help="What every request must bring, as a bearer token.")
    ] = None,
    usual: Annotated[
        Path | None, typer.Option(help="A log that was held out, from which alarms of sessions learn what is usual.")
    ] = None,
) -> None:
    """Answer for a run or a scene over HTTP and WebSocket, until stopped; /openapi.json says how."""
    from worldmodel.logs.reader import Log
    from worldmodel.serve.server import check_host
    from worldmodel.serve.server import serve as start

    check_host(host, token)
    print(f"opening {run}; http://{host}:{port} answers when it is compiled", flush=True)
    with contextlib.nullcontext() if usual is None else Log(usual) as learned:
        start(run, host=host, port=port, token=token, usual=learned)


@app.command()
def explore(
    run: Annotated[Path, typer.Argument(help=ASKED)],
    log: Annotated[
        Path | None, typer.Argument(help="The log to choose moments in; without one, the run's scene is driven live.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    keep_in: Annotated[Path, typer.Option(help="The folder that kept moments are written to.")] = Path("kept"),
    scene: Annotated[
        str | None, typer.Option(help="MuJoCo's scene of the machine; by default the log's own, or the run's prior.")
    ] = None,
    usual: Annotated[
        Path | None, typer.Option(help="Without a log: one that was held out, from which alarms learn what is usual.")
    ] = None,
) -> None:
    """Ask a run or a scene in a page of this machine: choose a moment, change what is commanded, see what follows."""
    from worldmodel.progress import doing

    with doing(f"opening {run}"):
        from worldmodel.explore.opening import drive_of, explorer_of
        from worldmodel.explore.server import explore_page
        from worldmodel.logs.reader import Log
        from worldmodel.training import load

        opened = load(run)
    with contextlib.ExitStack() as stack:
        moments, learned = (None if path is None else stack.enter_context(Log(path)) for path in (log, usual))
        asked = opened if moments is None else opened.on(moments)
        say_notes(asked.notes)
        if moments is None:
            explore_page(drive_of(asked, scene, keep_in, learned), port=port, browser=browser)
        else:
            explore_page(explorer_of(asked, moments, keep_in, scene), port=port, browser=browser)
