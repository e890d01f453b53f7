"""What can be wrong with what the command line is given, and what its message then says.

Words that begin with OUT, IN, GOOD, OTHER, DIFFERENT, RUN or LOG stand for paths that a test fills in: an empty folder,
one with the small files below, logs of the cart-pole, of other worlds and of another machine, a run, and a broken log.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from tests.command_line import TRAINING

RECIPE = """
format = "worldmodel-recipe"
version = 1
[clock]
column = "t"
[streams.s]
kind = "sensor"
columns = { x = "x" }
rate_hz = 50
[streams.a]
kind = "action"
columns = { u = "u" }
rate_hz = 50
"""
TABLE = "t,x,u\n" + "".join(f"{i / 50},{i},{-i}\n" for i in range(2000))
FILES = {  # small files that are wrong, or right for a command that is wrong otherwise
    "table.csv": TABLE,
    "recipe.toml": RECIPE,
    "syntax.toml": "format = [",
    "misspelt.toml": RECIPE.replace("rate_hz", "rate_Hz", 1),
    "encoding.toml": RECIPE.replace("version = 1", 'version = 1\nencoding = "hex"'),
    "cut.toml": RECIPE + "[cut]\nevery_s = 0\n",
    "skips.toml": RECIPE.replace("version = 1", "version = 1\nskip = 100000"),
    "no_column.toml": RECIPE.replace('x = "x"', 'x = "y"'),
    "wrong_type.toml": RECIPE.replace("rate_hz = 50", 'rate_hz = "fast"', 1),
    "strict.toml": RECIPE.replace('column = "t"', 'column = "t"\nduplicates = "error"'),
    "empty.csv": "",
    "no_clock.csv": "x,u\n1,2\n2,3\n",
    "header.csv": "t,x,u\n",
    "twice.csv": "t,x,u,x\n0,1,1,1\n0.1,2,2,2\n",
    "words.csv": "t,x,u\n0,many,1\n",
    "ragged.csv": "t,x,u\n0,1,2\n0.1,2\n",
    "back.csv": "t,x,u\n0,1,1\n0.2,2,2\n0.1,3,3\n",
    "cut.parquet": "PAR1",
    "fake.mp4": "not a film",
    "other.bag": "unknown",
    "wide_push.csv": "time,force,extra\n0,1,2\n",
    "other_push.csv": "time,torque\n0,1\n",
    "back_push.csv": "time,force\n0,1\n0,2\n",
    "words_push.csv": "time,force\n0,hard\n",
    "header_push.csv": "time,force\n",
    "empty_push.csv": "",
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])


def edited(change: Callable[[h5py.File], object]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return apply


def go_back(file: h5py.File) -> None:
    for offset in file["streams/cart/offsets"][:6]:  # of each episode that is not empty
        file["streams/cart/time"][int(offset) + 7] = 0.0


def widen(file: h5py.File) -> None:
    data = np.repeat(file["streams/push/data"][:], 2, 1)
    del file["streams/push/data"]
    file["streams/push/data"] = data


def keep_no_episode(file: h5py.File) -> None:
    for table in file["episodes"].values():
        table.resize(0, axis=0)


def keep_one_empty_episode(file: h5py.File) -> None:
    for name, value in (("name", "empty"), ("origin_utc", math.nan), ("duration", 0.0)):
        file["episodes"][name].resize(1, axis=0)
        file["episodes"][name][0] = value
    for section in ("streams", "truth"):
        for stream in file[section].values():
            stream["offsets"][:] = 0


def shorten(file: h5py.File) -> None:
    """Episodes of 0.5 s, of which context and horizon would need 0.8."""
    file["episodes/duration"][:] = 0.5


def scribble(path: Path) -> None:
    """Writes over the first group's names, a kilobyte into the file."""
    with open(path, "r+b") as file:
        content = file.read()
        at = content.index(b"streams")
        file.seek(max(at - 64, 0))
        file.write(b"\xff" * 160)


def make_words(file: h5py.File) -> None:
    shape = file["streams/cart/data"].shape
    del file["streams/cart/data"]
    file["streams/cart/data"] = np.full(shape, b"word", "S4")


