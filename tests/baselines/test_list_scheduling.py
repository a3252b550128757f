"""List schedulers on published graphs, with ties, gaps, infeasible PEs and streams."""

import numpy as np
import pytest

from dispatchgym.baselines.list_scheduling import cpop, heft, lookahead_heft, peft, rank_oct
from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.core.schedule import Schedule
from dispatchgym.envs.soc import ranks
from dispatchgym.envs.soc.instance import SoCInstance
from dispatchgym.envs.soc.job_graph import JobGraph
from dispatchgym.envs.soc.validator import check

PLANNERS = (heft, cpop, peft, rank_oct, lookahead_heft)
ROUNDINGS = ("up", "down")


def build(times, edges, latency=0, bandwidth=1) -> SoCInstance:
    """One job; edges are (source, target, volume); latency and bandwidth may be one number."""
    times, edges = np.array(times), np.array(edges, dtype=int).reshape(-1, 3)
    square = (times.shape[1], times.shape[1])
    graph = JobGraph("job", times, edges[:, :2], edges[:, 2])
    return SoCInstance("test", (graph,), np.broadcast_to(latency, square), np.broadcast_to(bandwidth, square))


def topcuoglu() -> SoCInstance:
    """The ten tasks of Topcuoglu, Hariri and Wu (2002), figure 1."""
    times = [
        (14, 16, 9), (13, 19, 18), (11, 13, 19), (13, 8, 17), (12, 13, 10),
        (13, 16, 9), (7, 15, 11), (5, 11, 14), (18, 12, 20), (21, 7, 16),
    ]  # fmt: skip
    edges = [
        (0, 1, 18), (0, 2, 12), (0, 3, 9), (0, 4, 11), (0, 5, 14), (1, 7, 19), (1, 8, 16), (2, 6, 23),
        (3, 7, 27), (3, 8, 23), (4, 8, 13), (5, 7, 15), (6, 9, 17), (7, 9, 11), (8, 9, 13),
    ]  # fmt: skip
    return build(times, edges)


def arabnejad() -> SoCInstance:
    """The ten tasks of Arabnejad and Barbosa (2014), figure 2."""
    times = [
        (22, 21, 36), (22, 18, 18), (32, 27, 43), (7, 10, 4), (29, 27, 35),
        (26, 17, 24), (14, 25, 30), (29, 23, 36), (15, 21, 8), (13, 16, 33),
    ]  # fmt: skip
    edges = [
        (0, 1, 17), (0, 2, 31), (0, 3, 29), (0, 4, 13), (0, 5, 7), (1, 7, 3), (1, 8, 30), (2, 6, 16),
        (3, 7, 11), (3, 8, 7), (4, 8, 57), (5, 7, 5), (6, 9, 9), (7, 9, 42), (8, 9, 7),
    ]  # fmt: skip
    return build(times, edges)


def gaps() -> SoCInstance:
    """Five tasks that HEFT schedules in 16 with insertion, which is optimal, and in 21 without."""
    times = [[4, 5], [6, 4], [8, 5], [7, 7], [4, 3]]
    return build(times, [(0, 1, 3), (0, 2, 7), (0, 3, 7), (0, 4, 3), (3, 4, 9)])


def tiled(steps: list[tuple[str, list, tuple]], durations: dict, gpus: int, cpus: int) -> SoCInstance:
    """Tasks that read and write tiles: each waits for the last writer of what it touches. GPUs are numbered first."""
    writer, edges = {}, []
    for task, (_, reads, writes) in enumerate(steps):
        edges += [(source, task, 0) for source in sorted({writer[t] for t in [*reads, writes] if t in writer})]
        writer[writes] = task
    return build([[durations[kind][1]] * gpus + [durations[kind][0]] * cpus for kind, _, _ in steps], edges)


def cholesky(tiles: int, gpus: int, cpus: int) -> SoCInstance:
    """Tiled Cholesky factorisation with the times [CPU, GPU] of Grinsztajn et al. (2021)."""
    steps = []
    for k in range(tiles):
        steps.append(("potrf", [], (k, k)))
        steps += [("trsm", [(k, k)], (i, k)) for i in range(k + 1, tiles)]
        for i in range(k + 1, tiles):
            steps.append(("syrk", [(i, k)], (i, i)))
            steps += [("gemm", [(i, k), (j, k)], (i, j)) for j in range(k + 1, i)]
    return tiled(steps, {"potrf": (18, 11), "syrk": (57, 2), "trsm": (52, 8), "gemm": (95, 3)}, gpus, cpus)


def lu(tiles: int, gpus: int, cpus: int) -> SoCInstance:
    """Tiled LU factorisation without pivoting, times as for ``cholesky``."""
    steps = []
    for k in range(tiles):
        rest = range(k + 1, tiles)
        steps.append(("lu", [], (k, k)))
        steps += [("fwd", [(k, k)], (k, j)) for j in rest] + [("bdiv", [(k, k)], (i, k)) for i in rest]
        steps += [("bmod", [(i, k), (k, j)], (i, j)) for i in rest for j in rest]
    return tiled(steps, {"lu": (18, 11), "bmod": (95, 3), "bdiv": (52, 8), "fwd": (52, 8)}, gpus, cpus)


def makespan(schedule: Schedule) -> int:
    return int(schedule.column("end").max())


@pytest.mark.parametrize(("planner", "value"), [(heft, 80), (cpop, 86), (peft, 85), (lookahead_heft, 76)])
def test_makespans_on_the_graph_of_topcuoglu(planner, value):
    assert makespan(planner(topcuoglu())) == value


