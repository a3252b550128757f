"""Taking apart JSON that may come from anybody: sizes are capped first, and what is wrong is named by its path."""

import json

from .errors import InstanceError

MAX_FILE_BYTES = 64 * 2**20
MAX_LISTS = 2_000_000  # brackets and braces; an empty list is two bytes of text and sixty of memory


def load(text: str, where: str) -> dict:
    """The JSON object of a text, its size capped before it is taken apart.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.

    Raises:
        InstanceError: if it is no JSON object, too large, nested too deep, or has a key twice.
    """
    if len(text) > MAX_FILE_BYTES or text.count("[") + text.count("{") > MAX_LISTS:
        raise InstanceError(f"too large: more than {MAX_FILE_BYTES} characters or {MAX_LISTS} lists", where)

    def unique(pairs: list[tuple[str, object]]) -> dict:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))
            raise InstanceError(f"the key {shown(twice)} stands twice in one object", where)
        return found

    try:
        data = json.loads(text.removeprefix("\ufeff"), object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InstanceError(f"not JSON: {error.msg} at column {error.colno}", where, error.lineno) from error
    except RecursionError as error:
        raise InstanceError("not an instance: lists are nested too deep", where) from error
    except InstanceError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise InstanceError(f"not JSON that can be read: {error}", where) from error
    if not isinstance(data, dict):
        raise InstanceError(f"expected a JSON object, found {shown(data)}", where)
    return data


class Walker:
    """Checks of decoded JSON; every method takes the path of what it looks at, for messages.

    Args:
        where: a path or description of the source, for messages.
    """

    def __init__(self, where: str):
        self.where = where

    def fail(self, path: str, message: str):
        raise InstanceError(f"{path}: {message}", self.where)

    def record(self, path: str, data, known: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict:
        """An object with these keys and no others; the outermost one has the path ``""``."""
        if not isinstance(data, dict):
            self.fail(path, f"expected an object with the keys {', '.join(known)}, found {shown(data)}")
        prefix = f"{path}." if path else ""
        for key in data:
            if key not in known:
                name = f"{prefix}{key}" if key.isidentifier() else shown(key)
                self.fail(name, f"unknown key; known: {', '.join(known)}")
        for key in known:
            if key not in data and key not in optional:
                self.fail(f"{prefix}{key}", f"missing; the keys are {', '.join(known)}")
        return data

    def part(self, path: str, data, key: str):
        """One entry of an object that may hold others that nobody asks for."""
        if not isinstance(data, dict):
            self.fail(path, f"expected an object, found {shown(data)}")
        if key not in data:
            self.fail(f"{path}.{key}" if path else key, "missing")
        return data[key]

    def rows(self, path: str, data, least: int, most: int) -> list:
        if not isinstance(data, list):
            self.fail(path, f"expected a list, found {shown(data)}")
        if not least <= len(data) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            self.fail(path, f"expected {wanted} entries, found {len(data)}")
        return data

    def whole(self, path: str, value, least: int, most: int, or_else: str = "") -> int:
        if type(value) is not int or not least <= value <= most:  # True is an int to isinstance
            self.fail(path, f"expected a whole number from {least} to {most}{or_else}, found {shown(value)}")
        return value

    def amount(self, path: str, value, least: int, most: int) -> int:
        """A whole number that may be written with a decimal point."""
        if type(value) is float and value.is_integer():  # neither NaN nor an infinity
            value = int(value)
        return self.whole(path, value, least, most)

    def flag(self, path: str, value) -> bool:
        if not isinstance(value, bool):
            self.fail(path, f"expected true or false, found {shown(value)}")
        return value

    def word(self, path: str, value) -> str:
        if not isinstance(value, str) or not value or not value.isprintable():
            self.fail(path, f"expected one line of printable text, found {shown(value)}")
        return value


def shown(value) -> str:
    """A piece of JSON in few characters; what is inside lists is not rendered."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**64:
        return "a number of more than 19 digits"
    text = json.dumps(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 40 else text[:40] + "..."
