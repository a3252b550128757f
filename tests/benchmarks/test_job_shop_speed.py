"""The speed benchmark's own arithmetic, on made-up measurements: nothing is timed and nothing is installed."""

import json
from pathlib import Path
from typing import get_args

import pytest


@pytest.fixture(scope="module")
def benchmark(script):
    """The module of the command."""
    return script("job_shop_speed")


@pytest.fixture(scope="module")
def table(script):
    return script("peers.table")


def measured(peer, mode, instance, batch, operations_per_s, steps_per_s=None):
    return {
        "peer": peer, "mode": mode, "instance": instance, "batch": batch, "observation": "mask",
        "operations_per_s": operations_per_s, "steps_per_s": steps_per_s or operations_per_s,
    }  # fmt: skip


def reference(table, instance, batched, single):
    """The two rows of dispatchgym that ratios are taken of."""
    return [
        measured(*table.BATCHED[:2], instance, table.BATCHED[2], batched),
        measured(*table.SINGLE[:2], instance, table.SINGLE[2], single),
    ]


def only(summary, **wanted):
    found = [row for row in summary if all(row.get(name) == value for name, value in wanted.items())]
    assert len(found) == 1
    return found[0]


def test_rounds_become_their_median_and_best(table):
    rows = [measured("jumanji", "scan", "ta01", 64, ops, ops * 7) for ops in (100.0, 900.0, 300.0)]
    row = only(table.summarise(rows), peer="jumanji")
    assert (row["rounds"], row["operations_per_s"], row["best"], row["steps_per_s"]) == (3, 300.0, 900.0, 2100.0)
    assert row["spread"] == 9.0


def test_ratios_divide_our_median_on_the_same_instance(table):
    rows = [
        *(row for speed in (400.0, 1000.0, 700.0) for row in reference(table, "ta01", speed * 100, speed)),
        *reference(table, "ta41", 9000.0, 90.0),
        measured("jssenv", "single", "ta01", 1, 35.0),
        measured("jssenv", "single", "ta41", 1, 30.0),
    ]
    summary = table.summarise(rows)
    first, second = (only(summary, peer="jssenv", instance=name) for name in ("ta01", "ta41"))
    assert (first["times_batched"], first["times_single"]) == (2000.0, 20.0)
    assert (second["times_batched"], second["times_single"]) == (300.0, 3.0)
    assert only(summary, mode=table.BATCHED[1], instance="ta01")["times_batched"] == 1.0
    assert [row["instance"] for row in summary] == sorted(row["instance"] for row in summary)


def test_without_our_rows_there_are_no_ratios(table):
    summary = table.summarise([measured("jssenv", "single", "ta01", 1, 35.0)])
    assert summary[0]["times_batched"] is None and summary[0]["times_single"] is None
    assert table.markdown(summary).splitlines()[-1].endswith("| 35 | 35 | 35 | 1x | - | - |")


def test_the_other_constructions_are_no_reference(table):
    rows = [
        measured("dispatchgym", table.BATCHED[1].replace("non-delay", "active"), "ta01", 1024, 5.0),
        measured("jssenv", "single", "ta01", 1, 35.0),
    ]
    assert only(table.summarise(rows), peer="jssenv")["times_batched"] is None


def test_a_failed_peer_has_a_row_and_leaves_the_others(table):
    rows = [
        {"peer": "rl4co", "failed": "install: no wheel for | this\n system"},
        measured("jssenv", "single", "ta01", 1, 35.0),
        *({"peer": "jumanji", "mode": "scan", "instance": name, "batch": 64, "failed": "no memory"}
          for name in ("ta01", "ta01", "ta41")),
        {"peer": "job-shop-lib", "mode": "single", "instance": "ta41", "batch": 1, "failed": "too slow"},
    ]  # fmt: skip
    lines = table.markdown(table.summarise(rows)).splitlines()
    assert lines[2].startswith("| jssenv | single | ta01 | 1 |")
    assert lines[3] == "| rl4co | - | - | - | failed: install: no wheel for \\| this system | - | - | - | - | - | - |"
    assert lines[4] == "| jumanji | - | - | - | failed: no memory (2 ways) | - | - | - | - | - | - |"
    assert lines[5] == "| job-shop-lib | single | ta41 | 1 | failed: too slow | - | - | - | - | - | - |"
    assert len(lines) == 6