@pytest.mark.parametrize(("planner", "value"), [(heft, 133), (cpop, 167), (peft, 122), (lookahead_heft, 127)])
def test_makespans_on_the_graph_of_arabnejad(planner, value):
    assert makespan(planner(arabnejad())) == value


def test_published_schedule_of_heft():
    """Figure 4 a of Topcuoglu, Hariri and Wu (2002); a row is task, PE, start, end."""
    rows = [
        [0, 2, 0, 9], [1, 0, 27, 40], [2, 2, 9, 28], [3, 1, 18, 26], [4, 2, 28, 38],
        [5, 1, 26, 42], [6, 2, 38, 49], [7, 0, 57, 62], [8, 1, 56, 68], [9, 1, 73, 80],
    ]  # fmt: skip
    assert heft(topcuoglu()).entries[:, 1:].tolist() == rows


def test_insertion_fills_gaps_that_appending_leaves():
    assert makespan(heft(gaps())) == 16
    assert makespan(heft(gaps(), insertion=False)) == 21


@pytest.mark.parametrize(
    ("build_job", "tiles", "gpus", "cpus", "value"),
    [
        (cholesky, 4, 2, 2, 83), (cholesky, 4, 1, 3, 116), (cholesky, 8, 2, 2, 276), (cholesky, 8, 1, 3, 456),
        (cholesky, 12, 2, 2, 697), (cholesky, 12, 1, 3, 1176),
        (lu, 4, 2, 2, 110), (lu, 4, 1, 3, 169), (lu, 8, 2, 2, 446), (lu, 8, 1, 3, 683),
    ],
)  # fmt: skip
def test_heft_on_factorisations(build_job, tiles, gpus, cpus, value):
    """Regular graphs are full of ties, so that these pin how ties are broken."""
    instance = build_job(tiles, gpus, cpus)
    assert makespan(heft(instance)) == value
    assert check(instance, heft(instance)) == []


def test_peft_on_factorisations():
    sizes = [(4, 2, 2), (4, 1, 3), (8, 2, 2), (8, 1, 3)]
    assert [makespan(peft(cholesky(*size))) for size in sizes] == [78, 94, 254, 426]


def test_ties_go_to_the_first_task_and_the_lowest_element():
    plan = heft(build([[2, 2], [2, 2], [2, 2]], []))
    assert plan.entries[:, 1:].tolist() == [[0, 0, 0, 2], [1, 1, 0, 2], [2, 0, 2, 4]]


def test_peft_compares_sums_without_rounding():
    """Finish plus optimistic cost are 26 + 6 1/3 on PE 0 and 16 + 16 1/3 on PE 1; in floats the first is larger."""
    latency = [[0, 1, 0], [1, 0, 0], [0, 0, 0]]  # on 2 of 6 pairs, so that the mean transfer without volume is 1/3
    instance = build([[26, 16, -1], [1, 11, -1], [90, 90, 5]], [(0, 1, 99), (1, 2, 0)], latency)
    cost = ranks.optimistic_cost_table(instance, 0)[0]
    assert 26 + cost[0] > 16 + cost[1]
    assert peft(instance).entries[0, 2] == 0


def test_a_part_of_a_time_unit_counts_or_not():
    instance = build([[1, -1], [-1, 1]], [(0, 1, 7)], latency=2, bandwidth=3)
    assert [makespan(heft(instance, rounding=r)) for r in ROUNDINGS] == [1 + 2 + 3 + 1, 1 + 2 + 2 + 1]


def test_a_task_of_no_length_needs_a_place_like_any_other():
    """Task 2 is ready at 1, while task 1 runs on the only PE from 1 to 5."""
    instance = build([[1], [4], [0]], [(0, 1, 0), (0, 2, 0)])
    assert heft(instance).entries[:, 3:].tolist() == [[0, 1], [1, 5], [1, 1]]
    assert heft(instance, insertion=False).entries[:, 3:].tolist() == [[0, 1], [1, 5], [5, 5]]


def test_cpop_without_an_element_for_the_whole_path():
    """No PE runs both tasks; PE 1 is the faster of those that run one, and the other goes where it can."""
    instance = build([[9, -1], [-1, 4]], [(0, 1, 3)])
    assert ranks.critical_path(instance, 0)[1] == 1
    assert cpop(instance).entries[:, 1:].tolist() == [[0, 0, 0, 9], [1, 1, 12, 16]]


def test_the_job_that_arrives_is_planned():
    graphs = (topcuoglu().graphs[0], arabnejad().graphs[0])
    instance = SoCInstance("second", graphs, np.zeros((3, 3), int), np.ones((3, 3), int), arrival_graph=[1])
    assert makespan(heft(instance)) == 133


@pytest.mark.parametrize("planner", PLANNERS)
@pytest.mark.parametrize("arrivals", [[0, 5], [3]])
def test_streams_are_refused(planner, arrivals):
    one = topcuoglu()
    stream = SoCInstance(
        "stream", one.graphs, one.latency, one.bandwidth, arrival_time=arrivals, arrival_graph=[0] * len(arrivals)
    )
    with pytest.raises(OptionError, match="one job that arrives at time 0; stream is"):
        planner(stream)


@pytest.mark.parametrize("planner", PLANNERS)
def test_an_unknown_rounding_is_refused(planner):
    with pytest.raises(UnknownNameError, match="unknown rounding 'nearest'"):
        planner(topcuoglu(), rounding="nearest")
