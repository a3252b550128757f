"""Files that may come from anybody: an error names the file, the line, what is there and what was expected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.flexible_job_shop.instance import FlexibleJobShopInstance, parse
from dispatchgym.envs.flexible_job_shop.reader import MAX_CELLS, MAX_TIME

GOOD = "2 2 1.5\n2 1 1 5 2 1 6 2 7\n1 1 2 9\nrelease 0 4\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "the text ends where a first line 'jobs machines'"),
        ("2\n", 1, "expected 'jobs machines' .* found 1 number$"),
        ("2 2 1.5 7\n", 1, "at most 3 numbers in this line|whole number"),
        ("2 2 x\n", 1, "whole number .* found 'x'"),
        ("2 2 1.5.5\n", 1, "whole number"),
        ("2 -2\n", 1, "whole number .* found '-2'"),
        ("0 2\n", 1, "0 jobs on 2 machines"),
        ("9999999 9999999\n", 1, "expected at least 1 of each and at most"),
        ("99999999999 2\n", 1, "at most 10 digits"),
        ("2 2\n1 1 1 5\n", 2, "the text ends where the line of job 1 of 2"),
        ("2 2\n0\n1 1 2 9\n", 2, "job 0: 0 operations, expected 1 to"),
        (f"1 1\n{MAX_CELLS + 1} 1 1 1\n", 2, "operations, expected 1 to"),
        ("1 2\n2 1 1 5\n", 2, "job 0, operation 1: the line ends where its number of machines"),
        ("1 2\n1 0\n", 2, "job 0, operation 0: 0 machines, expected 1 to 2"),
        ("1 2\n1 3 1 1 2 2 3 3\n", 2, "3 machines, expected 1 to 2"),
        ("1 2\n1 2 1 5 2\n", 2, "expected 2 pairs of machine and time, the line ends after 3"),
        ("1 2\n1 1 1 5 7\n", 2, "job 0: 1 numbers too many after its 1 operations"),
        ("1 2\n1 1 3 5\n", 2, "machine 3, but there are 2"),
        ("1 2\n1 2 1 5 1 6\n", 2, "a machine is named twice"),
        (f"1 2\n1 1 1 {MAX_TIME + 1}\n", 2, "time .* on machine 1 is not 0 to"),
        ("2 2\n1 1 0 5\n1 1 2 5\n", 3, r"machines 0 \(line 2\) and 2 \(line 3\) do not go together"),
        (f"2 1\n1 1 1 {MAX_TIME // 2}\n1 1 1 {MAX_TIME // 2}\n", 3, "job 1: the longest times"),
        ("1 2\n1 1 1 5\nrelease\n", 3, "expected 1 releases, found 0"),
        ("1 2\n1 1 1 5\nrelease 1 2\n", 3, "at most 1 numbers"),
        (f"1 2\n1 1 1 5\nrelease {MAX_TIME}\n", 3, "release"),
        ("1 2\n1 1 1 5\nrelease 1\nrelease 1\n", 4, "expected the end after the releases"),
        ("1 2\n1 1 1 5\n1 1 1 5\n", 3, "expected the end or 'release' after 1 jobs"),
        ("1 2\n1 1 1 ５\n", 2, "ASCII"),
        ("1 2\n1 1 1 5.0\n", 2, "whole number"),
    ],
)
def test_damage_is_named_with_file_and_line(text, line, message):
    with pytest.raises(InstanceError, match=message) as caught:
        parse(text, "some/file.fjs")
    assert (caught.value.where, caught.value.line) == ("some/file.fjs", line)


def test_the_good_one_is_good():
    assert parse(GOOD).release.tolist() == [0, 4]


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("0123456789 .-\nrx\t#\0é"), st.booleans())
def test_a_changed_or_cut_text_is_read_or_refused(place, letter, cut):
    text = GOOD[:place] if cut else GOOD[:place] + letter + GOOD[place + 1 :]
    try:
        assert isinstance(parse(text), FlexibleJobShopInstance)
    except InstanceError as error:
        assert error.line is not None