def test_every_line_of_the_table_has_the_same_cells(table):
    rows = [*reference(table, "ta01", 1.0, 2.0), {"peer": "rl4co", "failed": "x" * 1000}]
    lines = table.markdown(table.summarise(rows)).splitlines()
    assert {line.count("|") for line in lines} == {len(table.HEAD) + 1}
    assert max(map(len, lines)) < 300


@pytest.mark.parametrize(
    ("value", "text"), [(374037.4, "374,000"), (9876.0, "9,880"), (100.0, "100"), (48.52, "48.5"), (0.0123, "0.0123")]
)
def test_three_significant_digits(table, value, text):
    assert table.number(value) == text


def test_output_of_a_script(benchmark):
    """Chatter is skipped, and what was under way when the script was stopped is the part that failed."""
    key = {"peer": "rl4co", "mode": "batch", "instance": "ta01", "batch": 64}
    done, stopped = key | {"operations_per_s": 3.0}, key | {"batch": 256}
    lines = ["a library says hello", json.dumps(key | {"begun": True}), json.dumps(done), "[1, 2]", '{"a": 1}',
             json.dumps(stopped | {"begun": True}), '{"peer": "rl4co", "mo']  # fmt: skip
    text = "\n".join(lines)
    assert benchmark.read_rows("rl4co", text, None) == [done]
    assert benchmark.read_rows("rl4co", text, "stopped") == [done, stopped | {"failed": "stopped"}]
    assert benchmark.read_rows("rl4co", "", "exit status 1") == [{"peer": "rl4co", "failed": "exit status 1"}]


def test_rounds_go_on_without_a_peer_that_fails(benchmark, monkeypatch, tmp_path):
    """A peer that measured nothing is not asked again; the rest keep their rounds, and all rows are on file."""
    asked = []

    def run_script(name, python, files, seconds, timeout):
        asked.append(name)
        return [{"peer": name, "failed": "no"}] if name == "rl4co" else [measured(name, "single", "ta01", 1, 5.0)]

    monkeypatch.setattr(benchmark, "run_script", run_script)
    options = benchmark.Options(rounds=3, out=tmp_path / "speed.md")
    pythons = dict.fromkeys(("jssenv", "rl4co", "jumanji"), Path("python"))
    rows = benchmark.run_rounds(options, pythons, {}, [{"peer": "job-shop-lib", "failed": "install: no"}])
    assert asked == ["jssenv", "rl4co", "jumanji", "jssenv", "jumanji", "jssenv", "jumanji"]
    assert [row["round"] for row in rows] == [0, 1, 1, 1, 2, 2, 3, 3]
    assert [json.loads(line) for line in (tmp_path / "speed.jsonl").read_text().splitlines()] == rows


def test_a_script_that_cannot_start_is_a_failed_row(benchmark, tmp_path):
    rows = benchmark.run_script("jssenv", tmp_path / "no-such-python", {"ta01": tmp_path / "ta01.txt"}, 1.0, 10.0)
    assert len(rows) == 1 and rows[0]["peer"] == "jssenv" and "no-such-python" in rows[0]["failed"]


def test_a_version_that_changes_between_rounds_is_said(benchmark):
    rows = [{"peer": "dispatchgym", "versions": {"source": source}} for source in ("aa", "bb", "aa")]
    rows.append({"peer": "jssenv", "versions": {"JSSEnv": "1"}})
    text = benchmark.header(benchmark.Options(), rows, "pinned to core 0", "0.1")
    assert "- dispatchgym: source aa; CHANGED BETWEEN ROUNDS: source bb\n" in text
    assert "- jssenv: JSSEnv 1\n" in text


def test_names_scripts_and_pins(benchmark, script):
    environments = script("peers.environments")
    assert get_args(benchmark.Name) == tuple(environments.PEERS)
    for peer in environments.PEERS.values():
        assert (environments.HERE / peer.script).is_file()
        assert not peer.requirements or "==" in peer.requirements[0]


@pytest.mark.parametrize(
    ("name", "value"), [("rounds", 0), ("seconds", -1.0), ("timeout", 0.0), ("seconds", float("nan"))]
)
def test_options_that_make_no_sense_are_named(benchmark, name, value):
    with pytest.raises(ValueError, match=f"--{name}"):
        benchmark.Options(**{name: value})


def test_reason_of_a_failed_program(script):
    error_line = script("peers.environments").error_line
    assert error_line("Traceback\nValueError: bad\nWARNING: old pip\n") == "ValueError: bad"
    assert error_line("ERROR: first\nERROR: second\n\n") == "ERROR: second"
    assert error_line("Killed\n") == "Killed" and error_line(" \n") == "no message"
