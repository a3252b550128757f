"""Pictures show what the schedule says, whatever the schedule is."""

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
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.render import gantt, gantt_ansi, gantt_rgb
from dispatchgym.envs.vm.view import View

# free are 12 and 32 cores on host 0, 0 and 18 on host 1
SMALL = VMInstance(
    "small", [[20, 32], [16, 36]], [[1000, 1000]] * 2, [8, 32, 2], [10, 10, 10], [1, 2, 1], [0, 2, 3],
    movable=[True, False, True],
)  # fmt: skip
MOVES = [[0, 0, 3, 0, 0], [2, 1, 1, 1, 1]]


def schedule(instance: VMInstance, rows, **conditions) -> Schedule:
    return Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5), conditions)


def many(**more) -> VMInstance:
    """Thirty hosts with a VM of 1, 2, 3, ... cores at their first node; a double one of 8 is on the last."""
    cores, node = np.append(np.arange(30) + 1, 8), np.append(2 * np.arange(30), 58)
    numas = np.append(np.ones(30, int), 2)
    return VMInstance("many", [[48, 48]] * 30, [[99, 99]] * 30, cores, cores, numas, node, **more)


def timeline(**more) -> VMInstance:
    """Two hosts for ten seconds; a VM leaves at 4 s, one comes at 6 s, and a third one finds no place at 8 s."""
    columns = {"arrival": [0, 0, 6000, 8000], "departure": [2**31 - 1, 4000, 2**31 - 1, 2**31 - 1]}
    return VMInstance(
        "time", [[16, 16]] * 2, [[99, 99]] * 2, [4, 8, 2, 40], [1] * 4, [1, 1, 1, 2], [0, 1, -1, -1],
        horizon=10_000, **columns, **more,
    )  # fmt: skip


PACK = VMInstance(
    "pack", [[16, 16]], [[99, 99]], [16, 10, 4, 4], [1] * 4, [1] * 4, [0, -1, -1, 1], priority=[0, 7, 7, 3]
)
PACKED = [[0, 0, -1, 0, 0], [1, 1, 0, 1, 1], [2, 2, 0, 2, 2]]


def boxes(ax, which: int = 0) -> np.ndarray:
    """Left, right, bottom and top of the rectangles of one collection, as drawn."""
    parts = [part for part in ax.collections if type(part).__name__ == "PolyCollection"]
    extents = [path.get_extents() for path in parts[which].get_paths()]
    return np.array([[box.x0, box.x1, box.y0, box.y1] for box in extents]).reshape(-1, 4)


def columns(ax) -> list[list[tuple]]:
    """The bars from left to right, each as (bottom, top) of its parts from below."""
    rectangles = boxes(ax).round(6)
    return [
        sorted((low, high) for left, _, low, high in rectangles.tolist() if left == place)
        for place in sorted(set(rectangles[:, 0].tolist()))
    ]


def faces(ax) -> np.ndarray:
    return ax.collections[0].get_facecolors()


def texts(ax) -> list[str]:
    return sorted(text.get_text() for text in ax.texts)


