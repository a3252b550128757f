"""Charts show what the schedule says, whatever the schedule is."""

import numpy as np
import pytest

import dispatchgym
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.flexible_job_shop.render import gantt, gantt_ansi, gantt_rgb

SHOP = dispatchgym.load("workshop", "flexible_job_shop")
FULL = dispatchgym.solve(SHOP, "spt")


def bars(figure):
    """The bars as (left, right, machine), read off the drawn polygons."""
    boxes = [path.get_extents() for part in figure.axes[0].collections for path in part.get_paths()]
    return sorted((round(box.x0), round(box.x1), round((box.y0 + box.y1) / 2)) for box in boxes)


def test_bars_stand_where_the_entries_say():
    figure = gantt(FULL)
    assert bars(figure) == sorted((start, end, machine) for _, _, machine, start, end in FULL.entries.tolist())
    axes = figure.axes[0]
    assert axes.get_title("right") == f"makespan {FULL.metrics()['makespan']}" and "workshop" in axes.get_title("left")
    assert axes.get_ylabel() == "machine" and gantt(FULL, title="mine").axes[0].get_title("left") == "mine"


def test_partial_and_broken_schedules_are_drawn():
    part = Schedule(SHOP, FULL.entries[:3])
    assert gantt(part).axes[0].get_title("right").startswith("3 of 10 operations, until")
    assert len(bars(gantt(part))) == 3 and bars(gantt(Schedule(SHOP, np.zeros((0, 5), int)))) == []
    broken = FULL.entries.copy()
    broken[0, 2], broken[1, 4] = 99, -5
    assert len(bars(gantt(Schedule(SHOP, broken)))) == 8


def test_the_axis_reaches_to_the_shortest_that_could_be():
    low, high = gantt(Schedule(SHOP, FULL.entries[:1])).axes[0].get_xlim()
    work = SHOP.shortest.sum(axis=1)
    assert low == 0 and high == pytest.approx(1.012 * max(work.max(), -(-work.sum() // 3)))


def test_pixels_and_text():
    assert gantt_rgb(FULL, (320, 200)).shape == (200, 320, 3) and gantt_rgb(FULL).dtype == np.uint8
    lines = gantt_ansi(FULL, 60).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["M0", "M1", "M2"] and max(map(len, lines)) <= 60
    with pytest.raises(OptionError, match="size"):
        gantt_rgb(FULL, (1, 1))
    with pytest.raises(OptionError, match="width"):
        gantt_ansi(FULL, 3)
