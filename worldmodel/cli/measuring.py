"""The whole road in one command, and the benchmark."""

from pathlib import Path
from typing import Annotated

import typer

from worldmodel.cli.application import app
from worldmodel.cli.options import Seed, listed, wrote


@app.command()
def benchmark(
    problems: Annotated[
        list[str] | None, typer.Option(help="Which; by default all whose recordings are there.")
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(help="Whom to show, by default all; rssm trains one too, package.module:Class brings yours."),
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Of training for each model; by default by problem.")] = None,
    seeds: Annotated[int, typer.Option(help="How often each is trained.")] = 3,
    data: Annotated[Path | None, typer.Option(help="The folder of recordings, as datasets/ describes them.")] = None,
    out: Annotated[Path, typer.Option("--out", help="The folder to work in.")] = Path("runs/benchmark"),
) -> None:
    """Measure models on problems with published figures. Goes on where it was stopped."""
    from worldmodel.progress import doing

    with doing("loading"):
        from rich.console import Console

        from worldmodel.benchmark import benchmark as run
        from worldmodel.benchmark.tables import for_terminal
    files = run(out, problems=listed(problems), models=listed(models), minutes=minutes, seeds=seeds, data=data)
    console = Console()
    for part in for_terminal(files[0]):
        console.print(part, highlight=False)
    wrote(*files)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="The folder to work in.")] = Path("runs/demo"),
    seed: Seed = 0,
) -> None:
    """The whole road on the rover scene: simulate, train, imagine, validate, report. Goes on where it was stopped."""
    from worldmodel.progress import doing

    with doing("loading"):
        from worldmodel.demo import demo as run
    wrote(*run(out, seed=seed))
    print(f"to ask the run in a page: worldmodel explore {out / 'run'} {out / 'held_out.h5'}")
