"""What the two command lines share: the family subcommand, its options as flags, and errors in one line."""

import contextlib
import dataclasses
import io
import sys
from collections.abc import Callable
from typing import Annotated, Any

import tyro

from .errors import DispatchGymError, OptionError, UnknownNameError
from .registry import Family, families


def with_options(base: type, entry: Family, hint: str) -> type:
    """The dataclass of a command's arguments, extended by the family's options as flags that may be left out.

    Args:
        hint: what a flag that is left out stands for, as the help says it.
    """
    extra = []
    for field in dataclasses.fields(entry.options):
        described = tyro.conf.arg(help=field.metadata["help"], help_behavior_hint=hint, metavar="VALUE")
        extra.append((field.name, Annotated[str | None, described], None))
    return dataclasses.make_dataclass(f"{base.__name__}{entry.name}", extra, bases=(base,), frozen=True)


def given_options(arguments: Any, entry: Family) -> dict:
    """The family's options that were given, as keyword arguments."""
    values = {field.name: getattr(arguments, field.name) for field in dataclasses.fields(entry.options)}
    return {name: value for name, value in values.items() if value is not None}


def parse(base: type, program: str, description: str, hint: str, default: str | None = None) -> tuple[Family, Any]:
    """Read ``program FAMILY [flags]`` from the command line.

    Args:
        base: dataclass of the flags, documented field by field.
        program: name shown in the help.
        description: shown in the help; its first line with the flags of a family.
        hint: what the family's flags stand for when left out, as the help says it.
        default: family taken when none is named.
    """
    words = sys.argv[1:]
    commands = {entry.command: entry for entry in families()}
    if default and (not words or words[0].startswith("-")):
        words = [default, *words]
    if not words or words[0] in ("-h", "--help"):
        print(f"{description}\n\nusage: {program} FAMILY [flags]\nfamilies: {', '.join(commands)}")
        print(f"\nFlags of a family: {program} {next(iter(commands))} --help")
        raise SystemExit(0 if words else 2)
    entry = commands.get(words[0].replace("_", "-"))
    if entry is None:
        raise UnknownNameError("family", words[0], commands)
    arguments = read_flags(
        with_options(base, entry, hint), words[1:], f"{program} {entry.command}", description.splitlines()[0]
    )
    if hasattr(arguments, "check"):
        arguments.check()  # not in __post_init__: tyro would wrap the error in a box of its own
    return entry, arguments


def read_flags(kind: type, words: list[str], program: str, description: str) -> Any:
    """Let tyro read the flags, and say what it finds wrong in one line instead of a box.

    Raises:
        OptionError: for a flag or a value that it does not know.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, args=words, prog=program, description=description)
    except SystemExit as stop:
        if stop.code != 2:
            raise
    box = [line.strip("│╭╮╰╯ \n") for line in said.getvalue().splitlines()[1:]]
    rule = next((number for number, line in enumerate(box) if line and not line.strip("─")), len(box))
    raise OptionError(" ".join(" ".join(box[:rule]).split()) + f"; see {program} --help")


def guarded(main: Callable[[], int]) -> None:
    """Run a command; an error of the user's becomes one line and exit status 2."""
    try:
        status = main()
    except DispatchGymError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        sys.stderr.close()
        status = 0
    raise SystemExit(status)