def headings(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def keys(legend) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def test_few_hosts_are_bars_of_vms():
    figure = gantt(schedule(SMALL, MOVES))
    before, after, curve = figure.axes
    assert columns(before) == [
        [(0, 8), (8, 20)], [(0, 16), (16, 32)], [(0, 16)], [(0, 16), (16, 18), (18, 20), (20, 36)]
    ]  # fmt: skip
    assert columns(after) == [
        [(0, 4), (4, 20)], [(0, 2), (2, 16), (16, 32)], [(0, 16)], [(0, 16), (16, 24), (24, 36)]
    ]  # fmt: skip
    # the numbers of the VMs that are moved, and the sizes of fragments
    assert texts(before) == sorted(["0", "2", "12", "2"]) and texts(after) == sorted(["0", "2", "4", "14", "12"])
    assert before.get_title("left") == "before: 3 slots of 16 free, 14 cores in fragments"
    assert after.get_title("left") == "after 2 actions: 2 slots of 16 free, 30 cores in fragments"
    assert headings(figure) == ["small  (2x3)", "fragment rate 22.6% to 48.4%, 2 migrations"]
    assert keys(figure.legends[0]) == ["16 cores free", "fragment", "VM", "pinned VM", "VM that is moved"]
    assert curve.get_title("left") == "fragment rate" and curve.get_xlabel() == "actions"


def test_many_hosts_are_a_grid():
    moves = [[0, 0, 5, 0, 0], [30, 1, 6, 1, 1], [7, 2, 2, 2, 2]]
    figure = gantt(schedule(many(drained=np.arange(30) == 4), moves))
    before, after, _ = figure.axes
    cells = boxes(before)
    assert len(cells) == len({tuple(cell) for cell in cells.tolist()}) == 60 and (boxes(after) == cells).all()
    outlined = [{int((cells == box).all(axis=1).argmax()) for box in boxes(ax, 1)} for ax in (before, after)]
    assert outlined == [{0, 58, 59, 14}, {5, 6, 7, 2}]
    assert {int((cells == box).all(axis=1).argmax()) for box in boxes(before, 2)} == {8, 9}
    # nodes with equal fragments look alike, others do not
    view = View(schedule(many(), moves))
    for ax, free in ((before, view.before), (after, view.after)):
        assert len({tuple(face) for face in faces(ax).tolist()}) == len(set((free % 16).ravel().tolist()))
        for kind in range(16):
            assert len(np.unique(faces(ax)[free.ravel() % 16 == kind], axis=0)) <= 1
    assert texts(before) == sorted(str(cores) for cores in view.before.ravel())
    assert "left, then reached by moves" in keys(figure.legends[0]) and "drained" in keys(figure.legends[0])


def test_full_free_and_overfull_nodes_look_different():
    cores = np.append(np.full(40, 48), [4])
    full = VMInstance("full", [[48, 48]] * 30, [[99, 99]] * 30, cores, np.ones(41, int), np.ones(41, int),
                      np.append(np.arange(40), 40))  # fmt: skip
    figure = gantt(schedule(full, [[40, 0, 0, 0, 0]]))
    colour = faces(figure.axes[1])
    assert len(np.unique(colour, axis=0)) == 3  # overfull, full, free; the fragment is gone
    assert (colour[1:40] == colour[1]).all() and (colour[41:] == colour[40]).all()
    assert "more than there is" in keys(figure.legends[0])
    bars = gantt(schedule(SMALL, [[1, 0, 0, 0, 0]])).axes[1]
    assert columns(bars)[0] == [(0, 8), (8, 24), (20, 24)]  # of 8 and 16 cores 4 are more than there is


def test_the_curve_is_the_fragment_rate():
    curve = gantt(schedule(SMALL, MOVES)).axes[2]
    line, dots = curve.lines
    assert line.get_drawstyle() == "steps-post"
    assert np.allclose(line.get_xdata(), [0, 1, 2, 3]) and np.allclose(
        line.get_ydata(), [100 * 14 / 62, 100 * 14 / 62, 100 * 30 / 62, 100 * 30 / 62]
    )
    assert np.allclose(dots.get_xdata(), [1, 2]) and np.allclose(dots.get_ydata(), [100 * 14 / 62, 100 * 30 / 62])
    assert keys(curve.get_legend()) == ["migration"]
    weighted = gantt(schedule(SMALL, MOVES, weight_64=30)).axes
    assert weighted[2].get_title("left") == "fragment rate (70% FR-16, 30% FR-64)"
    assert weighted[0].get_title("left") == "before: 3 slots of 16 and 0 of 64 free, 14 cores in fragments"


def test_time_has_moves_stale_ones_and_rejections():
    rows = [[0, 0, 2, 2000, 2000], [1, 1, 3, 4100, 4100]]
    figure = gantt(schedule(timeline(), rows, latency=200))
    before, after, curve = figure.axes
    assert headings(figure)[1].endswith("on average, 1 migration, 1 stale, 1 rejected")
    line, moved, stale, rejected = curve.lines
    assert [mark.get_xdata().tolist() for mark in (moved, stale, rejected)] == [[2.0], [4.1], [8.0]]
    assert line.get_xdata()[-1] == 10 and line.get_xdata()[0] == 0
    assert keys(curve.get_legend()) == ["migration", "stale migration", "rejected arrival"]
    assert curve.get_xlabel() == "time (s)"
    assert before.get_title("left").startswith("at the start: 2 slots")
    assert after.get_title("left") == "at the horizon: 3 slots of 16 free, 10 cores in fragments"


def test_a_packing_shows_what_is_not_placed():
    figure = gantt(schedule(PACK, PACKED))
    curve = figure.axes[2]
    assert headings(figure)[1] == "2 to 1 VMs not placed, 0 migrations, 1 eviction"
    assert keys(curve.get_legend()) == ["priority 7", "priority 3", "priority 0"]
    view = View(schedule(PACK, PACKED))
    assert view.levels == [0, 3, 7]
    assert view.heights.tolist() == [[0, 1, 1, 1], [0, 0, 0, 0], [2, 2, 1, 0]] and view.totals == [2, 3, 2, 1]
    levels = VMInstance("levels", [[16, 16]], [[99, 99]], [1] * 12, [1] * 12, [1] * 12, [-1] * 12, priority=range(12))
    legend = gantt(schedule(levels, [])).axes[2].get_legend()
    assert len(keys(legend)) == 8 and keys(legend)[-1] == "priority 4 and less"


def test_partial_and_empty_schedules_are_drawn():
    nothing = gantt(schedule(SMALL, []), title="before")
    assert headings(nothing) == ["before", "fragment rate 22.6% to 22.6%, 0 migrations"]
    assert columns(nothing.axes[0]) == columns(nothing.axes[1])
    assert nothing.axes[2].get_legend() is None
    assert columns(gantt(schedule(SMALL, MOVES[:1])).axes[1]) != columns(gantt(schedule(SMALL, MOVES)).axes[1])


def test_a_given_figure_is_drawn_into():
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4))
    left, right = figure.subfigures(1, 2)
    assert gantt(schedule(SMALL, MOVES), figure=right) is right
    assert len(right.axes) == 3 and not left.axes