BROKEN_LOGS = {  # how a good log is broken, and what the message says
    "text": (lambda path: path.write_text("not a log"), ["not an HDF5 file", "worldmodel ingest"]),
    "nothing": (lambda path: path.write_bytes(b""), ["not an HDF5 file", "do:"]),
    "truncated": (cut, ["damaged or truncated", "copy or record it again"]),
    "hdf5": (edited(lambda file: file.attrs.__delitem__("format")), ["not a log of this toolkit", "do:"]),
    "version": (edited(lambda file: file.attrs.__setitem__("version", 3)), ["another version", "version 3", "do:"]),
    "no_time": (edited(lambda file: file.__delitem__("streams/cart/time")), ["lacks", "/streams/cart/time", "do:"]),
    "no_rows": (edited(lambda file: file.__delitem__("episodes/name")), ["lacks", "/episodes/name", "do:"]),
    "times": (edited(go_back), ["'cart'", "do not increase", "row 7", "do:"]),
    "few_names": (edited(lambda file: file["episodes/name"].resize((1,))), ["not whole", "and 1", "do:"]),
    "kind_of_type": (edited(lambda file: file["streams/cart"].attrs.__setitem__("rate_hz", "fast")), ["wrong type"]),
    "no_rate": (edited(lambda file: file["streams/cart"].attrs.__setitem__("rate_hz", 0.0)), ["'cart' has no rate"]),
    "damaged": (scribble, ["is damaged", "do:"]),
    "words": (edited(make_words), ["/streams/cart has data or times of the wrong type", "|S4"]),
    "versions": (edited(lambda file: file.attrs.__setitem__("version", [1, 1])), ["damaged, or built otherwise"]),
    "no_length": (edited(lambda file: file["episodes/duration"].__setitem__(0, np.nan)), ["no length", "nan"]),
    "wide": (edited(widen), ["/streams/push/data", "wrong shape", "[1]", "[2]"]),
    "missing": (Path.unlink, ["does not exist"]),
    "no_episode": (edited(keep_no_episode), ["no episode"]),
}  # fmt: skip
READERS = {  # each command that reads a log, which stands for LOG
    "inspect": ("inspect", "LOG", "--plot", "OUT/log.png"),
    "train": ("train", "LOG", *TRAINING, "--out", "OUT/run"),
    "imagine": ("imagine", "RUN", "LOG", "--episode", 0, "--at", 2, "--out", "OUT/imagined"),
    "validate": ("validate", "RUN", "--log", "LOG", "--out", "OUT/report"),
}
IMAGINE = ("imagine", "RUN", "GOOD", "--out", "OUT/imagined")
NOW = ("--episode", 0, "--at", 2)
LATE = ("--episode", 0, "--at", 3.9)
TRAIN = ("train", "GOOD", "--preset", "debug", "--out", "OUT/run")
VALIDATE = ("validate", "RUN", "--out", "OUT/report")
SIMULATE = ("simulate", "cartpole", "--episodes", 1, "--out", "OUT/log.h5")
INGEST = ("ingest", "--out", "OUT/log.h5")
WITH_RECIPE = (*INGEST, "--recipe", "IN/recipe.toml")


class Case(NamedTuple):
    """A command and what its message says."""

    words: tuple
    says: tuple[str, ...]


