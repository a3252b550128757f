"""Charts show what the schedule says, whatever the schedule is."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatchgym
from dispatchgym.envs.core.errors import OptionError, ScheduleError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.render import gantt, gantt_ansi, gantt_rgb


def fork(arrivals=(0,)) -> SoCInstance:
    """A task of 10 us before two others, on a CPU and a GPU; its data takes 5 us to the other element."""
    graph = JobGraph("fork", np.full((3, 2), 10), np.array([[0, 1], [0, 2]]), np.array([5, 5]))
    square = (2, 2)
    return SoCInstance(
        "fork", (graph,), np.zeros(square, int), np.ones(square, int), ("cpu", "gpu"), np.array(arrivals),
        np.zeros(len(arrivals), int),
    )  # fmt: skip


FORK = [[0, 0, 0, 0, 10], [0, 1, 0, 10, 20], [0, 2, 1, 15, 25]]
STREAM = [[job, step, p, start + 100 * job, end + 100 * job] for job in range(2) for _, step, p, start, end in FORK]


def schedule(instance: SoCInstance, rows, **conditions) -> Schedule:
    return Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)


def bars(figure):
    """The bars as (left, right, lane), read off the drawn polygons."""
    polygons = [part for part in figure.axes[0].collections if type(part).__name__ == "PolyCollection"]
    boxes = [path.get_extents() for part in polygons for path in part.get_paths()]
    return sorted((round(box.x0), round(box.x1), round((box.y0 + box.y1) / 2)) for box in boxes)


def colours(figure) -> list[tuple]:
    return [tuple(colour) for part in figure.axes[0].collections[:1] for colour in part.get_facecolors()]


def marks(figure) -> list[tuple]:
    points = [part for part in figure.axes[0].collections if type(part).__name__ == "PathCollection"]
    return [tuple(offset) for part in points for offset in part.get_offsets()]


def lanes(figure) -> list[str]:
    figure.canvas.draw()
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def test_bars_stand_where_the_entries_say():
    figure = gantt(schedule(fork(), FORK))
    assert bars(figure) == [(0, 10, 0), (10, 20, 0), (15, 25, 1)]
    axes = figure.axes[0]
    assert axes.get_title("right") == "makespan 25" and axes.get_title("left") == "fork  (3 tasks x 2 PEs)"
    assert axes.get_xlabel() == "time (us)" and axes.get_ylabel() == "processing element"
    assert lanes(figure) == ["cpu 0", "gpu 1"]
    assert any(np.allclose(line.get_xdata(), 25) for line in axes.lines)


def test_static_charts_tell_tasks_apart_and_streams_jobs():
    static = gantt(schedule(fork(), FORK))
    assert len(set(colours(static))) == 3
    assert sorted(text.get_text() for text in static.axes[0].texts) == ["0", "1", "2"]
    assert static.axes[0].get_legend().get_title().get_text() == "task"
    stream = gantt(schedule(fork((0, 90)), STREAM))
    assert len(set(colours(stream))) == 2 and len(set(colours(stream)[:3])) == 1
    assert sorted(text.get_text() for text in stream.axes[0].texts) == ["0", "0", "0", "1", "1", "1"]
    assert stream.axes[0].get_legend().get_title().get_text() == "job"


def test_arrivals_are_marked_in_streams_only():
    assert marks(gantt(schedule(fork(), FORK))) == []
    figure = gantt(schedule(fork((0, 90)), STREAM))
    assert marks(figure) == [(0, -0.5), (90, -0.5)]
    assert figure.axes[0].get_title("right") == "mean latency 30.0, until 125"


def test_transfers_have_a_lane_and_the_colour_of_the_task_they_are_for():
    rows = [*FORK, [0, 4, 2, 10, 15]]
    figure = gantt(schedule(fork(), rows, shared_bus=True))
    assert bars(figure) == [(0, 10, 0), (10, 15, 2), (10, 20, 0), (15, 25, 1)]
    assert lanes(figure) == ["cpu 0", "gpu 1", "bus"]
    assert colours(figure)[3] == colours(figure)[2] != colours(figure)[1]
    assert figure.axes[0].get_title("right") == "makespan 25"
    assert bars(gantt(schedule(fork(), rows))) == bars(gantt(schedule(fork(), FORK)))  # no bus, no lane for it


def test_partial_and_empty_schedules_are_drawn():
    part = gantt(schedule(fork(), FORK[:2]))
    assert len(bars(part)) == 2 and part.axes[0].get_title("right") == "2 of 3 tasks, until 20"
    moving = gantt(schedule(fork(), [FORK[0], [0, 4, 2, 10, 15]], shared_bus=True))
    assert moving.axes[0].get_title("right") == "1 of 3 tasks, until 15"
    nothing = gantt(schedule(fork(), []), title="before")
    assert bars(nothing) == [] and nothing.axes[0].get_title("left") == "before"
    assert nothing.axes[0].get_title("right") == ""


def test_pictures_of_an_episode_share_the_time_axis():
    instance = fork((0, 90))
    limits = {gantt(schedule(instance, STREAM[:count])).axes[0].get_xlim() for count in range(5)}
    assert len(limits) == 1 and limits.pop()[1] >= 110  # the second job's two tasks in a row
    assert gantt(schedule(instance, STREAM)).axes[0].get_xlim()[1] >= 125


def test_given_axes_are_drawn_into():
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots(1, 2)
    assert gantt(schedule(fork(), FORK), ax=axes[1]) is figure
    assert len(axes[1].collections) > 0 and len(axes[0].collections) == 0


@pytest.mark.parametrize("size", [(64, 64), (320, 200), (961, 543)])
@pytest.mark.parametrize("rows", [FORK, STREAM])
def test_pixels_have_the_size_asked_for(size, rows):
    instance = fork() if rows is FORK else fork((0, 90))
    image = gantt_rgb(schedule(instance, rows), size)
    assert image.shape == (size[1], size[0], 3) and image.dtype == np.uint8
    assert not np.array_equal(image, gantt_rgb(schedule(instance, []), size))
    assert np.array_equal(image, gantt_rgb(schedule(instance, rows), size))


def test_text_is_exact():
    assert gantt_ansi(schedule(fork(), FORK), 40).splitlines() == [
        "makespan 25; a column is 1 us; tasks 0-2"[:40],
        "cpu0 00000000001111111111.....",
        "gpu1 ...............2222222222",
        "     0         10        20",
    ]
    assert gantt_ansi(schedule(fork(), [*FORK, [0, 4, 2, 10, 15]], shared_bus=True), 80).splitlines()[1:-1] == [
        "cpu0 00000000001111111111.....",
        "gpu1 ...............2222222222",
        "bus  ..........22222..........",
    ]
    stream = gantt_ansi(schedule(fork((0, 90)), STREAM), 60).splitlines()
    assert stream[0] == "mean latency 30.0, until 125; a column is 3 us; jobs 0-1"
    assert stream[1].startswith("cpu0 0000000...") and stream[1].rstrip(".").endswith("111")


def test_lines_keep_to_their_width():
    graph = JobGraph("wide", np.full((1, 12), 7), np.zeros((0, 2), int), np.zeros(0, int))
    square = np.ones((12, 12), int)
    instance = SoCInstance("wide", (graph,), square, square, ("a very long kind of processing element",) * 12)
    lines = gantt_ansi(schedule(instance, [[0, 0, 3, 0, 7]]), 30).splitlines()
    assert max(map(len, lines)) <= 30 and len(lines) == 14 and "0000000" in lines[4]


@pytest.mark.parametrize("size", [(0, 100), (100, 10**6), (100.0, 100), (100,)])
def test_a_bad_size_is_refused(size):
    with pytest.raises(OptionError, match="size"):
        gantt_rgb(schedule(fork(), FORK), size)


@pytest.mark.parametrize("width", [19, 0, -1, 20.0, None])
def test_a_bad_width_is_refused(width):
    with pytest.raises(OptionError, match="width"):
        gantt_ansi(schedule(fork(), FORK), width)


def test_malformed_conditions_are_an_error():
    with pytest.raises(ScheduleError, match="'shared_bus'"):
        gantt_ansi(schedule(fork(), FORK, shared_bus="no"))


def test_pyplot_is_left_alone():
    code = (
        "import sys, numpy as np\n"
        "import dispatchgym.envs.soc.render as render\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from dispatchgym.envs.core.schedule import Schedule\n"
        "from dispatchgym.envs.soc.instance import SoCInstance\n"
        "from dispatchgym.envs.soc.job_graph import JobGraph\n"
        "one = np.ones((1, 1), int)\n"
        "graph = JobGraph('one', one, np.zeros((0, 2), int), np.zeros(0, int))\n"
        "render.gantt_rgb(Schedule(SoCInstance('one', (graph,), one, one), np.array([[0, 0, 0, 0, 1]])))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    root = str(Path(dispatchgym.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.one_of(st.integers(-3, 30), st.sampled_from([2**63 - 1, -(2**63), 2**40]))] * 5), max_size=6
    ),
    arrivals=st.sampled_from([(0,), (0, 90)]),
    bus=st.booleans(),
)
def test_nonsense_is_drawn_without_an_exception(rows, arrivals, bus):
    nonsense = schedule(fork(arrivals), rows, shared_bus=bus)
    assert gantt_rgb(nonsense, (200, 120)).shape == (120, 200, 3)
    assert max(map(len, gantt_ansi(nonsense).splitlines())) <= 80


@given(st.integers(0, 2**32))
@settings(max_examples=10)
def test_every_feasible_schedule_is_drawn(soc, number):
    rng = np.random.default_rng(number)
    instance, conditions = soc.instance(rng), soc.conditions(rng)
    entries = soc.entries(instance, conditions, rng)
    expected = sorted((start, end, lane) for _, _, lane, start, end in entries.tolist())
    assert bars(gantt(Schedule(instance, entries, conditions))) == expected
