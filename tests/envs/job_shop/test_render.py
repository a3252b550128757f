"""Charts show what the schedule says, whatever the schedule is."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatchgym
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.gantt import LEGEND_ITEMS
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.job_shop.conditions import Conditions
from dispatchgym.envs.job_shop.instance import JobShopInstance
from dispatchgym.envs.job_shop.render import gantt, gantt_ansi, gantt_rgb
from dispatchgym.envs.job_shop.world import shutdowns


def shop(jobs: int, machines: int, length: int = 10) -> JobShopInstance:
    route = np.stack([np.roll(np.arange(machines), -job) for job in range(jobs)]).astype(np.int32)
    return JobShopInstance("shop", machines, np.full((jobs, machines), length, np.int32), route)


def full(instance: JobShopInstance) -> Schedule:
    """Operations appended step by step."""
    free_job, free_machine, rows = [0] * instance.jobs, [0] * instance.machines, []
    for step in range(instance.duration.shape[1]):
        for job in range(instance.jobs):
            machine = int(instance.machine[job, step])
            start = max(free_job[job], free_machine[machine])
            free_job[job] = free_machine[machine] = start + int(instance.duration[job, step])
            rows.append((job, step, machine, start, free_job[job]))
    return Schedule(instance, np.array(rows))


def empty(instance: JobShopInstance) -> Schedule:
    return Schedule(instance, np.zeros((0, 5), dtype=np.int64))


def bars(figure):
    """The bars as (left, right, machine), read off the drawn polygons."""
    boxes = [path.get_extents() for part in figure.axes[0].collections for path in part.get_paths()]
    return sorted((round(box.x0), round(box.x1), round((box.y0 + box.y1) / 2)) for box in boxes)


def test_bars_stand_where_the_entries_say():
    schedule = full(shop(3, 3))
    figure = gantt(schedule)
    assert bars(figure) == sorted((start, end, machine) for _, _, machine, start, end in schedule.entries.tolist())
    axes = figure.axes[0]
    assert axes.get_title("right") == "makespan 30"
    assert "shop" in axes.get_title("left")
    assert "time" in axes.get_xlabel() and axes.get_ylabel() == "machine"
    assert any(np.allclose(line.get_xdata(), 30) for line in axes.lines)


def test_windows_and_shutdowns_are_hatched():
    closed = replace(shop(2, 2), windows=[[[3, 5]], [[2, 4], [9, 30]]])
    first = full(closed).entries[:1]  # on machine 0 from 0 to 10, whatever its window
    text = gantt_ansi(Schedule(closed, first), 60).splitlines()
    assert text[1:3] == ["M0 0000000000", "M1 ..##.....#"]
    live = full(shop(2, 2))
    conditions = Conditions(uptime=60, repair=40, seed=3).as_dict()
    picture = gantt_ansi(replace(live, entries=live.entries[:1], conditions=conditions), 80).splitlines()
    machines = shutdowns(live.instance, 60, 40, {"seed": 3, "world": 0, "episode": 0})
    for machine, line in enumerate(picture[1:3]):
        down = {t for q in range(20) for t in range(*machines[machine].window(q))}
        shown = {t for t, symbol in enumerate(line[3:]) if symbol == "#"}
        busy = set(range(10)) if machine == 0 else set()
        assert shown == {t for t in down - busy if t < len(line) - 3}
    assert len(gantt(replace(live, conditions=conditions)).axes[0].collections) == 2


def test_each_job_has_its_own_colour_and_its_number():
    schedule = full(shop(12, 3))
    figure = gantt(schedule)
    colours = np.concatenate([part.get_facecolors() for part in figure.axes[0].collections])
    by_job = {job: {tuple(colours[row]) for row in np.flatnonzero(schedule.column("work") == job)} for job in range(12)}
    assert all(len(seen) == 1 for seen in by_job.values())
    assert len(set.union(*by_job.values())) == 12
    assert sorted(int(text.get_text()) for text in figure.axes[0].texts) == sorted(schedule.column("work").tolist())


def test_numbers_are_left_out_where_there_is_no_room():
    assert gantt(full(shop(300, 3))).axes[0].texts[:] == []


@pytest.mark.parametrize("jobs", [LEGEND_ITEMS, LEGEND_ITEMS + 1])
def test_the_legend_is_only_for_few_jobs(jobs):
    assert (gantt(full(shop(jobs, 2))).axes[0].get_legend() is not None) == (jobs <= LEGEND_ITEMS)


def test_partial_and_empty_schedules_are_drawn():
    instance = shop(3, 3)
    part = Schedule(instance, full(instance).entries[:4])
    assert len(bars(gantt(part))) == 4
    assert gantt(part).axes[0].get_title("right") == "4 of 9 operations, until 20"
    nothing = gantt(empty(instance), title="before")
    assert bars(nothing) == [] and nothing.axes[0].get_title("left") == "before"


def test_rows_that_cannot_be_drawn_are_left_out():
    instance = shop(3, 3)
    rows = [[0, 0, 0, 0, 10], [1, 0, -1, 0, 10], [2, 0, 3, 0, 10], [1, 0, 1, 10, 0], [1, 0, 1, 5, 5]]
    schedule = Schedule(instance, np.array(rows))
    assert bars(gantt(schedule)) == [(0, 10, 0), (5, 5, 1)]
    assert gantt_ansi(schedule).splitlines()[1:-1] == ["M0 0000000000", "M1 ..........", "M2 .........."]


def test_pictures_of_an_episode_share_the_time_axis():
    instance = shop(3, 3)
    whole = full(instance)
    limits = {gantt(Schedule(instance, whole.entries[:count])).axes[0].get_xlim() for count in range(10)}
    assert len(limits) == 1


def test_given_axes_are_drawn_into():
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots(1, 2)
    assert gantt(full(shop(2, 2)), ax=axes[1]) is figure
    assert len(axes[1].collections) > 0 and len(axes[0].collections) == 0


@pytest.mark.parametrize("size", [(64, 64), (320, 200), (961, 543)])
def test_pixels_have_the_size_asked_for(size):
    schedule = full(shop(3, 3))
    image = gantt_rgb(schedule, size)
    assert image.shape == (size[1], size[0], 3) and image.dtype == np.uint8
    blank = gantt_rgb(empty(schedule.instance), size)
    assert blank.shape == image.shape and not np.array_equal(image, blank)
    assert np.array_equal(image, gantt_rgb(schedule, size))


@pytest.mark.parametrize("size", [(0, 100), (100, 10**6), (100.0, 100), (100,)])
def test_a_bad_size_is_refused(size):
    with pytest.raises(OptionError, match="size"):
        gantt_rgb(full(shop(2, 2)), size)


def test_pyplot_is_left_alone():
    code = (
        "import sys, numpy as np\n"
        "import dispatchgym.envs.job_shop.render as render\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from dispatchgym.envs.core.schedule import Schedule\n"
        "from dispatchgym.envs.job_shop.instance import JobShopInstance\n"
        "instance = JobShopInstance('one', 1, np.ones((1, 1), np.int32), np.zeros((1, 1), np.int32))\n"
        "render.gantt_rgb(Schedule(instance, np.array([[0, 0, 0, 0, 1]])))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    root = str(Path(dispatchgym.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_text_of_a_small_schedule_is_exact():
    duration, machine = np.array([[3, 2], [4, 0]], np.int32), np.array([[0, 1], [1, -1]], np.int32)
    instance = JobShopInstance("hand", 2, duration, machine)
    schedule = Schedule(instance, np.array([[0, 0, 0, 0, 3], [1, 0, 1, 0, 4], [0, 1, 1, 5, 7]]))
    assert gantt_ansi(schedule).splitlines() == [
        "makespan 7; a column is 1 time unit; jobs 0-1",
        "M0 000....",
        "M1 1111.00",
        "   0",
    ]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_text_keeps_to_its_width_and_to_the_shares_of_time(width):
    instance = shop(7, 5, length=60)
    schedule = full(instance)
    lines = gantt_ansi(schedule, width).splitlines()
    assert max(map(len, lines)) <= width and len(lines) == instance.machines + 2
    makespan = int(schedule.column("end").max())
    for machine in range(instance.machines):
        lane = lines[1 + machine].split(maxsplit=1)[1]
        unit = -(-makespan // len(lane))
        for job in range(instance.jobs):
            assert abs(lane.count(str(job)) * unit - 60) <= unit


def test_text_of_empty_and_partial_schedules():
    instance = shop(2, 2)
    assert gantt_ansi(empty(instance)).splitlines()[1:3] == ["M0 .", "M1 ."]
    part = gantt_ansi(Schedule(instance, full(instance).entries[:1]))
    assert part.startswith("1 of 4 operations, until 10") and "0" * 10 in part


@pytest.mark.parametrize("width", [19, 0, -1, 20.0, None])
def test_a_bad_width_is_refused(width):
    with pytest.raises(OptionError, match="width"):
        gantt_ansi(full(shop(2, 2)), width)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.one_of(st.integers(-3, 30), st.sampled_from([2**63 - 1, -(2**63), 2**40]))] * 5), max_size=6
    )
)
def test_nonsense_is_drawn_without_an_exception(rows):
    instance = shop(3, 3)
    schedule = Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5))
    assert gantt_rgb(schedule, (200, 120)).shape == (120, 200, 3)
    assert max(map(len, gantt_ansi(schedule).splitlines())) <= 80
