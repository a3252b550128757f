"""Pictures show what the schedule says, whatever the schedule is."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatchgym
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.llm import draw, render
from dispatchgym.envs.llm.generator import preset_instance
from dispatchgym.envs.llm.instance import LLMInstance
from dispatchgym.envs.llm.profiles import Profile
from dispatchgym.envs.llm.render import gantt, gantt_ansi, gantt_rgb

S = 1_000_000
SERVER = Profile(10**15, kv_tokens=160, max_num_seqs=8, token_budget=64)
PLAIN = LLMInstance(
    "plain", (SERVER, SERVER), [0, 2 * S, 3 * S], [10, 9, 9], [4, 1, 3], ttft_target=[S, S, S],
    server_names=("left", "right"),
)  # fmt: skip
# The first is preempted once, the second comes too late, the third is turned away.
ROWS = [
    [0, 0, 0, 0, S], [0, 1, 0, S, 2 * S], [1, 0, 1, 3 * S, 4 * S], [0, 2, 0, 4 * S, 5 * S], [0, 3, 0, 5 * S, 6 * S],
    [0, -1, 0, 2 * S, 5 * S], [2, -2, -1, 5 * S, 5 * S],
]  # fmt: skip


def schedule(rows, instance=PLAIN):
    return Schedule(instance, np.array(rows, dtype=np.int64).reshape(-1, 5))


def areas(ax):
    """Times and heights of the outlines of what is filled, below and above."""
    return [
        part.get_paths()[0].vertices for part in ax.collections if type(part).__name__ == "FillBetweenPolyCollection"
    ]


def marks(ax):
    """Middle of each mark and its colour."""
    found = []
    for part in ax.collections:
        if type(part).__name__ == "LineCollection":
            colours = part.get_colors()
            for place, line in enumerate(part.get_segments()):
                if len(line) and line[0][0] == line[1][0]:
                    colour = tuple(colours[place % len(colours)][:3].round(2))
                    found.append((float(line[0][0]), round(float(line[:, 1].mean()), 2), colour))
    return found


def rgb(code):
    return tuple(round(int(code[at : at + 2], 16) / 255, 2) for at in (1, 3, 5))


def test_panels_and_lanes():
    figure = gantt(schedule(ROWS))
    left, right, lanes = figure.axes
    assert [ax.get_title("left") for ax in figure.axes] == [
        "running on 0, left",
        "running on 1, right",
        "the first 3 requests",
    ]
    assert [text.get_text() for text in figure.texts] == [
        "plain  (3x2)",
        "goodput 33.3%, mean end to end 4 s, 1 preemption, 1 rejected, makespan 6 s",
    ]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["prefilling", "decoding", "waiting", "missed a target", "preempted", "rejected"]
    assert lanes.get_xlabel() == right.get_xlabel() == "time (s)" and left.get_xlabel() == ""
    # on the left one prefills from 0 to 1 and 4 to 5 s, and decodes from 1 to 2 and 5 to 6 s
    decoding, prefilling = areas(left)
    assert {(1, 1), (2, 1), (5, 1), (6, 1)} <= {tuple(point) for point in decoding.tolist()}
    assert {(0, 1), (1, 1), (4, 1), (5, 1)} <= {tuple(point) for point in prefilling.tolist()}
    assert decoding[:, 1].max() == prefilling[:, 1].max() == 1
    assert [(x, colour) for x, _, colour in marks(left)] == [(2, rgb(draw.PREEMPTED))]
    assert [(x, colour) for x, _, colour in marks(right)] == [(4, rgb(draw.MISSED))]
    assert marks(lanes) == [(2, 0, rgb(draw.PREEMPTED)), (4, 1, rgb(draw.MISSED)), (5, 2, rgb(draw.REJECTED))]
    boxes = next(part for part in lanes.collections if type(part).__name__ == "PolyCollection")
    spans = sorted(
        (path.vertices[:, 1].mean().round(), path.vertices[:, 0].min(), path.vertices[:, 0].max())
        for path in boxes.get_paths()
    )
    assert [(x, y) for _, x, y in spans] == [(0, 1), (1, 2), (4, 5), (5, 6), (3, 4)]
    assert len({tuple(colour) for colour in boxes.get_facecolors().tolist()}) == 3


def test_what_is_not_there_is_not_in_the_legend():
    figure = gantt(schedule(ROWS[:1]), title="of my own")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["prefilling", "decoding", "waiting"]
    assert [text.get_text() for text in figure.texts] == ["of my own", "0 of 3 requests, until 1 s"]


def test_many_servers_and_requests():
    instance = LLMInstance("many", (SERVER,) * 20, np.arange(200), np.full(200, 9), np.ones(200, int))
    rows = [[q, 0, q % 20, q, q + S] for q in range(200)]
    figure = gantt(schedule(rows, instance))
    assert len(figure.axes) == draw.MOST_PANELS + 1
    assert figure.axes[-2].get_title("left").endswith("(and 12 more servers)")
    assert figure.axes[-1].get_title("left") == "the first 60 requests"
    text = gantt_ansi(schedule(rows, instance))
    assert "and 4 more servers" in text and "the first 12 requests" in text


def test_one_server_is_called_by_its_name():
    instance = LLMInstance("one", (SERVER,), [0], [9], [1], server_names=("alone",))
    assert gantt(schedule([[0, 0, 0, 0, S]], instance)).axes[0].get_title("left") == "running on alone"


def test_text():
    assert gantt_ansi(schedule(ROWS), 26).splitlines() == [
        "goodput 33.3%, mean end to",
        "running requests in tenths",
        "0 99999999........99999999",
        "          p",
        "1 ............9999........",
        "                  !",
        "the first 3 requests, - wa",
        "0 ===####--------====####",
        "1        ----====!",
        "2            --------x",
        "  0 to 6 s",
    ]
    assert "1 preemption" in gantt_ansi(schedule(ROWS), 100)
    assert gantt_ansi(schedule([])).splitlines()[0] == "0 of 3 requests, until 3 s"


@pytest.mark.parametrize("size", [(64, 64), (301, 207), (960, 600), (2000, 150)])
def test_pixels(size):
    image = gantt_rgb(schedule(ROWS), size)
    assert image.shape == (size[1], size[0], 3) and image.dtype == np.uint8 and image.min() < 128


@pytest.mark.parametrize("size", [(0, 100), (100, 10**6), (100.0, 100), (100,)])
def test_a_bad_size_is_refused(size):
    with pytest.raises(OptionError, match="size"):
        gantt_rgb(schedule(ROWS), size)


@pytest.mark.parametrize("width", [19, 0, -1, 20.0, None])
def test_a_bad_width_is_refused(width):
    with pytest.raises(OptionError, match="width"):
        gantt_ansi(schedule(ROWS), width)


def test_pyplot_is_left_alone():
    code = (
        "import sys\n"
        "import dispatchgym.envs.llm.render as render\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from dispatchgym.envs.core.schedule import Schedule\n"
        "from dispatchgym.envs.llm.instance import LLMInstance\n"
        "from dispatchgym.envs.llm.profiles import profile\n"
        "instance = LLMInstance('one', (profile('serial'),), [0], [4], [1])\n"
        "render.gantt_rgb(Schedule(instance, [[0, 0, 0, 0, 10000]]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    root = str(Path(dispatchgym.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": root}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("preset", ["tight-kv-n150", "route-prefix-n100", "serial-n30"])
def test_what_was_played_is_drawn(plain_play, preset):
    played = plain_play.Play(preset_instance(preset, 0)).schedule()
    assert gantt_rgb(played, (300, 200)).shape == (200, 300, 3)
    assert max(map(len, gantt_ansi(played, 50).splitlines())) <= 50
    part = Schedule(played.instance, played.entries[: len(played) // 3])
    assert gantt_rgb(part, (300, 200)).shape == (200, 300, 3) and " requests, until " in gantt_ansi(part)


@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(*[st.one_of(st.integers(-3, 12), st.sampled_from([2**63 - 1, -(2**63), 2**40]))] * 5), max_size=6
    )
)
def test_nonsense_is_drawn_without_an_exception(rows):
    assert gantt_rgb(schedule(rows), (200, 120)).shape == (120, 200, 3)
    assert max(map(len, gantt_ansi(schedule(rows)).splitlines())) <= 80


def test_rooms_are_found_by_their_usual_names():
    assert {"gantt", "gantt_rgb", "gantt_ansi"} <= set(dir(render))
