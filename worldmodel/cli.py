"""The command line. Heavy libraries are imported by the command that needs them, so that `--help` answers at once."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worldmodel.errors import WorldModelError
from worldmodel.version import __version__

if TYPE_CHECKING:
    from worldmodel.logs.reader import Log

app = typer.Typer(
    name="worldmodel",
    help="Learn a world model from a machine's own recordings, imagine what its sensors read next, and measure how far "
    "to trust it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(asked: bool) -> None:
    if asked:
        print(f"worldmodel {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Say which it is.")
    ] = False,
) -> None: ...


Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Decides everything random.")]
Out = Annotated[Path, typer.Option("--out", help="What to write.")]
BeyondTrained = Annotated[
    bool, typer.Option("--beyond-trained", help="Allow a --horizon of more than twice what was trained.")
]


def main() -> None:
    """Runs a command; a mistake of the user's ends with its message and exit code 2."""
    try:
        app()
    except (WorldModelError, OSError) as error:
        print("\n  or:       ".join([f"error: {error}", *getattr(error, "__notes__", [])]), file=sys.stderr)
        sys.exit(2)
    except (MemoryError, OverflowError) as error:
        print(
            f"error: That is more than this machine can hold.\n  found:    {error}\n  do:       ask for less",
            file=sys.stderr,
        )
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


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

    _wrote(run(scene, out, episodes=episodes, seconds=seconds, seed=seed, force=force))


@app.command()
def ingest(
    sources: Annotated[list[str], typer.Argument(help="Files, folders or patterns, of any format in docs/formats.md.")],
    out: Annotated[Path | None, typer.Option("--out", help="What to write.")] = None,
    kind: Annotated[str | None, typer.Option("--format", help="Of all of them; by default each is detected.")] = None,
    recipe: Annotated[
        str | None, typer.Option(help="How a table's columns become streams: a shipped recipe or a TOML file.")
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="HxW", help="Rows x columns of video.")] = None,
    dbc: Annotated[Path | None, typer.Option(help="What the messages of a CAN bus mean: a DBC file.")] = None,
    suggest: Annotated[bool, typer.Option("--suggest", help="Print a first recipe for a table instead.")] = False,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster that reads, whose nodes see the same files.")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Make everything that is found an error.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Leave out sources that are refused, and say why.")] = False,
    force: Force = False,
) -> None:
    """Turn recordings into a log. Goes on where it was stopped."""
    from worldmodel.logs.ingest import ingest as run
    from worldmodel.logs.ingest import suggest as first_recipe

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
        dbc=dbc,
        size=_parse_size(size),
        strict=strict,
        skip=skip,
        ray=ray,
        force=force,
    )
    for note in report.lines:
        print(f"note: {note}")
    print(f"{len(report.episodes)} episodes with {', '.join(report.streams)}")
    _wrote(report.path)


@app.command()
def inspect(
    logs: Annotated[list[Path], typer.Argument(help="Logs, or folders of logs, of one machine.")],
    plot: Annotated[Path | None, typer.Option(help="Also draw an episode into this PNG file.")] = None,
    episode: Annotated[int, typer.Option(help="Which episode to draw.")] = 0,
    health: Annotated[bool, typer.Option("--health", help="Check it instead: what is wrong, and what to do.")] = False,
    html: Annotated[Path | None, typer.Option(help="Of --health: also write a page with pictures.")] = None,
    dt: Annotated[float | None, typer.Option(help="Of --health: seconds a tick; by default as training.")] = None,
    force: Force = False,
) -> None:
    """Say what a log holds: episodes, streams, measured rates, gaps, ranges, units."""
    from worldmodel.logs import Log, plot_log, print_summary

    opened = Log(logs)
    if health or html is not None:
        _health(opened, html, dt, force)
    else:
        print_summary(opened)
    _say_lost_scene(opened.about)
    if plot is not None:
        _wrote(plot_log(opened, plot, episode, force=force))


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
    force: Force = False,
) -> None:
    """Train a model on logs and keep it, with all that imagining needs, as a run."""
    print("loading libraries", flush=True)  # before the imports, which take their time
    from worldmodel.training import train as run

    trained = run(
        logs, out, preset=preset, dynamics=dynamics, steps=steps, minutes=minutes, seed=seed, resume=resume,
        holdout=holdout, dt=dt, context_s=context, horizon_s=horizon, network=network, force=force,
    )  # fmt: skip
    _wrote(trained.folder)