@pytest.mark.parametrize("size", [(64, 64), (320, 200), (420, 280), (961, 543)])
@pytest.mark.parametrize(
    ("instance", "rows"), [(SMALL, MOVES), (PACK, PACKED), (timeline(), [[0, 0, 2, 9, 9]]), (many(), [[0, 0, 5, 0, 0]])]
)
def test_pixels_have_the_size_asked_for(size, instance, rows):
    image = gantt_rgb(schedule(instance, rows), size)
    assert image.shape == (size[1], size[0], 3) and image.dtype == np.uint8
    assert not np.array_equal(image, gantt_rgb(schedule(instance, []), size))
    assert np.array_equal(image, gantt_rgb(schedule(instance, rows), size))


def test_text_is_exact():
    assert gantt_ansi(schedule(SMALL, MOVES), 60).splitlines() == [
        "fragment rate 22.6% to 48.4%, 2 migrations",
        "a host is two nodes: . full, o free in 16s, 1-f fragment",
        "before:",
        "0 co .2",
        "after 2 actions:",
        "0 4e .c",
        "fragment rate, by actions:",
        " 48.4% |                    **********",
        " 38.7% |",
        " 29.0% |",
        " 19.4% |********************",
        "  9.7% |",
        "  0.0% |",
        "       +------------------------------",
        "        0 to 2 actions",
    ]
    text = gantt_ansi(schedule(PACK, PACKED), 60)
    assert text.splitlines()[0] == "2 to 1 VMs not placed, 0 migrations, 1 eviction"
    assert "\n0 .c\n" in text and "\n0 2c\n" in text and "     3 |" in text
    lines = gantt_ansi(schedule(many(), []), 41).splitlines()
    assert lines[3:5] == ["0  fo eo do co bo ao 9o 8o 7o 6o 5o 4o 3o", "13 2o 1o oo fo eo do co bo ao 9o 8o 7o 6o"]
    assert "0 !o" in gantt_ansi(schedule(SMALL, [[1, 0, 0, 0, 0]])) and "0 to 10 s" in gantt_ansi(
        schedule(timeline(), [])
    )


@pytest.mark.parametrize("size", [(0, 100), (100, 10**6), (100.0, 100), (100,)])
def test_a_bad_size_is_refused(size):
    with pytest.raises(OptionError, match="size"):
        gantt_rgb(schedule(SMALL, MOVES), size)


@pytest.mark.parametrize("width", [19, 0, -1, 20.0, None])
def test_a_bad_width_is_refused(width):
    with pytest.raises(OptionError, match="width"):
        gantt_ansi(schedule(SMALL, MOVES), width)


def test_malformed_conditions_are_an_error():
    for draw in (gantt, gantt_rgb, gantt_ansi):
        with pytest.raises(ScheduleError, match="'constraints'"):
            draw(schedule(SMALL, MOVES, constraints="no"))


def test_a_penalty_that_does_not_fit_is_drawn_all_the_same():
    levels = VMInstance("levels", [[16, 16]], [[99, 99]], [1] * 40, [1] * 40, [1] * 40, [-1] * 40, priority=range(40))
    assert gantt_ansi(schedule(levels, [])).startswith("40 to 40 VMs not placed")


def test_pyplot_is_left_alone():
    code = (
        "import sys\n"
        "import dispatchgym.envs.vm.render as render\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from dispatchgym.envs.core.schedule import Schedule\n"
        "from dispatchgym.envs.vm.instance import VMInstance\n"
        "instance = VMInstance('one', [[4, 4]], [[4, 4]], [1], [1], [1], [0])\n"
        "render.gantt_rgb(Schedule(instance, [[0, 0, 1, 0, 0]]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    root = str(Path(dispatchgym.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@settings(max_examples=15)
@given(data=st.data())
def test_nonsense_is_drawn_without_an_exception(vm, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    instance, conditions = vm.instance(rng, data.draw(st.sampled_from(vm.kinds))), vm.conditions(rng)
    number = st.one_of(st.integers(-1, 12), st.sampled_from([2**63 - 1, -(2**63), 2**40]))
    nonsense = schedule(instance, data.draw(st.lists(st.tuples(*[number] * 5), max_size=6)), **conditions)
    assert gantt_rgb(nonsense, (200, 120)).shape == (120, 200, 3)
    assert max(map(len, gantt_ansi(nonsense).splitlines())) <= 80


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_every_feasible_schedule_is_drawn(vm, number):
    rng = np.random.default_rng(number)
    instance, conditions = vm.instance(rng, vm.kinds[number % 3]), vm.conditions(rng)
    played = vm.play(instance, conditions, rng)
    view = View(schedule(instance, played.rows, **conditions))
    nodes = np.arange(instance.nodes)
    assert view.after.ravel().tolist() == [played.world.free(int(node))[0] for node in nodes]
    after = gantt(schedule(instance, played.rows, **conditions)).axes[1]
    assert [bar[-1][1] for bar in columns(after)] == instance.node_cores.ravel().tolist()
