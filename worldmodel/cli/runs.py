"""Runs: trained, asked, scored."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worldmodel.cli.application import app
from worldmodel.cli.options import (
    ASKED,
    BeyondTrained,
    Force,
    Mcap,
    Out,
    Rrd,
    Seed,
    say_lost_scene,
    say_notes,
    write_tracks,
    wrote,
)  # fmt: skip

if TYPE_CHECKING:
    from worldmodel.imagine import Trajectory


@app.command()
def train(
    logs: Annotated[list[Path], typer.Argument(help="Logs, or folders of logs, of one machine.")],
    out: Out,
    preset: Annotated[
        str | None, typer.Option(help="debug, small (for a CPU; the default) or base (for a GPU).")
    ] = None,
    dynamics: Annotated[str | None, typer.Option(help="residual (the default), or rssm to compare with.")] = None,
    network: Annotated[
        bool | None,
        typer.Option(help="Train a network beside the cheaper experts; by default where the log is rich enough."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="How many updates in all.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="How long in all, with all compiling, instead of steps.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Decides everything random; by default 0.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last checkpoint, with --steps or --minutes to those.")
    ] = False,
    holdout: Annotated[
        float | None,
        typer.Option(help="Share of the episodes that select, and of those that measure; by default 0.1."),
    ] = None,
    dt: Annotated[float | None, typer.Option(help="Seconds a tick; by default the fastest action's interval.")] = None,
    context: Annotated[float | None, typer.Option(help="Seconds that the model sees; by default 64 ticks.")] = None,
    horizon: Annotated[
        float | None, typer.Option(help="Seconds that it learns to imagine; by default 64 ticks.")
    ] = None,
    prior: Annotated[str | None, typer.Option(help="A scene that joins the experts, as far as it earns trust.")] = None,
    force: Force = False,
) -> None:
    """Train a model on logs and keep it, with all that imagining needs, as a run."""
    print("loading libraries", flush=True)  # before the imports, which take their time
    from worldmodel.training import train as run
    from worldmodel.training.roles import MEASURE

    trained = run(
        logs, out, preset=preset, dynamics=dynamics, steps=steps, minutes=minutes, seed=seed, resume=resume,
        holdout=holdout, dt=dt, context_s=context, horizon_s=horizon, network=network, prior=prior,
        force=force,
    )  # fmt: skip
    wrote(trained.folder)
    measured = [logs[episode.log] for episode in trained.settings.episodes if MEASURE in episode.roles]
    where, log = (shlex.quote(str(path)) for path in (out, measured[0] if measured else "ANOTHER_LOG"))
    print(f"next: worldmodel validate {where} --log {log} --out DIR, which tells how far to trust it")
    print(f"      worldmodel imagine {where} {log} --episode 0 --at SECONDS --out DIR")


@app.command()
def blend(
    run: Annotated[Path, typer.Argument(help="A trained run.")],
    prior: Annotated[str, typer.Option(help="The scene that joins its experts, as far as it earns trust.")],
    log: Annotated[
        list[Path] | None, typer.Option(help="What the run was trained on, where that has moved. May be repeated.")
    ] = None,
) -> None:
    """Let a scene join the experts of a trained run, weighted by what it does on what was left out."""
    print("loading libraries", flush=True)
    from worldmodel.training import blend as join

    wrote(join(run, prior=prior, logs=log).folder)


@app.command()
def imagine(
    run: Annotated[Path, typer.Argument(help=ASKED)],
    log: Annotated[Path, typer.Argument(help="The log that holds the moment to start from.")],
    out: Out,
    episode: Annotated[int, typer.Option(help="Which episode of the log.")],
    at: Annotated[float, typer.Option(help="The moment, in seconds of the episode.")],
    horizon: Annotated[float | None, typer.Option(help="Seconds ahead; by default as far as was trained.")] = None,
    beyond_trained: BeyondTrained = False,
    members: Annotated[int, typer.Option(help="How many futures.")] = 16,
    seed: Seed = 0,
    actions: Annotated[
        Path | None,
        typer.Option(
            help="CSV of actions to imagine under (time in seconds from --at), after what is in force; else the log's."
        ),
    ] = None,
    rrd: Rrd = None,
    mcap: Mcap = None,
    force: Force = False,
) -> None:
    """Roll out imagined futures from a moment of a log: trajectory.h5, a plot, and a video where there is one."""
    from worldmodel.files import check_output
    from worldmodel.progress import doing

    with doing(f"opening {run}"):
        from worldmodel.export.tracks import tracks_of_trajectory
        from worldmodel.imagine import imagine_to
        from worldmodel.imagine.actions import read_actions
        from worldmodel.imagine.output import TRAJECTORY_FILES
        from worldmodel.training.loading import commanded, load

        check_output(out, force, inputs=[log], replaces=TRAJECTORY_FILES)
        if actions is not None:
            read_actions(actions, commanded(run))  # a mistake is told before what takes long
        opened = load(run).on(log)
    say_notes(opened.notes)
    told: list[str] = []

    def finish(trajectory: "Trajectory") -> None:
        told.extend(trajectory.notes)
        write_tracks(lambda: tracks_of_trajectory(trajectory), rrd, mcap, force)

    with doing(f"imagining {members} futures (the first time, it is compiled)"):
        files = imagine_to(
            opened, log, out, episode=episode, at_s=at, horizon_s=horizon, members=members, seed=seed, actions=actions,
            beyond_trained=beyond_trained, force=force, then=finish,
        )  # fmt: skip
    say_notes(told)
    wrote(*files)


@app.command()
def validate(
    run: Annotated[Path, typer.Argument(help=ASKED)],
    out: Out,
    log: Annotated[Path | None, typer.Option(help="Replay: a log that nothing was learned from.")] = None,
    scene: Annotated[str | None, typer.Option(help="Counterfactual: a scene, under actions never logged.")] = None,
    twin: Annotated[
        str | None, typer.Option(help="The machine's scene, for the physical limit on a log that names none.")
    ] = None,
    learn: Annotated[
        list[Path] | None, typer.Option(help="Of a scene: what baselines learn from. May be repeated.")
    ] = None,
    predictor: Annotated[
        list[str] | None, typer.Option(help="Also score one of yours: package.module:Class. May be repeated.")
    ] = None,
    horizon: Annotated[float | None, typer.Option(help="Seconds ahead; by default as far as was trained.")] = None,
    beyond_trained: BeyondTrained = False,
    outages: Annotated[
        bool, typer.Option("--outages", help="Also: what lost, frozen and stuck sensors cost on the log.")
    ] = False,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Score a run or a scene beside baselines and the physical limit: metrics.json and report.html."""
    from rich.console import Console

    from worldmodel.files import check_output
    from worldmodel.progress import doing

    with doing("loading"):
        from worldmodel.logs import Log
        from worldmodel.report import REPORT_FILES, standing_note, summarise, summary_table, write_report
        from worldmodel.terminal import say
        from worldmodel.validate import validate as score

    check_output(out, force, inputs=[run, *([log] if log else [])], replaces=REPORT_FILES)
    if log is not None:
        with Log(log) as opened:
            say_lost_scene(opened.about)
    result = score(
        run, log=log, scene=scene, twin=twin, learn=learn or (), predictors=predictor or (), horizon_s=horizon,
        beyond_trained=beyond_trained, outages=outages, seed=seed,
    )  # fmt: skip
    files = write_report(result, out, force=force)
    console = Console()
    console.print(summary_table(result))
    summary = summarise(result)
    for sentence in filter(None, (*summary.headline, standing_note(result))):
        say(console, sentence)
    say_notes(note.text for note in summary.notes if note.tone == "warning")
    wrote(*files)
