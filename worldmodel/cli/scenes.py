"""Scenes: fitted to recordings."""

from pathlib import Path
from typing import Annotated

import typer

from worldmodel.cli.application import app
from worldmodel.cli.options import Force, Out, Seed, listed, say_notes, wrote
from worldmodel.errors import WorldModelError


@app.command()
def identify(
    scene: Annotated[str, typer.Argument(help="A shipped scene or a folder, with numbers that may be wrong.")],
    logs: Annotated[list[Path], typer.Argument(help="Logs of the machine, whose streams the scene has.")],
    out: Out,
    fit: Annotated[
        list[str] | None,
        typer.Option(
            help="Numbers or groups to fit and no others, as mass, '*.friction'; 'default,gain' for gains, too. By "
            "default what scene.toml says, or else what suits."
        ),
    ] = None,
    fix: Annotated[
        list[str] | None, typer.Option(help="Numbers or groups to leave as they are; by default as scene.toml says.")
    ] = None,
    horizon: Annotated[float, typer.Option(help="Seconds ahead that predictions shall be good.")] = 0.5,
    holdout: Annotated[float, typer.Option(help="Share of the episodes that only measure; 0 for none.")] = 0.15,
    minutes: Annotated[
        float | None, typer.Option(help="End the search after about so long; by default when it has settled.")
    ] = None,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Fit a scene's masses, friction, delays and the like to recordings: a scene that predicts them."""
    from rich.console import Console

    from worldmodel.progress import doing

    with doing("loading"):
        from worldmodel.physics import KnownScene
        from worldmodel.simulate.identification import error_rows, number_rows
        from worldmodel.simulate.identification import identify as run
        from worldmodel.terminal import Grid
    made = run(
        scene, logs, out, fit=listed(fit) or (), fix=listed(fix) or (), horizon_s=horizon, holdout=holdout,
        minutes=minutes, seed=seed, force=force,
    )  # fmt: skip
    for rows in (number_rows(made.found), error_rows(made)[:4]):
        Console().print(Grid(rows[0], rows[1:], words=("number", "unit", "told by the log", "error (NRMSE)")))
    if not made.measured:
        say_notes(["no episode was left to measure; the errors are those of the fit"])
    if made.windows < made.possible:
        say_notes([f"it went through {made.windows} of {made.possible} windows, as many as are worth their cost"])
    if made.cut:
        say_notes(["the search had not settled when its --minutes were up"])
    try:
        with doing("measuring how wide its members must be spread"):
            KnownScene.of(made.folder).calibrate(logs)
    except WorldModelError as error:
        say_notes([f"how wide its members must be spread was not measured: {error.problem}"])
    wrote(made.folder)
    print(f"next: worldmodel imagine {out} LOG ..., worldmodel validate {out} ..., or {out / 'identified.html'}")
