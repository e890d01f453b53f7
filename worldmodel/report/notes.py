"""What to mind about the whole: does the model use the actions, and do its intervals hold what they promise?"""

from typing import NamedTuple

from worldmodel.codecs import codec
from worldmodel.terminal import listing
from worldmodel.validate.labels import coverage90, listed
from worldmodel.validate.result import Result

_NARROW, _WIDE = 0.80, 0.97  # coverage of a 90 % interval below and above which it misleads
_IGNORES, _WEAK = 1.05, 1.2  # action sensitivity
_FEW_EPISODES = 5
_NAMED = 8  # columns that stand still


class Note(NamedTuple):
    """A remark on the whole; `tone` is `good`, `plain` or `warning`."""

    tone: str
    text: str


def notes(result: Result) -> list[Note]:
    """The remarks on a result, computed from its figures only."""
    made = (
        _roles(result), _kinds(result), _actions(result), *_calibration(result), _episodes(result), _standing(result),
    )  # fmt: skip
    return [note for note in made if note]


def _roles(result: Result) -> Note | None:
    return Note("warning", result.shared_roles) if result.shared_roles else None


def _kinds(result: Result) -> Note | None:
    return Note("plain", f"What is commanded: {result.setting.actions}") if result.setting.actions else None


def _actions(result: Result) -> Note | None:
    ratio = result.action_sensitivity
    if ratio is None:
        return None
    said = f"with the actions shuffled among the starts, its error is {ratio:.2f} times as large"
    if ratio < _IGNORES:
        return Note("warning", f"The model all but ignores the actions: {said}. Do not trust it to compare actions.")
    if ratio < _WEAK:
        return Note("plain", f"The model uses the actions a little: {said}.")
    return Note("good", f"The model uses the actions: {said}.")


def _calibration(result: Result) -> list[Note]:
    covered = coverage90(result)
    groups = {
        "narrow": {n: c for n, c in covered.items() if c < _NARROW},
        "wide": {n: c for n, c in covered.items() if c > _WIDE},
        "good": {n: c for n, c in covered.items() if _NARROW <= c <= _WIDE},
    }
    texts = {
        "narrow": (
            "warning",
            "Overconfident: the 90 % intervals are too narrow and hold only {} of the readings on {}.",
        ),
        "wide": ("plain", "Underconfident: the 90 % intervals are too wide and hold {} of the readings on {}."),
        "good": ("good", "Well calibrated: the 90 % intervals hold {} of the readings on {}."),
    }
    return [
        Note(tone, text.format(_range(groups[key]), listed(list(groups[key]))))
        for key, (tone, text) in texts.items()
        if groups[key]
    ]


def _range(shares: dict[str, float]) -> str:
    low, high = round(100 * min(shares.values())), round(100 * max(shares.values()))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _standing(result: Result) -> Note | None:
    return Note("plain", text) if (text := standing_note(result)) else None


def standing_note(result: Result) -> str:
    """A sentence that names the columns on which there is no verdict; empty if there are none."""
    here = [name for stream, still in result.still.items() for name in _named(result, stream, still.measured)]
    before = {
        stream: tuple(c for c in still.trained if c not in still.measured) for stream, still in result.still.items()
    }
    once = [name for stream, columns in before.items() for name in _named(result, stream, columns)]
    said = []
    if here:
        verb = "stands still or is not read" if len(here) == 1 else "stand still or are not read"
        said.append(f"{listing(here, _NAMED)} {verb} in what is measured")
    if once:
        said.append(f"{listing(once, _NAMED)} stood still in all that was learned from")
    return f"Not judged: {'; '.join(said)}." if said else ""


def _named(result: Result, stream: str, columns: tuple[str, ...]) -> list[str]:
    """Columns with their stream's name, of all of it the stream's alone."""
    what = codec(result.streams[stream])
    every = columns == what.error_labels[what.figure]
    return [stream] if every else [f"{stream}.{column}" for column in columns]


def _episodes(result: Result) -> Note | None:
    count = result.setting.episodes
    if count >= _FEW_EPISODES:
        return None
    if count == 1:
        text = "There is only one episode, so nothing can be said about chance: 'better' is not 'clearly better' here."
    else:
        text = f"There are only {count} episodes, so the intervals, and what they call clear, are rough."
    return Note("warning", text)
