"""Runs the benchmark: trains each seed, asks all predictors the same starts, and keeps what is finished."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from worldmodel.benchmark.catalogue import PROBLEMS
from worldmodel.benchmark.data import Logs, make_logs, sources
from worldmodel.benchmark.outage import places
from worldmodel.benchmark.problem import BenchmarkProblem, Recorded
from worldmodel.benchmark.rows import Row, rows_of
from worldmodel.benchmark.scenes import Given, SceneModel
from worldmodel.benchmark.tables import FILES, write_tables
from worldmodel.errors import WorldModelError
from worldmodel.files import check_output, readable, whole_file
from worldmodel.logs.reader import Log
from worldmodel.models.experts.rich import RICH
from worldmodel.models.experts.team import NETWORK
from worldmodel.progress import doing
from worldmodel.simulate import BEHAVIOURS
from worldmodel.training import Run, train
from worldmodel.training.folder import RunFolder
from worldmodel.training.settings import plain_json
from worldmodel.validate import Model, Result, score, validate
from worldmodel.validate.counterfactual import counterfactual
from worldmodel.validate.forecast import load_predictor, name_of
from worldmodel.validate.labels import LOOKS
from worldmodel.validate.predictors import rivals

COUNTERFACTUAL = "counterfactual"
_STATES, _COMMANDS = 64, 32
_UNTRAINED = tuple(BEHAVIOURS)[1:]
RSSM = "rssm"  # the field's reference; trained for as long on the same logs where it is asked for


def benchmark(
    out: Path | str,
    *,
    problems: Sequence[str] | None = None,
    models: Sequence[Any] | None = None,
    minutes: float | None = None,
    seeds: int = 3,
    data: Path | str | None = None,
    training: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> list[Path]:
    """Measures models on the benchmark's problems; a second call goes on where the first was stopped.

    Args:
        out: a folder; gets `benchmark.json`, `benchmark.md`, `benchmark.html`, and a folder a problem.
        problems: which; by default all whose recordings are there.
        models: names of predictors that tables are to show, by default all that a run brings; `rssm`, which is then
            trained too; scenes (`wm.load`), their folders or shipped ones' names, which are called by the name of their
            folder, and left out with a note of what they do not fit; and predictors of the user's as `validate` takes
            them. One with a method `fit(windows, minutes=..., seed=...)` is fitted first, on the training log's windows
            (`Log.windows`).
        minutes: of training, for each model; by default what the problem says.
        seeds: how many.
        data: the folder of recordings.
        training: further arguments of `train`; where they say `steps`, minutes do not count.
        progress: show bars.

    Returns:
        The three files.

    Raises:
        WorldModelError: for a name that is not known, recordings that are not there, an `out` that holds something
            else, or a scene that does not fit the only problem.
    """
    out = Path(out)
    _check_numbers(minutes, seeds)
    asked = _Models.of(models)
    chosen = _chosen(problems, None if data is None else Path(data))
    check_output(out, True, replaces=(*FILES, *PROBLEMS))
    rows: list[Row] = []
    notes: dict[str, list[str]] = {}
    if not (out / FILES[0]).exists():
        write_tables(out, rows, notes)  # by which a folder is known that was left in its first seed
    for problem, files in chosen:
        length, only = minutes or problem.minutes, len(chosen) == 1
        task = _Task(problem, length, dict(training or {}), asked, out / problem.name, only, progress)
        for seed in range(seeds):
            measured = task.measured(seed, files)
            rows += measured.rows
            notes.setdefault(problem.name, []).extend(f"Seed {seed}: {note}" for note in measured.notes)
            write_tables(out, rows, notes)
    return [out / name for name in FILES]


@dataclasses.dataclass(frozen=True)
class _Models:
    """Whom to measure.

    Attributes:
        shown: names that tables are to show; None for all.
        given: the user's predictors, and what they were named by.
        scenes: the user's.
        rssm: whether to train one.
    """

    shown: frozenset[str] | None
    given: tuple[tuple[str, Any], ...]
    scenes: tuple[Given, ...]
    rssm: bool

    @classmethod
    def of(cls, models: Sequence[Any] | None) -> "_Models":
        """Reads what the user asks for.

        Raises:
            WorldModelError: for a name that no predictor has, a scene that cannot be read, or one of another's name.
        """
        known = tuple(dict.fromkeys((*LOOKS, *RICH, NETWORK, RSSM)))
        scenes = [m for m in models or () if m not in known and Given.is_one(m)]
        others = [m for m in models or () if not any(m is scene for scene in scenes)]
        names = [str(m) for m in others if isinstance(m, str | Path) and ":" not in str(m)]
        if unknown := [name for name in names if name not in known]:
            raise WorldModelError(
                f"There is no model {unknown[0]!r}.",
                expected=f"{', '.join(known)}, package.module:Class, or the folder of a scene, with its scene.toml",
            )
        given = tuple((str(m), load_predictor(m)) for m in others if str(m) not in names)
        asked = tuple(map(Given, scenes))
        own = [*(name_of(predictor) for _, predictor in given), *(scene.name for scene in asked)]
        if twice := [scene.name for scene in asked if (*known, *own).count(scene.name) > 1]:
            raise WorldModelError(
                f"Two models are called {twice[0]}.", expected="a name for each", remedy="rename the scene's folder"
            )
        return cls(frozenset({*names, *own}) if names else None, given, asked, RSSM in names)


class _Measured(NamedTuple):
    """What came of one seed: its rows, and what is to be known of its runs."""

    rows: list[Row]
    notes: list[str]


@dataclasses.dataclass(frozen=True)
class _Task:
    """One problem, with all that a seed of it needs. `folder` gets its logs, runs and finished rows.

    A scene that does not fit is refused where this is the `only` problem, and else left out with a note.
    """

    problem: BenchmarkProblem
    minutes: float
    training: dict[str, Any]
    models: _Models
    folder: Path
    only: bool
    progress: bool

    def measured(self, seed: int, files: Sequence[Path]) -> _Measured:
        """One seed; that of an earlier call, if it asked for the same."""
        kept = self.folder / f"seed{seed}" / "rows.json"
        if kept.exists():
            with readable(kept):
                earlier = json.loads(kept.read_text())
            if earlier["asked"] == self._asked:
                return _Measured([Row.from_json(raw) for raw in earlier["rows"]], earlier.get("notes", []))
        with doing(f"{self.problem.name}, seed {seed}: logs"):
            logs = make_logs(self.problem, self.folder, seed, files)
        scenes, left_out = self._scenes(seed, logs)
        run = self._trained("run", seed, logs, self.minutes)
        others = [*(self._fitted(predictor, seed, logs) for _, predictor in self.models.given), *scenes]
        notes = [*run.notes, *left_out]
        if self.models.rssm:
            both = 2 * self.minutes  # its run's other experts, who are not asked, have up to half
            rssm = self._trained("run_rssm", seed, logs, both, dynamics=RSSM)
            if rssm.model is None:
                notes.append(f"The {RSSM} had no time for the whole horizon and is not measured.")
            else:
                others.append(_Rssm(rssm, seed))
        away = places(run, logs.outage, self.problem.out_s, seed) if logs.outage else ()
        found = rows_of(self.problem, seed, self._results(run, others, seed, logs), away)
        shown = [row for row in found if self.models.shown is None or row.model in self.models.shown]
        found_out = {"asked": self._asked, "notes": notes, "rows": [row.to_json() for row in shown]}
        with whole_file(kept, force=True) as path:
            path.write_text(plain_json(found_out, indent=1))
        return _Measured(shown, notes)

    @property
    def _asked(self) -> dict[str, Any]:
        shown = None if self.models.shown is None else sorted(self.models.shown)
        given = [name for name, _ in self.models.given]
        asked = {"minutes": self.minutes, "training": self.training, "models": shown, "given": given}
        scenes = {scene.name: scene.sha256 for scene in self.models.scenes}
        return asked | ({"scenes": scenes} if scenes else {})

    def _scenes(self, seed: int, logs: Logs) -> tuple[list[SceneModel], list[str]]:
        """The scenes that fit the problem's tests, and what is to be known of them and of the others."""
        found, notes = [], []
        for scene in self.models.scenes:
            try:
                found.append(scene.on(logs.tests.values(), seed))
            except WorldModelError as error:
                if self.only:
                    raise
                notes.append(f"{scene.name} is left out: {error.problem}")
            else:
                notes += [f"{scene.name}: {note}" for note in found[-1].notes]
        return found, notes

    def _results(self, run: Run, others: Sequence[Any], seed: int, logs: Logs) -> dict[str, Result]:
        """By test, what came of it."""
        found = {test: self._validated(run, log, others, seed) for test, log in logs.tests.items()}
        return found | ({COUNTERFACTUAL: self._pushed(run, others, seed)} if self.problem.counterfactual else {})

    def _trained(self, name: str, seed: int, logs: Logs, minutes: float, **more: Any) -> Run:
        """A run of this seed, trained to the end."""
        path, p = self.folder / f"seed{seed}" / name, self.problem
        length = {} if "steps" in self.training else {"minutes": minutes}
        resume = RunFolder(path).has_run
        if resume:
            self._check(path, minutes)
        options: dict[str, Any] = {
            "dt": p.dt, "context_s": p.context_s, "horizon_s": p.horizon_s, "holdout": p.holdout,
        }  # fmt: skip
        if p.free_run and not more:
            options["network"] = False  # which is no help so far beyond the horizon that it was trained for
        return train(
            [logs.train], path, seed=seed, resume=resume, progress=self.progress,
            **{**options, **length, **self.training, **more},
        )  # fmt: skip

    def _check(self, path: Path, minutes: float) -> None:
        """Refuses to go on with a run of another length: it would be compared with others of this one."""
        settings = RunFolder(path).read_settings()
        steps = self.training.get("steps")
        asked = (steps, None if steps else minutes)
        if (settings.steps, settings.minutes) != asked:
            raise WorldModelError(
                f"{path} is of another benchmark.",
                expected=f"{asked[0]} steps" if steps else f"{asked[1]:g} minutes of training",
                found=f"{settings.steps} steps" if settings.steps else f"{settings.minutes:g} minutes",
                remedy="give another --out, or remove that folder",
            )

    def _fitted(self, predictor: Any, seed: int, logs: Logs) -> Any:
        if not hasattr(predictor, "fit"):
            return predictor
        p = self.problem
        with doing(f"{p.name}, seed {seed}: fitting {name_of(predictor)}"), Log(logs.train) as log:
            windows = log.windows(context_s=p.context_s, horizon_s=p.horizon_s, dt=p.dt)
            predictor.fit(windows, minutes=self.minutes, seed=seed)
        return predictor

    def _validated(self, run: Run, log: Path, others: Sequence[Any], seed: int) -> Result:
        horizon_s = self._free_run_s(run, log) if self.problem.free_run else None
        return validate(
            run, log=log, predictors=others, horizon_s=horizon_s, beyond_trained=True,
            max_starts=self.problem.max_starts, seed=seed, progress=self.progress,
        )  # fmt: skip

    def _pushed(self, run: Run, others: Sequence[Any], seed: int) -> Result:
        """What becomes of one state under many commands, excited otherwise than in training."""
        scene = self.problem.logs.scene  # type: ignore[union-attr]
        ways = [_UNTRAINED[i % len(_UNTRAINED)] for i in range(_COMMANDS)]
        horizon = run.horizon_ticks(None)
        asked = counterfactual(run, scene, horizon, seed, self.progress, states=_STATES, behaviours=ways)
        with asked as problem:
            return score(problem, [run, *rivals(run), *others], seed=seed, progress=self.progress)

    def _free_run_s(self, run: Run, path: Path) -> float:
        """From the end of the first context of the log's one record to its last tick, in seconds."""
        with Log(path) as log:
            ticks = int(run.layout.count(log.durations_s[0]))
        return (ticks - run.context) * run.layout.dt


