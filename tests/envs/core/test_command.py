"""What the command lines share: subcommands, options as flags, and one line for every error of a user's."""

import dataclasses
import sys

import pytest

import dispatchgym  # noqa: F401  (registers the families)
from dispatchgym.envs.core.command import given_options, guarded, parse, with_options
from dispatchgym.envs.core.errors import DispatchGymError, OptionError, UnknownNameError
from dispatchgym.envs.core.registry import families, family


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Flags."""

    number: int = 3
    """A number."""


TEXT = "What it does.\n\nprogram.py job-shop --number 4"
HINT = "(default: as ever)"


def read(default: str | None = None):
    """Parse the words that were put on the command line."""
    return parse(Arguments, "program.py", TEXT, HINT, default)


@pytest.fixture
def words(monkeypatch):
    def put(*given: str):
        monkeypatch.setattr(sys, "argv", ["program.py", *given])

    return put


def test_the_family_is_a_subcommand(words):
    for entry in families():
        words(entry.command, "--number", "5")
        found, arguments = read()
        assert found is entry and arguments.number == 5 and given_options(arguments, entry) == {}


def test_options_of_the_family_are_flags(words):
    entry = family("job_shop")
    words("job-shop", "--construction", "0.5", "--forced-moves", "False", "--observation", "operations")
    given = given_options(read()[1], entry)
    assert given == {"construction": "0.5", "forced_moves": "False", "observation": "operations"}
    options = entry.make_options(**given)
    assert options.delta == 0.5 and options.forced_moves is False
    names = {field.name for field in dataclasses.fields(with_options(Arguments, entry, HINT))}
    assert names == {"number"} | {field.name for field in dataclasses.fields(entry.options)}


def test_a_default_family_may_be_left_out(words):
    for given in ((), ("--number", "4")):
        words(*given)
        found, arguments = read(default="job-shop")
        assert found.name == "job_shop" and arguments.number == (4 if given else 3)
    words()
    with pytest.raises(SystemExit) as caught:
        read()
    assert caught.value.code == 2


def test_an_unknown_family_lists_the_known_ones(words):
    for default in (None, "job-shop"):
        words("flow-shop", "--number", "5")
        with pytest.raises(UnknownNameError) as caught:
            read(default)
        commands = ", ".join(sorted(entry.command for entry in families()))
        assert str(caught.value) == f"unknown family 'flow-shop'; known: {commands}"
    assert "job-shop" in commands, "families are listed by the word that the command line takes"


@pytest.fixture
def helped(words, capsys):
    """What is shown for a command line that asks for help."""

    def ask(*given: str, default: str | None = None) -> str:
        words(*given)
        with pytest.raises(SystemExit) as caught:
            read(default)
        captured = capsys.readouterr()
        assert caught.value.code == 0 and captured.err == ""
        return " ".join(captured.out.replace("│", " ").split())

    return ask


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_names_the_families_and_flags(helped, asked):
    out = helped(asked)
    assert " ".join(TEXT.split()) in out and all(entry.command in out for entry in families())
    assert "--number" not in out.replace(" ".join(TEXT.split()), "")
    out = helped("job-shop", asked)
    assert "--number INT A number. (default: 3)" in out and "non-delay" in out
    for field in dataclasses.fields(family("job_shop").options):
        assert f"--{field.name.replace('_', '-')} VALUE {field.metadata['help']} {HINT}" in out
    assert "None" not in out, "a flag that may be left out is not one that takes None"
    assert "What it does." in out and "program.py job-shop --number 4" not in out


def test_help_of_a_default_family_shows_its_flags(helped):
    assert helped("--help", default="job-shop") == helped("job-shop", "--help")
    assert helped("-h", default="job-shop") == helped("job-shop", "-h", default="job-shop")


@pytest.mark.parametrize("given", [("--numbr", "3"), ("--number", "three"), ("--number",), ("stray",)], ids=str)
def test_a_flag_that_means_nothing_is_refused(words, given, capsys):
    words("job-shop", *given)
    with pytest.raises(OptionError) as caught:
        read()
    message = str(caught.value)
    assert given[0] in message and message.endswith("; see program.py job-shop --help")
    assert "\n" not in message and not set(message) & set("│╭╮╰╯─"), "a box was cut into pieces"
    captured = capsys.readouterr()
    assert captured.out == captured.err == "", "it was said twice"


def raising(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize(
    ("main", "status", "said"),
    [
        (lambda: 0, 0, ""),
        (lambda: 1, 1, ""),
        (raising(OptionError("--number must be odd")), 2, "error: --number must be odd\n"),
        (raising(DispatchGymError("found nothing")), 2, "error: found nothing\n"),
        (raising(KeyboardInterrupt()), 130, "interrupted\n"),
    ],
    ids=range(5),
)
def test_exit_status(main, status, said, capsys):
    with pytest.raises(SystemExit) as caught:
        guarded(main)
    assert caught.value.code == status and capsys.readouterr().err == said


def test_an_error_of_the_programs_own_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        guarded(raising(ZeroDivisionError()))


def test_a_reader_that_has_gone_is_no_error(monkeypatch):
    closed = []
    monkeypatch.setattr(sys, "stderr", type("Gone", (), {"close": lambda self: closed.append(True)})())
    with pytest.raises(SystemExit) as caught:
        guarded(raising(BrokenPipeError()))
    assert caught.value.code == 0 and closed
