"""Windows: what they must be, and when work fits between them, counted one time unit after the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatchgym.envs.core.errors import InstanceError
from dispatchgym.envs.job_shop.calendars import MAX_WINDOWS, as_windows, fit, last_end, of_machine, work_until

cuts = st.lists(st.integers(0, 40), max_size=8, unique=True).map(sorted)
rows = cuts.map(lambda times: list(zip(times[::2], times[1::2], strict=False)))


@given(rows, st.integers(0, 45), st.integers(0, 12))
def test_work_fits_where_no_window_is_in_the_way(windows, start, length):
    closed = {t for begin, end in windows for t in range(begin, end)}
    found = fit(windows, start, length)
    free = (t for t in range(start, 100) if not closed & set(range(t, t + length)))
    inside = {t for begin, end in windows for t in range(begin + 1, end)}  # where not even nothing may take place
    assert found == next(t for t in free if length or t not in inside)


@given(rows, st.integers(0, 45), st.integers(1, 30))
def test_work_is_done_when_as_many_open_time_units_have_passed(windows, start, work):
    closed = {t for begin, end in windows for t in range(begin, end)}
    opened = [t for t in range(start, 200) if t not in closed]
    assert work_until(windows, start, work) == opened[work - 1] + 1


@given(st.lists(rows, min_size=1, max_size=4))
def test_arrays_hold_what_they_were_made_of(windows):
    array = as_windows(windows, len(windows), 40, "here")
    assert [of_machine(array, k) for k in range(len(windows))] == windows
    if not any(windows):
        assert array is None and last_end(array) == 0
        return
    assert last_end(array) == max(end for row in windows for _, end in row) and not array.flags.writeable
    assert (as_windows(array, len(windows), 40, "here") == array).all()


@pytest.mark.parametrize(
    "windows, words",
    [
        ([[(1, 2)]], "list of windows for each of the 2 machines"),
        ("no", "list of windows for each of the 2 machines"),
        ([[], [(1, 2, 3)]], "machine 1 must be pairs of whole numbers"),
        ([[], [(1.5, 2)]], "machine 1 must be pairs of whole numbers"),
        ([[], [(1,), (2, 3)]], "machine 1 must be pairs of whole numbers"),
        ([[(3, 3)], []], "machine 0: window 3 to 3 is not after 0"),
        ([[(3, 5), (4, 9)], []], "machine 0: window 4 to 9 is not after 5"),
        ([[(-2, 5)], []], "machine 0: window -2 to 5 is not after 0"),
        ([[(3, 41)], []], "machine 0: window 3 to 41 .* over by 40"),
        ([[(-1, -1), (3, 4)], [(1, 2), (-1, -1)]], "machine 0: padding"),
        ([[], [(2 * t, 2 * t + 1) for t in range(MAX_WINDOWS + 1)]], "windows, limit"),
    ],
)
def test_nonsense_is_refused(windows, words):
    with pytest.raises(InstanceError, match=f"here: .*{words}"):
        as_windows(windows, 2, 40, "here")


def test_touching_windows_are_two():
    assert of_machine(as_windows([[(1, 3), (3, 5)]], 1, 40, "here"), 0) == [(1, 3), (3, 5)]
    assert fit([(1, 3), (3, 5)], 0, 2) == 5 and np.int64(fit([], 3, 9)) == 3