class _Rssm(Model):
    """The recurrent state-space model of a run, without its other experts."""

    def __init__(self, run: Run, seed: int) -> None:
        super().__init__(run, seed, alone=True)
        self.name = RSSM


def _check_numbers(minutes: float | None, seeds: int) -> None:
    if minutes is not None and not 0 < minutes < float("inf"):
        raise WorldModelError("minutes must be positive and finite.", found=str(minutes))
    if seeds < 1:
        raise WorldModelError("seeds says how many.", expected="1 or more", found=str(seeds))


def _chosen(names: Sequence[str] | None, data: Path | None) -> list[tuple[BenchmarkProblem, list[Path]]]:
    """The problems asked for, and their recordings; by default all simulated ones and those whose recordings are there.

    Raises:
        WorldModelError: if a problem is not known, or its recordings are not there.
    """
    for name in names or ():
        if name not in PROBLEMS:
            raise WorldModelError(f"There is no problem {name!r}.", expected=", ".join(PROBLEMS))
    if data is not None and not data.is_dir():
        raise WorldModelError(f"The folder of recordings {data} does not exist.", remedy="give another with --data")
    wanted = dict.fromkeys(names) if names else [name for name, p in PROBLEMS.items() if _is_there(p, data)]
    return [(PROBLEMS[name], sources(PROBLEMS[name], data)) for name in wanted]


def _is_there(problem: BenchmarkProblem, data: Path | None) -> bool:
    recorded = isinstance(problem.logs, Recorded)
    return not recorded or (data is not None and any(data.glob(problem.logs.files)))  # type: ignore[union-attr]