CASES = {
    "no command": Case(("simulat",), ("No such command", "--help")),
    "no output named": Case(("simulate", "cartpole"), ("--out", "--help")),
    "unknown scene": Case(("simulate", "nowhere", "--out", "OUT/log.h5"), ("'nowhere'", "cartpole", "do:")),
    "scene is a file": Case(("simulate", "IN/table.csv", "--out", "OUT/log.h5"), ("no scene", "scene.toml", "do:")),
    "scene: TOML syntax": Case(("simulate", "IN/scene_syntax", "--out", "OUT/log.h5"), ("not valid TOML", "do:")),
    "scene: misspelt": Case(("simulate", "IN/scene_misspelt", "--out", "OUT/log.h5"), ("smoth_s", "'smooth_s'")),
    "scene: malformed MJCF": Case(("simulate", "IN/scene_mjcf", "--out", "OUT/log.h5"), ("not a valid MJCF", "do:")),
    "scene: no MJCF": Case(("simulate", "IN/scene_without", "--out", "OUT/log.h5"), ("the key model", "expected:")),
    "scene: unstable": Case(("simulate", "IN/scene_unstable", "--out", "OUT/log.h5"), ("unstable", "timestep")),
    "nothing to suggest from": Case(("simulate", "--suggest", "IN/none.xml"), ("There is no model", "do:")),
    "no seconds": Case((*SIMULATE, "--seconds", 0), ("0 seconds", "expected:")),
    "seconds below a step": Case((*SIMULATE, "--seconds", 0.001), ("0.001 seconds", "0.005 or more")),
    "endless seconds": Case((*SIMULATE, "--seconds", "inf"), ("inf seconds", "expected:")),
    "no number": Case((*SIMULATE, "--seconds", "long"), ("--seconds", "--help")),
    "no episodes": Case(("simulate", "cartpole", "--episodes", 0, "--out", "OUT/log.h5"), ("--episodes", "--help")),
    "negative seed": Case((*SIMULATE, "--seed", -1), ("--seed", "--help")),
    "folder is a file": Case(("simulate", "cartpole", "--out", "IN/table.csv/a.h5"), ("cannot be written", "do:")),
    "simulated log exists": Case(("simulate", "cartpole", "--out", "GOOD"), ("exists already", "--force")),
    "ingested log exists": Case((*WITH_RECIPE, "IN/table.csv", "--out", "GOOD"), ("exists already", "--force")),
    "plot exists": Case(("inspect", "GOOD", "--plot", "IN/table.csv"), ("exists already", "--force")),
    "run exists": Case(("train", "GOOD", "--out", "RUN"), ("exists already", "--force")),
    "imagined exists": Case(("imagine", "RUN", "GOOD", *NOW, "--out", "IN"), ("exists already", "--force")),
    "run holds others": Case(("train", "GOOD", "--out", "IN", "--force"), ("earlier output", "back.csv")),
    "imagined holds others": Case(("imagine", "RUN", "GOOD", *NOW, "--out", "IN", "--force"), ("earlier output",)),
    "report holds others": Case(("validate", "RUN", "--log", "GOOD", "--out", "IN", "--force"), ("earlier output",)),
    "log is its own picture": Case(("inspect", "GOOD", "--plot", "GOOD", "--force"), ("is or holds an input",)),
    "table is its own log": Case((*WITH_RECIPE, "IN/table.csv", "--out", "IN/table.csv", "--force"), ("an input",)),
    "imagined over the log": Case(("imagine", "RUN", "GOOD", *NOW, "--out", "GOOD", "--force"), ("holds an input",)),
    "report over the log": Case(("validate", "RUN", "--log", "GOOD", "--out", "GOOD", "--force"), ("holds an input",)),
    "report over the run": Case(("validate", "RUN", "--log", "GOOD", "--out", "RUN", "--force"), ("holds an input",)),
    "run over a file": Case(("train", "GOOD", "--out", "IN/table.csv", "--force"), ("no folder",)),
    "report exists": Case(("validate", "RUN", "--log", "GOOD", "--out", "IN"), ("exists already", "--force")),
    "no source": Case((*INGEST, "IN/none.mp4"), ("does not exist", "expected:")),
    "folder without sources": Case((*INGEST, "IN/scene_without"), ("holds no file that can be ingested", "expected:")),
    "no length of an episode": Case((*INGEST, "IN/table.csv", "--cut-every", 0), ("--cut-every", "seconds above 0")),
    "a word for a length": Case((*INGEST, "IN/table.csv", "--cut-every", "long"), ("--cut-every", "--help")),
    "episodes of no sample": Case((*WITH_RECIPE, "IN/table.csv", "--cut-every", 1e-6), ("longer ones", "do:")),
    "a recipe that cuts at no length": Case((*INGEST, "IN/table.csv", "--recipe", "IN/cut.toml"), ("cut.every_s",)),
    "no film": Case((*INGEST, "IN/fake.mp4"), ("no video that can be decoded", "do:")),
    "no telemetry": Case((*INGEST, "IN/plain.mp4", "--format", "gopro"), ("no GPMF telemetry", "do:")),
    "unknown format": Case((*INGEST, "IN/other.bag"), ("'.bag'", "do:")),
    "no recipe and no clock": Case((*INGEST, "IN/no_clock.csv"), ("No clock can be told", "period_s")),
    "unknown recipe": Case((*INGEST, "IN/table.csv", "--recipe", "nowhere"), ("'nowhere'", "double_pendulum", "do:")),
    "recipe: syntax": Case((*INGEST, "IN/table.csv", "--recipe", "IN/syntax.toml"), ("not valid TOML", "do:")),
    "recipe: misspelt": Case((*INGEST, "IN/table.csv", "--recipe", "IN/misspelt.toml"), ("streams.s.rate_hz",)),
    "recipe: no column": Case((*INGEST, "IN/table.csv", "--recipe", "IN/no_column.toml"), ("lacks columns", "do:")),
    "recipe: wrong type": Case((*INGEST, "IN/table.csv", "--recipe", "IN/wrong_type.toml"), ("rate_hz", "'fast'")),
    "recipe: encoding": Case((*INGEST, "IN/table.csv", "--recipe", "IN/encoding.toml"), ("encoding", "'hex'")),
    "recipe: skips all": Case((*INGEST, "IN/table.csv", "--recipe", "IN/skips.toml"), ("skips 100000 lines",)),
    "recipe for a film": Case((*WITH_RECIPE, "IN/plain.mp4"), ("with a recipe", "do:")),
    "empty table": Case((*WITH_RECIPE, "IN/empty.csv"), ("cannot be read as a table", "expected:")),
    "column twice": Case((*WITH_RECIPE, "IN/twice.csv"), ("more than one column", "do:")),
    "scene without a step": Case(("simulate", "IN/scene_step", "--out", "OUT/a.h5"), ("no physics step",)),
    "table without rows": Case((*WITH_RECIPE, "IN/header.csv"), ("no rows", "do:")),
    "words for numbers": Case((*WITH_RECIPE, "IN/words.csv"), ("does not hold numbers", "'x'", "expected:")),
    "ragged table": Case((*WITH_RECIPE, "IN/ragged.csv"), ("cannot be read as a table", "expected:")),
    "times go back": Case((*INGEST, "IN/back.csv", "--recipe", "IN/strict.toml"), ("do not increase", "row 2", "do:")),
    "cut Parquet": Case((*WITH_RECIPE, "IN/cut.parquet"), ("cannot be read as a table", "expected:")),
    "second source is bad": Case((*WITH_RECIPE, "IN/table.csv", "IN/words.csv"), ("words.csv", "expected:")),
    "size": Case((*INGEST, "IN/plain.mp4", "--size", "64"), ("--size", "64x64")),
    "size of zero": Case((*INGEST, "IN/plain.mp4", "--size", "0x64"), ("--size", "64x64")),
    "size in odd digits": Case((*INGEST, "IN/plain.mp4", "--size", "²x2"), ("--size", "64x64")),
    "plot of no episode": Case(("inspect", "GOOD", "--plot", "OUT/a.png", "--episode", 9), ("episode 9", "0 to 6")),
    "plot in no format": Case(("inspect", "GOOD", "--plot", "OUT/a.xyz"), (".png",)),
    "plot without ending": Case(("inspect", "GOOD", "--plot", "OUT/plot"), (".png",)),
    "folder without logs": Case(("inspect", "IN/scene_without"), ("holds no log", "expected:")),
    "unknown preset": Case((*TRAIN, "--preset", "huge"), ("'huge'", "debug, small, base")),
    "no steps": Case((*TRAIN, "--steps", 0), ("--steps", "--help")),
    "negative minutes": Case((*TRAIN, "--minutes", -1), ("minutes must be positive",)),
    "minutes and steps": Case((*TRAIN, "--minutes", 1, "--steps", 1), ("steps and minutes", "one of them")),
    "holding out all": Case((*TRAIN, "--holdout", 1), ("holdout", "< 0.5")),
    "endless context": Case((*TRAIN, "--context", "inf"), ("context",)),
    "endless tick": Case((*TRAIN, "--dt", "inf"), ("dt",)),
    "negative tick": Case((*TRAIN, "--dt", -0.1), ("dt must be positive",)),
    "context too long": Case((*TRAIN, "--context", 30), ("context plus the horizon", "30.00 s", "do:")),
    "nothing to resume": Case(("train", "GOOD", "--out", "OUT/run", "--resume"), ("holds no run", "do:")),
    "resume with another seed": Case(("train", "GOOD", "--out", "RUN", "--resume", "--seed", 7), ("--seed", "do:")),
    "resume for less time": Case(("train", "GOOD", "--out", "RUN", "--resume", "--minutes", 1e-4), ("as long",)),
    "resume on other data": Case(("train", "OTHER", "--out", "RUN", "--resume"), ("other data", "do:")),
    "resume on other streams": Case(("train", "DIFFERENT", "--out", "RUN", "--resume"), ("other streams", "do:")),
    "logs of two machines": Case(("train", "GOOD", "DIFFERENT", "--out", "OUT/run"), ("other streams", "do:")),
    "no run": Case(("imagine", "IN", "GOOD", *NOW, "--out", "OUT/x"), ("holds no run", "do:")),
    "run of other streams": Case(("imagine", "RUN", "DIFFERENT", *NOW, "--out", "OUT/x"), ("other streams", "do:")),
    "no such episode": Case((*IMAGINE, "--episode", 7, "--at", 2), ("episode 7", "0 to 6")),
    "negative episode": Case((*IMAGINE, "--episode", -1, "--at", 2), ("episode -1", "0 to 6")),
    "before the context": Case((*IMAGINE, "--episode", 0, "--at", 0.1), ("0.1 s is no moment", "--at")),
    "after the end": Case((*IMAGINE, "--episode", 0, "--at", 60), ("60 s is no moment", "--at")),
    "at no number": Case((*IMAGINE, "--episode", 0, "--at", "nan"), ("nan s is no moment", "--at")),
    "no actions that far": Case((*IMAGINE, *LATE, "--horizon", 0.8), ("ends before the horizon", "--actions")),
    "far beyond the trained": Case((*IMAGINE, *NOW, "--horizon", 1), ("trained to imagine 0.4 s", "--beyond-trained")),
    "negative horizon": Case((*IMAGINE, *NOW, "--horizon", -1), ("horizon must be positive",)),
    "endless horizon": Case((*IMAGINE, *NOW, "--horizon", "inf"), ("horizon",)),
    "no members": Case((*IMAGINE, *NOW, "--members", 0), ("at least one member",)),
    "actions too wide": Case((*IMAGINE, *NOW, "--actions", "IN/wide_push.csv"), ("that no action has", "force")),
    "other actions": Case((*IMAGINE, *NOW, "--actions", "IN/other_push.csv"), ("'torque' that no action has", "force")),
    "actions go back": Case((*IMAGINE, *NOW, "--actions", "IN/back_push.csv"), ("do not increase",)),
    "actions in words": Case((*IMAGINE, *NOW, "--actions", "IN/words_push.csv"), ("words_push.csv", "CSV")),
    "actions without rows": Case((*IMAGINE, *NOW, "--actions", "IN/header_push.csv"), ("header_push.csv",)),
    "actions in an empty file": Case((*IMAGINE, *NOW, "--actions", "IN/empty_push.csv"), ("empty_push.csv",)),
    "no file of actions": Case((*IMAGINE, *NOW, "--actions", "IN/none.csv"), ("none.csv", "No such file")),
    "neither log nor scene": Case(VALIDATE, ("one of a log and a scene",)),
    "log and scene": Case((*VALIDATE, "--log", "GOOD", "--scene", "cartpole"), ("one of a log and a scene",)),
    "validated on no scene": Case((*VALIDATE, "--scene", "nowhere"), ("'nowhere'", "cartpole", "do:")),
    "validated on another scene": Case((*VALIDATE, "--scene", "double_pendulum"), ("has no stream", "cart", "do:")),
    "validated on other streams": Case((*VALIDATE, "--log", "DIFFERENT"), ("other streams", "do:")),
    "validated too far": Case((*VALIDATE, "--log", "OTHER", "--horizon", 99), ("trained to imagine 0.4 s", "do:")),
    "validated endlessly": Case((*VALIDATE, "--log", "OTHER", "--horizon", "inf"), ("horizon",)),
    "validated backwards": Case((*VALIDATE, "--log", "OTHER", "--horizon", -1), ("horizon must be positive",)),
}  # fmt: skip
ON_A_FULL_DISK = {  # bytes that a file may have, and the command
    "simulate": (20_000, SIMULATE),
    "ingest": (20_000, (*WITH_RECIPE, "IN/table.csv")),
    "inspect": (1_000, ("inspect", "GOOD", "--plot", "OUT/a.png")),
    "train at once": (100, (*TRAIN, *TRAINING)),
    "train at a checkpoint": (20_000, (*TRAIN, *TRAINING)),
    "imagine": (10_000, (*IMAGINE, *NOW, "--members", 5)),
    "validate": (20_000, (*VALIDATE, "--log", "OTHER")),
    "validate in a scene": (20_000, (*VALIDATE, "--scene", "cartpole")),
}
