"""The engine: twin, kernel, thread split, batch position, padding and graph replay give the same bits."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dispatchgym.envs.core.engine import Engine, compile_for_cuda, kernels, resolve_device
from dispatchgym.envs.core.errors import OptionError
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.model import PROGRAMS, Model, Options
from dispatchgym.instances.catalogue import load_many

CONSTRUCTIONS = ("active", "non-delay", "insertion", 0.3)
choices = st.builds(Options, st.sampled_from(CONSTRUCTIONS), st.booleans(), st.sampled_from(["jobs", "operations"]))
seeds = st.integers(0, 2**32 - 1)


def shops(random_shop, seed: int, count: int, general: bool = True):
    rng = np.random.default_rng(seed)
    return [random_shop(rng, general, name=f"random {k}") for k in range(count)], rng


def differences(engine: Engine, other) -> list[str]:
    """Names of the state's tensors that differ in any bit."""
    return [name for name, mine in engine.tensors.items() if mine.numpy().tobytes() != other[name].tobytes()]


@settings(max_examples=40)
@given(choices, st.booleans(), seeds)
@example(Options("insertion", False, "operations"), True, 1)
@example(Options("active", True, "jobs"), False, 2)
def test_the_twin_equals_the_kernels_bit_for_bit(random_shop, legal, options, general, seed):
    instances, rng = shops(random_shop, seed, 4, general)
    simulation = Simulation(Model(instances, options), instances, 6, seed=seed, group=2, shuffled=bool(seed % 2))
    twin = simulation.engine.twin()
    simulation.reset()
    twin.reset()
    assert differences(simulation.engine, vars(twin.state)) == []
    for step in range(40):
        actions = legal(simulation.mask, rng)
        if step % 13 == 12:
            actions[step % 6] = rng.choice([-1, 99, 2**31 - 1, -(2**31), 2**32, 2**63 - 1, -(2**63)])
        simulation.step(actions)
        twin.step(actions.numpy())
        assert differences(simulation.engine, vars(twin.state)) == []
        simulation.restart()
        twin.restart()
        assert differences(simulation.engine, vars(twin.state)) == []
    assert int(simulation.engine.tensors["episode"].sum()) > 0


@pytest.mark.parametrize("kind", PROGRAMS)
def test_an_action_beyond_32_bits_is_illegal(legal, kind):
    instances = load_many("ft06")
    simulation = Simulation(Model(instances, Options(observation=kind)), instances, 2)
    simulation.reset()
    actions = legal(simulation.mask, np.random.default_rng(0))
    actions[1] += 2**32  # the same lower 32 bits
    simulation.step(actions)
    assert simulation.illegal.tolist() == [0, 1] and simulation.terminated.tolist() == [0, 1]


@settings(max_examples=8)
@given(choices, st.sampled_from([2, 3, 50]), seeds)
def test_any_number_of_threads_gives_the_same_bits(random_shop, legal, options, threads, seed):
    instances, rng = shops(random_shop, seed, 7)
    model = Model(instances, options)
    one, many = (Simulation(model, instances, 7, threads=count) for count in (1, threads))
    assert one.engine.threads == 1 and many.engine.threads == min(threads, 7)
    for simulation in (one, many):
        simulation.reset()
    for _ in range(25):
        actions = legal(one.mask, rng)
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


@settings(max_examples=15)
@given(choices, seeds)
def test_the_place_in_the_batch_does_not_matter(random_shop, options, seed):
    instances, _ = shops(random_shop, seed, 6)
    model = Model(instances, options)
    instances[5] = instances[0]
    first, sixth = (follow(Simulation(model, instances, 6), place, seed) for place in (0, 5))
    alone = follow(Simulation(model, instances[:1], 1), 0, seed)  # a replayed graph
    assert first == sixth == alone


