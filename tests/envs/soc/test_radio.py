"""The radio chip: cores run everything, accelerators one operation each, and are reached slowly."""

import numpy as np
import pytest

from dispatchgym.envs.soc import radio


def by_kind(graph):
    """Execution times on one element of each kind; all elements of a kind are alike."""
    kinds = list(dict.fromkeys(radio.KINDS))
    columns = {kind: graph.execution_time[:, [k == kind for k in radio.KINDS]] for kind in kinds}
    assert all((times == times[:, :1]).all() for times in columns.values())
    return {kind: times[:, 0] for kind, times in columns.items()}


def test_the_jobs():
    sizes = {graph.name: graph.tasks for graph in radio.graphs()}
    assert sizes == {
        "wifi transmitter": 27,
        "wifi receiver": 34,
        "range detection": 7,
        "single-carrier transmitter": 8,
        "single-carrier receiver": 8,
        "temporal mitigation": 10,
    }
    for graph in radio.graphs():
        assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
        sinks = set(range(graph.tasks)) - set(graph.edges[:, 0].tolist())
        assert sinks == {graph.tasks - 1}


def test_the_elements():
    assert [radio.KINDS.count(kind) for kind in ("little", "big", "matrix", "fft", "viterbi")] == [4, 4, 2, 4, 2]
    used = set()
    for graph in radio.graphs():
        times = by_kind(graph)
        assert (times["big"] >= 0).all() and (times["little"] > times["big"]).all()
        for kind in ("matrix", "fft", "viterbi"):
            runs = times[kind] >= 0
            assert (times[kind][runs] < times["big"][runs]).all()
            used |= {kind} if runs.any() else set()
    assert used == {"matrix", "fft", "viterbi"}


def test_transfers_to_accelerators_are_slow():
    instance = radio.generate(50, False, np.random.default_rng(0))
    assert instance.bandwidth[0, 7] == 1000
    assert {int(instance.bandwidth[a, b]) for a in range(16) for b in range(8, 16) if a != b} == {10}
    assert (instance.bandwidth == instance.bandwidth.T).all()


@pytest.mark.parametrize("small", [True, False])
def test_streams(small):
    instance = radio.generate(50, small, np.random.default_rng(0), "mine", 4)
    assert (instance.jobs, instance.elements, instance.name, instance.world) == (25, 16, "mine", 4)
    assert instance.widest == (10 if small else 34) and len(instance.graphs) == (4 if small else 6)
    assert instance.kinds == radio.KINDS and instance.arrival_time[0] == 0
    gaps, kinds = [], set()
    for seed in range(100):
        drawn = radio.generate(50, small, np.random.default_rng(seed))
        gaps.append(drawn.arrival_time[-1] / 24)
        kinds |= set(drawn.arrival_graph.tolist())
    assert abs(np.mean(gaps) - 49.5) < 4 and kinds == set(range(len(instance.graphs)))
