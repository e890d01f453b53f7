"""Recordings: simulated, ingested, looked at."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worldmodel.cli.application import app
from worldmodel.cli.options import Force, Mcap, Rrd, Seed, say_lost_scene, say_notes, write_tracks, wrote
from worldmodel.errors import WorldModelError

if TYPE_CHECKING:
    from worldmodel.logs.reader import Log


@app.command()
def simulate(
    scene: Annotated[
        str,
        typer.Argument(
            help="A shipped scene (rover, cartpole, double_pendulum, pusher) or a folder; to suggest, MJCF."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="What to write.")] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print a first scene.toml for a bare MJCF model instead.")
    ] = False,
    episodes: Annotated[int, typer.Option(min=1, help="How many recordings.")] = 20,
    seconds: Annotated[float, typer.Option(help="Length of each.")] = 20.0,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Record a MuJoCo scene as a log, with the truth beside it."""
    if suggest:
        if out is not None:
            raise typer.BadParameter("--suggest prints: write > scene.toml instead", param_hint="--out")
        from worldmodel.simulate import suggest as draft

        return print(draft(scene), end="")
    if out is None:
        raise typer.BadParameter("name the log to write", param_hint="--out")
    from worldmodel.simulate import simulate as run

    wrote(run(scene, out, episodes=episodes, seconds=seconds, seed=seed, force=force))


@app.command()
def ingest(
    sources: Annotated[list[str], typer.Argument(help="Files, folders or patterns, of any format in docs/formats.md.")],
    out: Annotated[Path | None, typer.Option("--out", help="What to write.")] = None,
    kind: Annotated[str | None, typer.Option("--format", help="Of all of them; by default each is detected.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="How a table's columns become streams: a shipped recipe or a TOML file.")
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Rows x columns of video.")] = None,
    dbc: Annotated[
        list[Path] | None, typer.Option(help="What the messages of a CAN bus mean: a DBC file; may be given again.")
    ] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Print a first recipe for a table instead.")] = False,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster that reads, whose nodes see the same files.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Make everything that is found an error.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out sources that are refused, and say why.")] = False,
    cut_every: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Cut each recording into episodes of so many seconds.")
    ] = None,
    force: Force = False,
) -> None:
    """Turn recordings into a log. Goes on where it was stopped."""
    from rich.console import Console

    from worldmodel.logs.ingest import ingest as run
    from worldmodel.logs.ingest import suggest as first_recipe
    from worldmodel.terminal import counted, listing, say

    if suggest:
        print(first_recipe(sources), end="")
        return
    if out is None:
        raise typer.BadParameter("Missing option '--out'.")
    report = run(
        sources,
        out,
        format=kind,
        recipe=recipe,
        dbc=dbc or (),
        size=_parse_size(size),
        strict=strict,
        skip=skip,
        cut_every_s=cut_every,
        ray=ray,
        force=force,
    )
    say_notes(report.lines)
    say(Console(), f"{counted(len(report.episodes), 'episode')} with {listing(report.streams)}")
    wrote(report.path)
    if len(report.episodes) == 1:
        print("of one episode nothing is left to measure on: --cut-every SECONDS makes several of a long one")
    print(f"next: worldmodel inspect {shlex.quote(str(report.path))} --health, which tells what it is good for")


@app.command()
def inspect(
    logs: Annotated[list[Path], typer.Argument(help="Logs, or folders of logs, of one machine.")],
    plot: Annotated[Path | None, typer.Option(help="Also draw an episode into this PNG file.")] = None,
    episode: Annotated[int, typer.Option(help="Which episode to draw.")] = 0,
    health: Annotated[bool, typer.Option("--health", help="Check it instead: what is wrong, and what to do.")] = False,
    html: Annotated[Path | None, typer.Option(help="Of --health: also write a page with pictures.")] = None,
    dt: Annotated[float | None, typer.Option(help="Of --health: seconds a tick; by default as training.")] = None,
    rrd: Rrd = None,
    mcap: Mcap = None,
    force: Force = False,
) -> None:
    """Say what a log holds: episodes, streams, measured rates, gaps, ranges, units."""
    from worldmodel.logs import Log, plot_log, print_summary

    opened = Log(logs)
    if health or html is not None:
        _health(opened, html, dt, force)
    else:
        print_summary(opened)
    say_lost_scene(opened.about)
    if plot is not None:
        wrote(plot_log(opened, plot, episode, force=force))
    if rrd or mcap:
        from worldmodel.export.tracks import tracks_of_log

        write_tracks(lambda: tracks_of_log(opened), rrd, mcap, force)


def _health(log: "Log", html: Path | None, dt: float | None, force: bool) -> None:
    from worldmodel.files import check_output
    from worldmodel.logs.health.terminal import print_health

    if dt is not None and not 0 < dt < float("inf"):
        raise WorldModelError("--dt is no length of a tick.", expected="seconds above 0", found=str(dt))
    if html is not None:
        check_output(html, force, inputs=log.files)
    found = print_health(log, dt)
    if html is not None:
        from worldmodel.logs.health.page import write_page

        wrote(write_page(found, html, force=force))


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise WorldModelError("--size is wrong.", expected="rows x columns, such as 64x64", found=repr(text))
    if int(parts[0]) * int(parts[1]) > 1 << 24:
        raise WorldModelError("--size is more than a model can see.", expected="up to 4096x4096", found=text)
    return int(parts[0]), int(parts[1])
