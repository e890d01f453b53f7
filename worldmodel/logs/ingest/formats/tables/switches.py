"""Words for two states, such as ON and OFF."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_STATES = (
    ("off", "on"), ("closed", "open"), ("close", "open"), ("no", "yes"), ("false", "true"), ("disabled", "enabled"),
    ("inactive", "active"), ("stopped", "running"),
)  # fmt: skip
_LOOKED_AT = 100


def switched(column: "pa.ChunkedArray") -> dict[str, float]:
    """What the words of a column stand for, 0 or 1, as they are spelt; empty unless all are of one pair of states."""
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return {}
    return _states(column.drop_null().slice(0, _LOOKED_AT)) and _states(column)


def _states(column: "pa.ChunkedArray") -> dict[str, float]:
    words = [str(word) for word in column.unique().drop_null()]
    told = [word.strip().lower() for word in words]
    pair = next((pair for pair in _STATES if set(told) <= {*pair, ""}), None)
    if pair is None or not any(told):
        return {}
    return {word: float(pair.index(plain)) for word, plain in zip(words, told, strict=True) if plain}


def described(states: dict[str, float]) -> str:
    """What is said of words that are taken for numbers."""
    return ", ".join(f"{word.strip()} is taken for {value:g}" for word, value in states.items())
