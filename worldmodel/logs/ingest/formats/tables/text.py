"""The bytes of a text file on their way to the parser: encoding, comments, and what is torn at the end."""

import codecs
import dataclasses
import itertools
import math
import re
from typing import TYPE_CHECKING

import numpy as np

from worldmodel.logs.ingest.formats.tables.fields import HEAD, fields_of
from worldmodel.logs.ingest.formats.tables.layout import Layout
from worldmodel.logs.ingest.formats.tables.members import head_of

if TYPE_CHECKING:
    import pyarrow as pa

_TAIL = 1 << 16


@dataclasses.dataclass(frozen=True)
class Body:
    """A text in UTF-8, or a part of it.

    Attributes:
        buffer: its bytes.
        line: which line of the file the first is, counted from 0.
        notes: what was left out.
    """

    buffer: "pa.Buffer"
    line: int = 0
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.buffer.size

    def lines(self) -> list[str]:
        """The first lines, without their ends."""
        head = head_of(self.buffer, HEAD)
        lines = head.decode("utf-8", "replace").splitlines()
        return lines[:-1] if len(head) < len(self) and len(lines) > 1 else lines

    def from_line(self, count: int) -> "Body":
        """What is left after so many lines."""
        head = head_of(self.buffer, HEAD)
        ends = [match.end() for match in re.finditer(rb"\r\n|\n|\r", head)]
        start = 0 if not count else ends[count - 1] if count <= len(ends) else len(self)
        return dataclasses.replace(self, buffer=self.buffer.slice(start), line=self.line + count)

    def without_torn_line(self, layout: Layout) -> "Body":
        """Without the last line if it has no end and fewer fields than there are names."""
        tail = self.buffer.slice(max(0, len(self) - _TAIL)).to_pybytes()
        start = max(tail.rfind(b"\n"), tail.rfind(b"\r")) + 1
        last = tail[start:]
        fields = fields_of(last.decode("utf-8", "replace"), layout.delimiter)
        if not last.strip() or len(fields) >= len([name for name in layout.names if name]):
            return self
        note = f"the last line is torn, and was left out: {last[:60].decode('utf-8', 'replace')!r}"
        return dataclasses.replace(self, buffer=self.buffer.slice(0, len(self) - len(last)), notes=(*self.notes, note))

    def with_single(self, delimiter: str) -> "Body":
        """With one delimiter in place of every run of blanks."""
        import pyarrow as pa

        text = re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", self.buffer.to_pybytes())
        return dataclasses.replace(self, buffer=pa.py_buffer(re.sub(rb"[ \t]+", delimiter.encode(), text)))

    def in_utf8(self) -> "Body":
        """With a mark in place of every byte that is no UTF-8."""
        import pyarrow as pa

        text = self.buffer.to_pybytes().decode("utf-8", "replace")
        return dataclasses.replace(self, buffer=pa.py_buffer(text.encode()))

    @property
    def shows_zeros(self) -> bool:
        """Whether there are zero bytes at its beginning or its end."""
        return b"\0" in head_of(self.buffer, HEAD) or b"\0" in self.buffer.slice(max(0, len(self) - _TAIL)).to_pybytes()

    def without_zeros(self) -> "Body":
        """With an empty line in place of each that has zero bytes in it, so that lines keep their numbers."""
        import pyarrow as pa

        if not len(self) or np.frombuffer(self.buffer, np.uint8).min():
            return self
        text, count = re.subn(rb"[^\r\n\0]*\0[^\r\n]*", b"", self.buffer.to_pybytes())
        note = f"{count} lines with zero bytes in them, as of a lost supply, were left out"
        return dataclasses.replace(self, buffer=pa.py_buffer(text), notes=(*self.notes, note))

    def line_of(self, text: str) -> int:
        """Which line of the file begins as a text does, counted from 1."""
        data = memoryview(self.buffer).tobytes()
        return self.line + data[: max(0, data.find(text.encode()))].count(b"\n") + 1


def body_of(buffer: "pa.Buffer", encoding: str, mark: int, comment: str | None) -> Body:
    """A file's text, without a mark at its beginning, zeros at its end, and lines of comment.

    Raises:
        ValueError: if it is not in that encoding.
    """
    import pyarrow as pa

    body = buffer.slice(mark)
    notes: list[str] = []
    if codecs.lookup(encoding).name != "utf-8":
        body = pa.py_buffer(body.to_pybytes().decode(encoding, "replace").encode())
        notes = [f"its text is {encoding}"] if encoding == "cp1252" else []
    body, zeros = _without_zeros(body)
    if zeros:
        notes.append(f"{zeros} zero bytes at its end were left out")
    if not body.size:
        raise ValueError("it is empty")
    if comment and comment.encode() in memoryview(body).tobytes():
        # An empty line in place of each, so that lines keep their numbers.
        pattern = rb"(?m)^" + re.escape(comment.encode()) + rb"[^\r\n]*"
        body = pa.py_buffer(re.sub(pattern, b"", body.to_pybytes()))
    return Body(body, 0, tuple(notes))


def in_pieces(buffer: "pa.Buffer", encoding: str, most: float) -> list["pa.Buffer"]:
    """Whole lines, about alike and not much more than `most` bytes; all of them where the end of one is no byte."""
    count = math.ceil(buffer.size / most) if "\n".encode(encoding) == b"\n" else 1
    ends = {_end_of_line(buffer, buffer.size * i // count) for i in range(1, count)}
    edges = [0, *sorted(ends - {buffer.size}), buffer.size]
    return [buffer.slice(a, b - a) for a, b in itertools.pairwise(edges)]


def lines_in(buffer: "pa.Buffer") -> int:
    """How many lines end in it, counted without a copy of it."""
    parts = (buffer.slice(start, min(_TAIL, buffer.size - start)) for start in range(0, buffer.size, _TAIL))
    return sum(part.to_pybytes().count(b"\n") for part in parts)


def _end_of_line(buffer: "pa.Buffer", start: int) -> int:
    """Where the next line begins; the end where there is none."""
    while start < buffer.size:
        part = buffer.slice(start, min(_TAIL, buffer.size - start)).to_pybytes()
        if b"\n" in part:
            return start + part.index(b"\n") + 1
        start += len(part)
    return buffer.size


def _without_zeros(buffer: "pa.Buffer") -> tuple["pa.Buffer", int]:
    """Without the zero bytes at the end, which a machine that lost its power leaves; and how many those were."""
    end = buffer.size
    while end:
        start = max(0, end - _TAIL)
        there = np.flatnonzero(np.frombuffer(buffer.slice(start, end - start), np.uint8))
        if len(there):
            return buffer.slice(0, start + int(there[-1]) + 1), buffer.size - (start + int(there[-1]) + 1)
        end = start
    return buffer.slice(0, 0), buffer.size