def real_part(simulation: Simulation, instance, options: Options) -> dict[str, np.ndarray]:
    """What environment 0 shows of an instance, without the padding."""
    n, m, route = instance.jobs, instance.machines, instance.duration.shape[1]
    model, seen = simulation.model, {key: value[0].numpy() for key, value in simulation.observation.items()}
    slots = model.machines if model.spec.complete else model.route
    wanted = m if model.spec.complete else route
    edges = seen["assignment_attr"].reshape(model.jobs, slots, -1)[:n, :wanted]
    work = seen["work"].reshape(model.jobs, -1, seen["work"].shape[-1])[:n]
    work = work[:, :route] if options.observation == "operations" else work
    part = {"edges": edges, "work": work, "resource": seen["resource"][:m], "context": seen["context"]}
    part |= {"candidate_attr": seen["candidate_attr"][:n], "mask": seen["action_mask"][:n]}
    part |= {name: column[0, :n].numpy() for name, column in simulation.columns.items()}
    padding = [
        simulation.mask[0, n:],
        simulation.observation["resource"][0, m:],
        simulation.observation["candidate_attr"][0, n:],
    ]
    assert not any(tensor.any() for tensor in padding)
    return part


@settings(max_examples=30)
@given(choices, st.booleans(), seeds)
def test_padding_changes_nothing(random_shop, options, general, seed):
    (small, large), rng = shops(random_shop, seed, 2, general)
    if Model([small]).complete != Model([small, large]).complete:
        return  # the layout of the edges follows from the whole bank
    alone = Simulation(Model([small], options), [small], 1)
    padded = Simulation(Model([small, large], options), [small, large], 2)
    for simulation in (alone, padded):
        simulation.reset()
    while not alone.terminated[0]:
        one, other = real_part(alone, small, options), real_part(padded, small, options)
        assert [key for key in one if one[key].tobytes() != np.ascontiguousarray(other[key]).tobytes()] == []
        candidates = alone.mask[0].nonzero().flatten()
        action = candidates[rng.integers(len(candidates))]
        alone.step(action[None])
        padded.step(action.expand(2))
        assert alone.reward[0] == padded.reward[0] and alone.terminated[0] == padded.terminated[0]
    assert alone.outcome()["makespan"][0] == padded.outcome()["makespan"][0]
    assert (alone.schedule().entries == padded.schedule().entries).all()


@pytest.mark.parametrize(
    "options", [Options("active", True, "jobs"), Options("insertion", False, "operations")], ids=str
)
def test_a_saved_state_goes_on_to_the_bit(random_shop, legal, options):
    instances, rng = shops(random_shop, 3, 6)
    model = Model(instances, options)
    one = Simulation(model, instances, 4, seed=5, shuffled=True)
    one.reset()
    for _ in range(7):
        one.step(legal(one.mask, rng))
        one.restart()
    saved = one.engine.state_dict()
    kept = {name: tensor.clone() for name, tensor in saved.items()}
    other = Simulation(model, instances, 4, seed=5, shuffled=True)
    other.engine.load_state_dict(saved)
    for _ in range(30):
        actions = legal(one.mask, rng)
        for simulation in (one, other):
            simulation.step(actions)
            simulation.restart()
        assert differences(one.engine, {name: t.numpy() for name, t in other.engine.tensors.items()}) == []
    assert all(torch.equal(kept[name], saved[name]) for name in kept)  # a copy, not a view


def test_a_state_of_another_form_is_refused():
    instances = load_many("4x3:0")
    engine = Simulation(Model(instances), instances, 3).engine
    saved = engine.state_dict()
    assert "duration" not in saved and {"start", "episode", "action_mask"} <= saved.keys()
    for spoilt in ({**saved, "bound": saved["bound"][:2]}, {k: v for k, v in saved.items() if k != "bound"}):
        with pytest.raises(OptionError, match="'bound'.*\\(3,\\)"):
            engine.load_state_dict(spoilt)


def test_tensors_are_the_state_itself():
    instances = load_many("4x3:0")
    simulation = Simulation(Model(instances), instances, 2)
    simulation.reset()
    simulation.engine.tensors["terminated"][1] = 1
    simulation.restart()
    assert simulation.engine.tensors["episode"].tolist() == [0, 1]


