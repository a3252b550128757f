"""The engine: twin, kernel, thread split, batch position, padding and graph replay give the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import warp as wp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core import engine
from dispatchgym.envs.core.engine import MODULE_OPTIONS, Engine, compile_for_cuda, kernels, resolve_device
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.flexible_job_shop import model as flexible_job_shop
from dispatchgym.envs.job_shop.model import Model
from dispatchgym.instances.catalogue import load_many

seeds = st.integers(0, 2**32 - 1)


def differences(engine: Engine, other) -> list[str]:
    """Names of the state's tensors that differ in any bit."""
    return [name for name, mine in engine.tensors.items() if mine.numpy().tobytes() != other[name].tobytes()]


@settings(max_examples=20)
@given(seeds)
def test_the_twin_equals_the_kernels_bit_for_bit(subject, legal, seed):
    game = subject.draw(seed, 4)
    simulation = game.simulation(6, seed=seed, group=2, shuffled=bool(seed % 2))
    twin, rng = simulation.engine.twin(), game.rng
    simulation.reset()
    twin.reset()
    assert differences(simulation.engine, vars(twin.state)) == []
    for step in range(40):
        actions = legal(simulation.mask, rng)
        if step % 13 == 12:
            actions[step % 6] = rng.choice([-1, 10**6, 2**31 - 1, -(2**31), 2**32, 2**63 - 1, -(2**63)])
        simulation.step(actions)
        twin.step(actions.numpy())
        assert differences(simulation.engine, vars(twin.state)) == []
        simulation.restart()
        twin.restart()
        assert differences(simulation.engine, vars(twin.state)) == []
    assert int(simulation.engine.tensors["episode"].sum()) > 0


@pytest.mark.parametrize("kind", range(2))
def test_an_action_beyond_32_bits_is_illegal(subject, legal, kind):
    if kind == len(subject.programs):
        pytest.skip("there is one program")
    game = subject.draw(1, 2, observation=list(subject.programs)[kind], forced_moves=False)
    simulation = game.simulation(2, instances=game.instances[:1] * 2)
    simulation.reset()
    actions = legal(simulation.mask, np.random.default_rng(0))
    actions[1] += 2**32  # the same lower 32 bits
    simulation.step(actions)
    assert simulation.illegal.tolist() == [0, 1] and simulation.terminated[1] == 1


@settings(max_examples=10)
@given(st.sampled_from([2, 3, 50]), seeds)
def test_any_number_of_threads_gives_the_same_bits(subject, legal, threads, seed):
    game = subject.draw(seed, 7)
    one, many = (game.simulation(7, threads=count) for count in (1, threads))
    assert one.engine.threads == 1 and many.engine.threads == min(threads, 7)
    for simulation in (one, many):
        simulation.reset()
    for _ in range(25):
        actions = legal(one.mask, game.rng)
        for simulation in (one, many):
            simulation.step(actions)
            simulation.restart()
        assert differences(one.engine, {name: t.numpy() for name, t in many.engine.tensors.items()}) == []


def test_large_batches_are_split_by_themselves(monkeypatch):
    instances = load_many("4x3:0")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for num_envs, threads in ((64, 1), (5000, 2)):
        engine = Simulation(Model(instances), instances, num_envs, observe=False).engine
        assert engine.threads == min(threads, os.cpu_count() or 1)


def follow(simulation: Simulation, place: int, seed: int) -> list:
    """Everything environment ``place`` shows in one episode of random legal actions; the others do the same."""
    rng, seen = np.random.default_rng(seed), []
    tensors = simulation.engine.tensors
    names = [f.name for f in simulation.engine.program.fields if f.shape[:1] == ("env",)]
    simulation.reset()
    while True:
        row = {name: tensors[name][place].numpy().tobytes() for name in names if name not in ("instance", "action")}
        seen.append(row)
        if simulation.terminated[place]:
            return seen
        candidates = simulation.mask[place].nonzero().flatten()
        action = int(candidates[rng.integers(len(candidates))])
        simulation.step(torch.full((simulation.num_envs,), action))


