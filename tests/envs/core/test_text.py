"""The line reader skips what it should, counts lines as an editor does and takes plain digits only."""

import pytest

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.core.text import LineReader


def test_lines_are_numbered_as_in_an_editor():
    reader = LineReader("\ufeff# comment\r\n\r\n a \rb\n\n", "file")
    assert reader.number == 1
    assert (reader.line("a"), reader.number) == ("a", 3)
    assert (reader.line("b"), reader.number) == ("b", 4)
    assert reader.optional() is None and reader.number == 5


def test_other_separators_do_not_end_a_line():
    reader = LineReader("1\x0b2\x0c3\n4", "file")
    assert reader.integers(reader.line("numbers"), 3) == [1, 2, 3]
    assert (reader.line("a number"), reader.number) == ("4", 2)


def test_the_end_names_what_was_expected():
    with pytest.raises(InstanceError, match=r"^file:1: the text ends where a header was expected$"):
        LineReader("", "file").line("a header")


@pytest.mark.parametrize("token", ["1e3", "0x10", "+5", "-5", "1_000", "1.0", "nan", "12345678901", "1,2"])
def test_only_plain_digits_are_numbers(token):
    reader = LineReader(f"7\n{token}", "file")
    reader.line("a number")
    with pytest.raises(InstanceError, match=r"^file:2: expected a whole number"):
        reader.integers(reader.line("a number"), 5)
    with pytest.raises(InstanceError, match="whole number"):
        reader.integers("１", 1)


@pytest.mark.parametrize("text", ["１", "1\u00a02", "²", "\ud800"])
def test_a_line_of_content_is_ascii(text):
    with pytest.raises(InstanceError, match=r"^file:1: expected ASCII"):
        LineReader(text, "file").line("a number")


def test_comments_may_hold_anything():
    assert LineReader("# café １\n5", "file").line("a number") == "5"


def test_more_numbers_than_expected_are_refused_without_splitting_them_all():
    class Line(str):
        def split(self, separator=None, most=-1):
            assert most == 3
            return super().split(separator, most)

    reader = LineReader("", "file")
    assert reader.integers(Line("1 2 3"), 3) == [1, 2, 3]
    with pytest.raises(InstanceError, match="at most 3 numbers"):
        reader.integers(Line("1 2 3 4 5"), 3)


def test_end_refuses_another_line():
    LineReader("\n# done\n", "file").end("the numbers")
    with pytest.raises(InstanceError, match=r"^file:2: expected the end after the numbers"):
        LineReader("\nmore", "file").end("the numbers")