@pytest.mark.parametrize("device", ["abacus", "mps", "meta", "cuda:999", None, 3.5, ""])
def test_devices_that_are_not_there_are_refused(device):
    with pytest.raises(OptionError, match="device"):
        resolve_device(device)


def test_devices_that_are_there():
    assert resolve_device("cpu") == torch.device("cpu") == resolve_device(torch.device("cpu"))
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("kind", PROGRAMS)
def test_every_kernel_compiles_for_a_gpu(kind, tmp_path):
    files = compile_for_cuda(PROGRAMS[kind], 90, str(tmp_path))
    code = "".join(path.read_text("utf-8", errors="replace") for path in map(type(tmp_path), files))
    assert files and ".target sm_90" in code
    assert all(kernel.key in code for kernel in kernels(PROGRAMS[kind]).values())


DEBUG_RUN = """
import warp as wp
wp.config.mode = "debug"
import numpy as np, torch
torch.set_num_threads(1)
import dispatchgym
from dispatchgym.envs.core.engine import kernels
from dispatchgym.envs.core.simulation import Simulation
from dispatchgym.envs.job_shop.model import Model, Options
from dispatchgym.instances.catalogue import load_many
instances = load_many(["ft06", "4x3:0-2", "3x5:0"])
generator = torch.Generator().manual_seed(0)
for construction in ("active", "insertion"):
    for observation in ("jobs", "operations"):
        for observe in (True, False):
            model = Model(instances, Options(construction, False, observation))
            simulation = Simulation(model, instances, 5, observe=observe)
            assert next(iter(kernels(model.program).values())).module.options["mode"] in (None, "debug")
            simulation.reset()
            for step in range(80):
                actions = torch.multinomial(simulation.mask.float() + 1e-9, 1, generator=generator)[:, 0]
                if step % 9 == 0:
                    actions[step % 5] = (-5, 6, 10**6, 2**40)[step % 4]
                simulation.step(actions)
                simulation.restart()
            assert int(simulation.engine.tensors["episode"].min()) > 0
print("no write went astray")
"""

STRAY_WRITE = """
import warp as wp
wp.config.mode = "debug"

@wp.kernel
def stray(a: wp.array(dtype=int)):
    a[wp.tid() + 3] = 1

wp.launch(stray, dim=1, inputs=[wp.zeros(3, dtype=int, device="cpu")], device="cpu")
print("nobody noticed")
"""


def run_script(text: str, folder) -> subprocess.CompletedProcess:
    path = folder / "script.py"  # Warp reads the source of kernels from their file
    path.write_text(text, "utf-8")
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=300)


def test_no_write_is_out_of_bounds(tmp_path):
    answer = run_script(DEBUG_RUN, tmp_path)
    assert answer.returncode == 0 and "no write went astray" in answer.stdout, answer.stderr[-3000:]


def test_debug_mode_would_notice_a_write_out_of_bounds(tmp_path):
    answer = run_script(STRAY_WRITE, tmp_path)
    assert answer.returncode != 0 and "nobody noticed" not in answer.stdout
    assert "arr.shape" in answer.stderr + answer.stdout


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("construction", CONSTRUCTIONS)
def test_the_gpu_equals_the_cpu_bit_for_bit(random_shop, legal, construction):
    for kind in PROGRAMS:
        compare_devices(random_shop, legal, construction, kind)


def compare_devices(random_shop, legal, construction, kind):
    instances, rng = shops(random_shop, 11, 32)
    model = Model(instances, Options(construction, True, kind))
    here, there = (Simulation(model, instances, 64, device=device, seed=1, shuffled=True) for device in ("cpu", "cuda"))
    for simulation in (here, there):
        simulation.reset()
    for _ in range(40):
        actions = legal(here.mask, rng)
        for simulation in (here, there):
            simulation.step(actions.to(simulation.device))
            simulation.restart()
        other = {name: tensor.cpu().numpy() for name, tensor in there.engine.tensors.items()}
        assert differences(here.engine, other) == []