@app.command()
def imagine(
    run: Annotated[Path, typer.Argument(help="A trained run.")],
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
    force: Force = False,
) -> None:
    """Roll out imagined futures from a moment of a log: trajectory.h5, a plot, and a video where there is one."""
    from worldmodel.files import check_output
    from worldmodel.progress import doing

    with doing(f"opening the run {run}"):
        from worldmodel.imagine import imagine_to
        from worldmodel.imagine.output import TRAJECTORY_FILES
        from worldmodel.training import load_run

        check_output(out, force, inputs=[log], replaces=TRAJECTORY_FILES)
        opened = load_run(run)
    with doing(f"imagining {members} futures (the first time, it is compiled)"):
        files = imagine_to(
            opened, log, out, episode=episode, at_s=at, horizon_s=horizon, members=members, seed=seed, actions=actions,
            beyond_trained=beyond_trained, force=force,
        )  # fmt: skip
    _wrote(*files)


@app.command()
def validate(
    run: Annotated[Path, typer.Argument(help="A trained run.")],
    out: Out,
    log: Annotated[Path | None, typer.Option(help="Replay: a log that the run was not trained on.")] = None,
    scene: Annotated[str | None, typer.Option(help="Counterfactual: a scene, under actions never logged.")] = None,
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
    """Score a run beside baselines and the physical limit: metrics.json and report.html."""
    from rich.console import Console

    from worldmodel.files import check_output
    from worldmodel.progress import doing

    with doing("loading"):
        from worldmodel.logs import Log
        from worldmodel.report import REPORT_FILES, summarise, summary_table, write_report
        from worldmodel.validate import validate as score

    check_output(out, force, inputs=[run, *([log] if log else [])], replaces=REPORT_FILES)
    if log is not None:
        with Log(log) as opened:
            _say_lost_scene(opened.about)
    result = score(
        run, log=log, scene=scene, predictors=predictor or (), horizon_s=horizon, beyond_trained=beyond_trained,
        outages=outages, seed=seed,
    )  # fmt: skip
    files = write_report(result, out, force=force)
    Console().print(summary_table(result))
    print("\n".join(summarise(result).headline))
    _wrote(*files)


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
        from worldmodel.benchmark import benchmark as run
    *_, text, page = run(
        out, problems=_listed(problems), models=_listed(models), minutes=minutes, seeds=seeds, data=data
    )
    print(text.read_text(encoding="utf-8"))
    _wrote(out / "benchmark.json", text, page)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="The folder to work in.")] = Path("runs/demo"),
    seed: Seed = 0,
) -> None:
    """The whole road on the rover scene: simulate, train, imagine, validate, report. Goes on where it was stopped."""
    from worldmodel.progress import doing

    with doing("loading"):
        from worldmodel.demo import demo as run
    _wrote(*run(out, seed=seed))


def _say_lost_scene(about: Mapping[str, object]) -> None:
    from worldmodel.simulate import lost_scene

    if note := lost_scene(about):
        print(f"note: {note}")


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

        _wrote(write_page(found, html, force=force))


def _parse_size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise WorldModelError("--size is wrong.", expected="rows x columns, such as 64x64", found=repr(text))
    if int(parts[0]) * int(parts[1]) > 1 << 24:
        raise WorldModelError("--size is more than a model can see.", expected="up to 4096x4096", found=text)
    return int(parts[0]), int(parts[1])


def _listed(words: list[str] | None) -> list[str] | None:
    """What an option gives that may be repeated, or hold several between commas."""
    return [part for word in words for part in word.split(",") if part] if words else None


def _wrote(*paths: Path) -> None:
    for path in paths:
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
