"""Charts of any family: lanes, items and marks; the families' own tests look at what they put into them."""

from dataclasses import replace

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.gantt import LEGEND_ITEMS, SYMBOLS, Chart, draw, draw_ansi, draw_rgb, drawable


def chart(items: int = 2, lanes: int = 2) -> Chart:
    """One bar of 10 for each item, from lane to lane."""
    item = np.arange(items)
    return Chart(
        bars=np.column_stack([item, item % lanes, 10 * item, 10 * item + 10]), items=items, item="thing",
        lanes=[f"lane {k}" for k in range(lanes)], short=[f"L{k}" for k in range(lanes)], lane="lane",
        time="time (minutes)", unit=("minute", "minutes"), until=50, end=10 * items, caption="all done",
        names=("a name that says it all", "name"),
    )  # fmt: skip


def test_drawable_entries_name_a_lane_and_do_not_run_backwards():
    entries = np.array([[0, 0, 0, 0, 5], [0, 0, 1, 5, 5], [0, 0, 1, 5, 4], [0, 0, -1, 0, 5], [0, 0, 2, 0, 5]])
    assert drawable(entries, 2).tolist() == [True, True, False, False, False]


def test_the_axis_reaches_until_and_beyond():
    assert draw(chart(2)).axes[0].get_xlim()[1] == pytest.approx(50 * 1.012)
    assert draw(chart(9)).axes[0].get_xlim()[1] == pytest.approx(90 * 1.012)
    early = replace(chart(), bars=np.array([[0, 0, -20, 10]]))
    assert draw(early).axes[0].get_xlim()[0] == -20


def test_the_longest_name_that_fits_is_shown():
    assert draw(chart()).axes[0].get_title("left") == "a name that says it all"
    assert draw(replace(chart(), names=("x" * 500, "name"))).axes[0].get_title("left") == "name"
    assert draw(replace(chart(), names=("x" * 500,))).axes[0].get_title("left") == ""
    assert draw(chart(), title="mine").axes[0].get_title("left") == "mine"


def test_nothing_is_said_of_an_empty_schedule():
    empty = replace(chart(), bars=np.zeros((0, 4), int), end=None)
    axes = draw(empty).axes[0]
    assert axes.get_title("right") == "" and len(axes.lines) == 0 and len(axes.collections) == 0


def test_marks_point_at_their_time_in_the_colour_of_their_item():
    marked = draw(replace(chart(), marks=np.array([[1, 7], [0, 30]]))).axes[0]
    bars, points = marked.collections
    assert points.get_offsets().tolist() == [[7, -0.5], [30, -0.5]]
    assert np.array_equal(points.get_facecolors(), bars.get_facecolors()[[1, 0]])


def test_lanes_are_hatched_while_they_are_closed():
    shut = replace(chart(), closed=np.array([[1, 2, 6], [0, 45, 50]]))
    behind, bars = draw(shut).axes[0].collections
    assert behind.get_hatch() and behind.get_zorder() < bars.get_zorder()
    boxes = [path.get_extents() for path in behind.get_paths()]
    assert [(box.x0, box.x1, round((box.y0 + box.y1) / 2)) for box in boxes] == [(2, 6, 1), (45, 50, 0)]
    first, second = draw_ansi(shut, 30).splitlines()[1:3]
    assert first == "L0 0000000000.........." and second == "L1 ..####....1111111111"


@pytest.mark.parametrize("items", [LEGEND_ITEMS, LEGEND_ITEMS + 1])
def test_the_legend_is_only_for_few_items(items):
    assert (draw(chart(items)).axes[0].get_legend() is not None) == (items <= LEGEND_ITEMS)


def test_names_of_lanes_do_not_overlap():
    assert len(draw(chart(2, 10)).axes[0].get_yticks()) == 10
    axes = draw(chart(2, 500)).axes[0]
    assert 10 < len(axes.get_yticks()) < 100
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"lane {k}" for k in axes.get_yticks()]


def test_text_counts_units_and_names_symbols():
    assert draw_ansi(chart(2), 60).splitlines() == [
        "all done; a column is 1 minute; things 0-1",
        "L0 0000000000..........",
        "L1 ..........1111111111",
        "   0         10",
    ]
    assert draw_ansi(chart(5), 30).splitlines()[0] == "all done; a column is 2 minutes"[:30]
    assert "thing 0" in draw_ansi(chart(1), 60)
    assert "a = 10 to b = 11" in draw_ansi(chart(12), 70)
    assert f"to {SYMBOLS[-1]} = 61" in draw_ansi(chart(70), 99)


def test_long_names_leave_half_of_the_line():
    lines = draw_ansi(replace(chart(), short=["x" * 100, "y"]), 20).splitlines()
    assert lines[1] == "xxxxxxxxx 00000....."
    assert max(map(len, lines)) <= 20


def test_pixels_are_those_of_the_size():
    assert draw_rgb(chart(), (123, 77)).shape == (77, 123, 3)
    with pytest.raises(OptionError, match="size"):
        draw_rgb(chart(), (10, 10))
    with pytest.raises(OptionError, match="width"):
        draw_ansi(chart(), 10)
