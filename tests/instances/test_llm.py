"""The LLM instances that come with the package show what is said of them, and their bounds are true."""

from itertools import pairwise
from pathlib import Path

import pytest

from dispatchgym.envs.core.errors import InstanceError, UnknownNameError
from dispatchgym.instances import llm

NAMES = ("two-at-once", "hurry", "patience")


@pytest.fixture(scope="module")
def play(load_module):
    """Plays an instance slowly."""
    return load_module(Path(__file__).parents[1] / "envs" / "llm" / "plain_play.py").Play


def seconds(played):
    """Of each request: when its tokens came."""
    return [[time / 1e6 for time, _ in one.tokens] for one in sorted(played.done, key=lambda one: one.index)]


def test_names_and_numbers_agree_with_the_manifest():
    assert llm.names() == NAMES == llm.groups()["examples"]
    for name in llm.names():
        row, instance = llm.SHELF.manifest[name], llm.load(name)
        assert instance.name == name and instance.digest == row["digest"] and llm.find(instance.digest) == name
        assert (instance.requests, len(instance.servers)) == (int(row["requests"]), int(row["servers"]))
        bounds = llm.bounds(name)
        assert bounds.proven and bounds.date == "2026"
    assert llm.find("0" * 16) is None


def test_two_at_once(play):
    instance = llm.load("two-at-once")
    assert instance.objective == "e2e_mean"
    assert seconds(play(instance)) == [[1, 2], [1]]
    # an iteration makes at most one token of a request, and takes a second
    assert llm.bounds("two-at-once").lower == instance.output.mean() == (2 + 1) / 2


def test_hurry(play):
    instance = llm.load("hurry")
    assert instance.objective == "miss_rate"
    assert play(instance).missed().tolist() == [False, True]
    other = play(instance, key=lambda one: -one.index)
    assert seconds(other) == [[2, 3, 4], [1]] and other.missed().mean() == llm.bounds("hurry").upper


def test_patience(play):
    instance = llm.load("patience")
    assert instance.objective == "miss_rate"
    at_once = play(instance)
    assert seconds(at_once) == [[1, 2, 3, 4], [1, 2, 5, 6]] and at_once.servers[0].preemptions == 1
    assert at_once.missed().tolist() == [False, True]
    finished = set()

    class Patient(play):
        def end(self, *arguments):
            super().end(*arguments)
            finished.update(one.index for one in self.done)

    waiting = Patient(instance, key=lambda one: one.index if one.index == 0 or 0 in finished else None)
    assert seconds(waiting) == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert waiting.missed().mean() == llm.bounds("patience").upper and waiting.servers[0].preemptions == 0
    assert all(later - earlier == 1 for times in seconds(waiting) for earlier, later in pairwise(times))


def test_presets():
    assert "burst" in llm.presets()
    assert llm.preset("burst-n20", 5).name == "burst-n20:5"
    assert llm.find(llm.preset("burst-n20", 5).digest) is None
    with pytest.raises(UnknownNameError, match="route-prefix"):
        llm.preset("ta01", 0)


def test_files(tmp_path):
    path = tmp_path / "copy.json"
    path.write_text(llm.SHELF.text("hurry.json"))
    copy = llm.read(str(path))
    assert copy.digest == llm.load("hurry").digest and llm.find(copy.digest) == "hurry"
    (tmp_path / "trace.csv").write_text("arrived_at,num_prefill_tokens,num_decode_tokens\n0.5,10,3\n")
    assert llm.read(str(tmp_path / "trace.csv")).size == "1x1"


def test_a_changed_number_is_noticed(monkeypatch):
    text = llm.SHELF.text("hurry.json")
    monkeypatch.setattr(llm.SHELF, "text", lambda file: text.replace("10000000", "10000001", 1))
    with pytest.raises(InstanceError, match="hurry.json was changed"):
        llm.SHELF.make("hurry")
