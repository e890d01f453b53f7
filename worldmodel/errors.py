"""The one exception that users see: what was expected, what was found, what to do."""


class WorldModelError(Exception):
    """A mistake that the user can mend. The command line prints it without a traceback and exits with 2.

    Args:
        problem: what is wrong, naming the file, dataset or option.
        expected: what would have been right.
        found: what was there instead.
        remedy: what to do now.
    """

    def __init__(self, problem: str, *, expected: str = "", found: str = "", remedy: str = "") -> None:
        self.problem, self.expected, self.found = problem, expected, found
        details = {"expected": expected, "found": found, "do": remedy}
        lines = [problem, *(f"  {label + ':':<10}{text}" for label, text in details.items() if text)]
        super().__init__("\n".join(lines))


class LogFormatError(WorldModelError):
    """A file that is not a log of this version, or breaks one of its invariants."""


class SceneError(WorldModelError):
    """A scene that cannot be found, read or simulated."""


class RecipeError(WorldModelError):
    """A recipe that cannot be found or read, or that does not fit its source."""


class NoMemoryError(RecipeError):
    """A source that does not fit into memory, or not beside what is read at the same time."""


class TrainingDivergedError(WorldModelError):
    """The loss stopped being a finite number."""
