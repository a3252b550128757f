"""Reading numbers from text that may come from anybody, always knowing the line."""

import io
import re
from typing import NoReturn

from .errors import InstanceError

MAX_DIGITS = 10


class LineReader:
    """Walks over the lines of a text, skipping empty lines and lines that start with ``#``.

    Args:
        text: the whole text; a leading byte order mark is dropped.
        where: a path or description of the source, for messages.

    Attributes:
        number: the one-based line last looked at; 1 before the first.
    """

    def __init__(self, text: str, where: str):
        self.where, self.number = where, 1
        # A StringIO hands out one line at a time: splitting the text would make millions of strings at once.
        self._lines = enumerate(io.StringIO(text.removeprefix("\ufeff"), newline=None), 1)

    def fail(self, message: str) -> NoReturn:
        """Raise an InstanceError at the current line."""
        raise InstanceError(message, self.where, self.number)

    def optional(self) -> str | None:
        """The next line of content without surrounding blanks, or None at the end.

        Raises:
            InstanceError: if the line holds anything but ASCII.
        """
        for number, line in self._lines:
            self.number, line = number, line.strip()
            if line and not line.startswith("#"):
                if not line.isascii():
                    strange = re.search(r"[^\x00-\x7f]", line).group()
                    self.fail(f"expected ASCII digits and words, found {strange!r}")
                return line
        return None

    def line(self, expected: str) -> str:
        """The next line of content.

        Raises:
            InstanceError: if there is none, naming what was ``expected``.
        """
        line = self.optional()
        if line is None:
            self.fail(f"the text ends where {expected} was expected")
        return line

    def integers(self, line: str, most: int) -> list[int]:
        """The whole numbers of a line, at least 0; no more than ``most + 1`` pieces of it are ever made.

        Raises:
            InstanceError: if there are more than ``most``, or one is not plain digits or is too long.
        """
        tokens = line.split(None, most)
        if len(tokens) > most:
            self.fail(f"expected at most {most} numbers in this line, found more")
        for token in tokens:
            if not (token.isascii() and token.isdecimal()) or len(token) > MAX_DIGITS:
                shown = token if len(token) <= 20 else token[:20] + "..."
                self.fail(f"expected a whole number of at most {MAX_DIGITS} digits, found {shown!r}")
        return list(map(int, tokens))

    def end(self, after: str) -> None:
        """Check that nothing but empty lines and comments follows.

        Raises:
            InstanceError: if something does.
        """
        if self.optional() is not None:
            self.fail(f"expected the end after {after}, found another line")