@pytest.fixture
def soon():
    """Launches of a single environment are recorded in a graph after four steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "GRAPH_AFTER", 4)
        yield


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seeds)
def test_the_place_in_the_batch_does_not_matter(subject, soon, seed):
    """Nor whether its launches are recorded in a graph, as those of a single environment are after a while."""
    game = subject.draw(seed, 6)
    crowd = game.instances[:5] + game.instances[:1]
    first, sixth = (follow(game.simulation(6, crowd, worlds=[7] * 6), place, seed) for place in (0, 5))
    simulation = game.simulation(1, game.instances[:1], worlds=[7])
    alone = follow(simulation, 0, seed)
    assert first == sixth == alone
    if len(alone) > 4:
        assert simulation.engine._launches["advance"][0].func is wp.capture_launch


@pytest.mark.parametrize("seed", range(4))
def test_a_saved_state_goes_on_to_the_bit(subject, legal, seed):
    game = subject.draw(seed, 6)
    one = game.simulation(4, seed=5, shuffled=True)
    one.reset()
    for _ in range(7):
        one.step(legal(one.mask, game.rng))
        one.restart()
    saved = one.engine.state_dict()
    kept = {name: tensor.clone() for name, tensor in saved.items()}
    other = game.simulation(4, seed=5, shuffled=True)
    other.engine.load_state_dict(saved)
    for _ in range(30):
        actions = legal(one.mask, game.rng)
        for simulation in (one, other):
            simulation.step(actions)
            simulation.restart()
        assert differences(one.engine, {name: t.numpy() for name, t in other.engine.tensors.items()}) == []
    assert all(torch.equal(kept[name], saved[name]) for name in kept)  # a copy, not a view


def test_a_state_of_another_form_is_refused(subject):
    engine = subject.draw(0, 2).simulation(3).engine
    saved = engine.state_dict()
    assert subject.bank_field not in saved and {subject.env_field, "episode", "action_mask"} <= saved.keys()
    for spoilt in ({**saved, "steps": saved["steps"][:2]}, {k: v for k, v in saved.items() if k != "steps"}):
        with pytest.raises(OptionError, match="'steps'.*\\(3,\\)"):
            engine.load_state_dict(spoilt)


def test_tensors_are_the_state_itself(subject):
    game = subject.draw(1, 1, forced_moves=False)
    simulation = game.simulation(2)
    simulation.reset()
    for place in range(2):
        simulation.engine.tensors["terminated"][place] = place
    simulation.restart()
    assert simulation.engine.tensors["episode"].tolist() == [0, 1]


@pytest.mark.parametrize("device", ["abacus", "mps", "meta", "cuda:999", None, 3.5, ""])
def test_devices_that_are_not_there_are_refused(device):
    with pytest.raises(OptionError, match="device"):
        resolve_device(device)


def test_devices_that_are_there():
    assert resolve_device("cpu") == torch.device("cpu") == resolve_device(torch.device("cpu"))
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def unoptimised(monkeypatch):
    """The compiler finds the same errors at every level, and this one takes the least time."""
    monkeypatch.setattr(wp.config, "optimization_level", 0)


def assert_machine_code(files: list, kernels: list) -> None:
    code = "".join(Path(path).read_text("utf-8", errors="replace") for path in files)
    assert files and ".target sm_90" in code
    assert all(kernel.key in code for kernel in kernels)


def test_every_kernel_compiles_for_a_gpu(tmp_path, unoptimised):
    program = flexible_job_shop.PROGRAMS["pairs"]  # the kernels of all programs are alike
    assert_machine_code(compile_for_cuda(program, 90, str(tmp_path)), list(kernels(program).values()))


@pytest.mark.parametrize("kind", range(2))
def test_every_program_compiles_for_a_gpu(subject, kind, tmp_path, unoptimised):
    if kind == len(subject.programs):
        pytest.skip("there is one program")
    programs = list(subject.programs.values())
    first, program = programs[0], programs[kind]
    State, reset, step, observe = program.state, program.reset, program.step, program.observe
    anew = not kind or (reset, step) != (first.reset, first.step)  # else the first one has shown these
    module = wp.get_module(f"test_engine_{program.name}")

    @wp.kernel(module=module, enable_backward=False)
    def once(s: State, action: int):
        i = wp.tid()
        if wp.static(anew):
            reset(s, i)
            step(s, i, action)
        observe(s, i)

    wp.set_module_options(MODULE_OPTIONS, module=module)
    files = wp.compile_aot_module(module, arch=90, module_dir=str(tmp_path), use_ptx=True)
    assert_machine_code(files, [once])


DEBUG_RUN = """
import warp as wp
wp.config.mode = "debug"
import sys
import torch
torch.set_num_threads(1)
import dispatchgym
from dispatchgym.envs.core.engine import kernels
from dispatchgym.envs.core.registry import family
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.instances.catalogue import load_many
entry, settings = family(sys.argv[1]), SETTINGS
generator = torch.Generator().manual_seed(0)
for number, (names, options) in enumerate(settings):
    instances = load_many(names, entry.name)
    model = entry.model(instances, entry.make_options(**options))
    simulation = Simulation(model, instances, 5, observe=number % 3 < 2)
    assert next(iter(kernels(model.program).values())).module.options["mode"] in (None, "debug")
    simulation.reset()
    for step in range(4000):
        actions = torch.multinomial(simulation.mask.float() + 1e-9, 1, generator=generator)[:, 0]
        if step % 9 == 0:
            actions[step % 5] = (-5, model.spec.actions, 10**6, 2**40)[step % 4]
        if step % 50 < 40:
            actions = torch.where(simulation.mask[range(5), actions.clamp(0, model.spec.actions - 1)] == 1, actions, -1)
        simulation.step(actions)
        simulation.restart()
        if int(simulation.engine.tensors["episode"].min()) > 1:
            break
    assert int(simulation.engine.tensors["episode"].min()) > 0
