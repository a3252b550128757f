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


@pytest.fixture
def words(monkeypatch):
    def put(*given: str):
        monkeypatch.setattr(sys, "argv", ["program.py", *given])

    return put


def test_the_family_is_a_subcommand(words):
    for entry in families():
        words(entry.command, "--number", "5")
        found, arguments = parse(Arguments, "program.py", "What it does.")
        assert found is entry and arguments.number == 5 and given_options(arguments, entry) == {}
    words("job_shop")
    assert parse(Arguments, "program.py", "")[0].name == "job_shop"


def test_options_of_the_family_are_flags(words):
    entry = family("job_shop")
    words("job-shop", "--construction", "0.5", "--forced-moves", "False", "--observation", "operations")
    given = given_options(parse(Arguments, "program.py", "")[1], entry)
    assert given == {"construction": "0.5", "forced_moves": "False", "observation": "operations"}
    options = entry.make_options(**given)
    assert options.delta == 0.5 and options.forced_moves is False
    names = {field.name for field in dataclasses.fields(with_options(Arguments, entry))}
    assert names == {"number"} | {field.name for field in dataclasses.fields(entry.options)}


def test_a_default_family_may_be_left_out(words):
    for given in ((), ("--number", "4")):
        words(*given)
        assert parse(Arguments, "program.py", "", default="job-shop")[0].name == "job_shop"
    words()
    with pytest.raises(SystemExit) as caught:
        parse(Arguments, "program.py", "")
    assert caught.value.code == 2


def test_an_unknown_family_lists_the_known_ones(words):
    words("flow-shop")
    with pytest.raises(UnknownNameError, match="unknown family 'flow-shop'; known: .*job"):
        parse(Arguments, "program.py", "")


def test_help_names_the_families_and_flags(words, capsys):
    words("--help")
    with pytest.raises(SystemExit) as caught:
        parse(Arguments, "program.py", "What it does.")
    out = capsys.readouterr().out
    assert caught.value.code == 0 and "What it does." in out and all(entry.command in out for entry in families())
    words("job-shop", "--help")
    with pytest.raises(SystemExit) as caught:
        parse(Arguments, "program.py", "What it does.")
    out = capsys.readouterr().out
    assert caught.value.code == 0 and "--number" in out and "--construction" in out and "non-delay" in out


@pytest.mark.parametrize("given", [("--numbr", "3"), ("--number", "three"), ("--number",), ("stray",)], ids=str)
def test_a_flag_that_means_nothing_is_refused(words, given, capsys):
    words("job-shop", *given)
    with pytest.raises(SystemExit) as caught:
        parse(Arguments, "program.py", "")
    assert caught.value.code == 2 and given[0].lstrip("-")[:5] in capsys.readouterr().err


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
