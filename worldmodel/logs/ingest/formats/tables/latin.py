"""Names in letters without marks: `Höhe` is `hoehe`, `año` is `ano`."""

import re
import unicodedata

_IN_TWO = str.maketrans({
    "ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "oe", "å": "aa", "ł": "l", "đ": "d",
    "º": " ", "ª": " ",  # of degrees, and no letters
})  # fmt: skip


def words_of(name: str) -> str:
    """A name in lower case whose words are parted by underscores, as it is called in Latin letters without marks.

    Those of other alphabets are kept.
    """
    letters = unicodedata.normalize("NFC", name).lower().translate(_IN_TWO)
    bare = "".join(letter for letter in unicodedata.normalize("NFKD", letters) if not unicodedata.combining(letter))
    return re.sub(r"[\W_]+", "_", bare).strip("_")