print("no write went astray")
"""

SHOPS = ["ft06", "4x3:0-2", "3x5:0"]
DATED_SHOPS = ["dynamic-4x3:0-1", "dynamic-6x2:0"]
GRAPHS = ["topcuoglu", "insertion", "random-12:0-1", "cholesky-4-2g2c:0"]
STREAMS = ["radio-small-50x3:0", "socrates-mix-50x4:0", "topcuoglu", "random-12:0", "socrates-50x1:0"]
CLUSTERS = ["plateau", "uphill", "hosts-6:0-1", "affinity-5-20:0"]
CHURN = ["churn-4-20:0", "churn-6-10:0"]
PODS = ["pods-3x4:0-1", "pods-5x3:0"]
QUEUES = ["hurry", "patience", "overload-n12:0", "tight-kv-n9:0", "multi-tenant-n9:0"]
FLOWS = ["serial-preemptive-n9:0-1", "tight-kv-n9-flow:0", "route-prefix-n12-flow:0"]
FLEETS = ["route-prefix-n14:0-1", "route-overload-n12:0"]
FLEXIBLE = ["workshop", "fast-machine", "sd1-4x3:0-1", "sd2-3x4:0"]
DEBUG_SETTINGS = {
    "job_shop": [
        (SHOPS, dict(construction=construction, forced_moves=False, observation=observation))
        for construction in ("active", "insertion", "non-delay")
        for observation in ("jobs", "operations")
    ],
    "job_shop-live": [
        (SHOPS, dict(buffers="none", forced_moves=False)),
        (DATED_SHOPS, dict(buffers="swap", uptime=400, repair=50, forced_moves=False)),
        (DATED_SHOPS, dict(reveal=True, noise="gamma", sigma=0.4, construction="non-delay")),
        (SHOPS, dict(uptime=4000, repair=300, interrupted="restart", buffers="none", construction="non-delay")),
        (["6x6:0"], dict(buffers="none", safety=False)),
    ],
    "soc": [
        (GRAPHS, dict(pilot="both", forced_moves=False)),
        (GRAPHS, dict(pilot="rank-oct", choice=0, observation="ready")),
        (GRAPHS, dict(choice=1, shared_bus=True)),
        (STREAMS, dict(noise="readys", sigma=3.0, forced_moves=False)),
        (STREAMS, dict(binding="match", noise="gaussian", sigma=0.3, shared_bus=True, observation="ready")),
        (STREAMS, dict(binding="match", planner="rank-oct", wip_cap=1)),
        (STREAMS, dict(binding="push", noise="ds3", sigma=0.5, choice=0, wip_cap=2)),
        (STREAMS, dict(binding="push", shared_bus=True, observation="ready", forced_moves=False)),
        (STREAMS, dict(binding="late", planner="peft", noise="gamma", sigma=1.0)),
        (STREAMS, dict(binding="late", planner="heft", replan=False, choice=0, observation="ready")),
        (GRAPHS, dict(mode="online", binding="pull", planner="peft", replan=False)),
        (STREAMS, dict(binding="idle", planner="rank-oct", choice=2, observation="ready", noise="ds3", sigma=0.3)),
    ],
    "vm": [
        (CLUSTERS, dict(mnl=12)),
        (CLUSTERS, dict(moves="macro", mnl=20, weight_64=40)),
        (CLUSTERS, dict(moves="macro", mnl=12, forced_moves=False)),
        (CLUSTERS, dict(moves="macro", mnl=9, choice=2, weight_memory=50)),
        (CLUSTERS, dict(moves="vm", mnl=12, weight_64=50)),
        (CLUSTERS, dict(mnl=12, choice=3, constraints=False)),
        (CHURN, dict(mnl=9, latency=5000, copy_rate=1000)),
        (CHURN, dict(mnl=9, moves="macro", copy_rate=1000)),
        (CHURN, dict(mnl=9, moves="vm", latency=1000, forced_moves=False)),
        (PODS, dict(mnl=9)),
        (PODS, dict(mnl=9, moves="vm", forced_moves=False)),
    ],
    "flexible_job_shop": [
        (FLEXIBLE, dict(construction=construction, forced_moves=construction == "non-delay"))
        for construction in ("active", "non-delay", "wait")
    ],
    "llm": [
        (QUEUES, dict(choice=4, forced_moves=False)),
        (QUEUES, dict(order="arrival", past_future=0, reject=True, observation="batch")),
        (QUEUES, dict(order="moore-hodgson", defer=0, swap_rate=1000)),
        (QUEUES, dict(choice=0, leap=False, watermark=10, victim="least")),
        (FLOWS, dict(order="arrival", choice=2, observation="batch")),
        (FLOWS, dict(profile="serial", swap_rate=9, victim="priority")),
        (FLEETS, dict(control="routing", observation="batch")),
        (FLEETS, dict(control="routing", local="atc", reject=True, forced_moves=False)),
        (FLEETS, dict(order="moore-hodgson", prefix_cache=False, past_future=0)),
    ],
}

STRAY_WRITE = """
import warp as wp
wp.config.mode = "debug"

