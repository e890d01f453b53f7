"""XML from strangers as a flow of elements: no tree is kept, and no entity is expanded, as none may be declared."""

from collections.abc import Callable, Iterator
from typing import IO, NamedTuple
from xml.parsers import expat

_BLOCK = 1 << 16
_LONGEST_TEXT = 1 << 20  # characters in one element
_DEEPEST = 64
_MOST_BYTES = 1 << 30  # of one file, as it is unpacked
_TORN = (expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS], expat.errors.codes["unclosed token"])


class Element(NamedTuple):
    """An element as it begins (`text` is None then) or ends.

    Attributes:
        name: without the prefix of its namespace.
        attributes: by name, without prefixes.
        text: what stands directly in it.
    """

    name: str
    attributes: dict[str, str]
    text: str | None


class Markup:
    """Iterates over the elements of one file.

    Args:
        file: opened for reading bytes.
        advance: called with the number of bytes that were read.

    Attributes:
        torn: whether the file ended before its elements did.

    Raises:
        ValueError: if it declares a document type, or is larger or deeper than tracks are.
        expat.ExpatError: if it is no XML.
    """

    def __init__(self, file: IO[bytes], advance: Callable[[int], object]) -> None:
        self.torn = False
        self._file, self._advance = file, advance
        self._found: list[Element] = []
        self._open: list[tuple[str, dict[str, str], list[str], int]] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse

    def __iter__(self) -> Iterator[Element]:
        read = 0
        while block := self._file.read(_BLOCK):
            read += len(block)
            if read > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES >> 20} MiB")
            self._parser.Parse(block, False)
            yield from self._taken()
            self._advance(len(block))
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            if error.code not in _TORN:
                raise
            self.torn = True
        yield from self._taken()

    def _taken(self) -> list[Element]:
        found, self._found = self._found, []
        return found

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= _DEEPEST:
            raise ValueError(f"elements {_DEEPEST} deep")
        self._open.append((_local(name), {_local(key): value for key, value in attributes.items()}, [], 0))
        self._found.append(Element(*self._open[-1][:2], None))

    def _end(self, _: str) -> None:
        name, attributes, text, _length = self._open.pop()
        self._found.append(Element(name, attributes, "".join(text).strip()))

    def _characters(self, data: str) -> None:
        if not self._open:
            return
        name, attributes, text, length = self._open.pop()
        if length + len(data) > _LONGEST_TEXT:
            raise ValueError(f"an element {name} with more than {_LONGEST_TEXT} characters")
        text.append(data)
        self._open.append((name, attributes, text, length + len(data)))

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type, which tracks do not need")


def _local(name: str) -> str:
    return name.rsplit(":", 1)[-1]