@wp.kernel
def stray(a: wp.array(dtype=int)):
    a[wp.tid() + 3] = 1

wp.launch(stray, dim=1, inputs=[wp.zeros(3, dtype=int, device="cpu")], device="cpu")
print("nobody noticed")
"""


def run_script(text: str, folder, *words: str) -> subprocess.CompletedProcess:
    path = folder / "script.py"  # Warp reads the source of kernels from their file
    path.write_text(text, "utf-8")
    return subprocess.run([sys.executable, str(path), *words], capture_output=True, text=True, timeout=300)


def test_no_write_is_out_of_bounds(subject, tmp_path):
    """All the while legal and illegal actions are played, to the end of an episode everywhere."""
    settings = repr(DEBUG_SETTINGS["-".join(filter(None, (subject.name, subject.kind)))])
    answer = run_script(DEBUG_RUN.replace("SETTINGS", settings), tmp_path, subject.name)
    assert answer.returncode == 0 and "no write went astray" in answer.stdout, answer.stderr[-3000:]


def test_debug_mode_would_notice_a_write_out_of_bounds(tmp_path):
    answer = run_script(STRAY_WRITE, tmp_path)
    assert answer.returncode != 0 and "nobody noticed" not in answer.stdout
    assert "arr.shape" in answer.stderr + answer.stdout


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("seed", range(12))
def test_the_gpu_equals_the_cpu_bit_for_bit(subject, legal, seed):
    game = subject.draw(seed, 32)
    here, there = (game.simulation(64, device=device, seed=1, shuffled=True) for device in ("cpu", "cuda"))
    for simulation in (here, there):
        simulation.reset()
    for _ in range(40):
        actions = legal(here.mask, game.rng)
        for simulation in (here, there):
            simulation.step(actions.to(simulation.device))
            simulation.restart()
        other = {name: tensor.cpu().numpy() for name, tensor in there.engine.tensors.items()}
        assert differences(here.engine, other) == []
