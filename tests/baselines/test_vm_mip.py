"""The integer program finds what exhaustive search finds, whatever counts as a fragment and whatever may not move."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from dispatchgym.baselines.vm_mip import Rescheduling, solve_mip
from dispatchgym.baselines.vm_problem import Cluster, Plan, outcome, to_schedule
from dispatchgym.baselines.vm_search import greedy
from dispatchgym.envs.core.errors import OptionError, ScheduleError
from dispatchgym.envs.vm.generator import preset_instance
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.validator import check, metrics


def replayed(instance: VMInstance, plan: Plan, conditions: dict) -> float:
    """What a plan leads to, after the validator and the solvers' cluster agree that it is legal."""
    claim = to_schedule(instance, plan, conditions)
    assert check(instance, claim) == []
    objective = outcome(Cluster(instance, conditions), plan.moves)
    assert objective == pytest.approx(metrics(instance, claim)["fragment_rate"], abs=1e-12)
    assert plan.bound is None or plan.bound <= objective
    return objective


def random_conditions(rng: np.random.Generator, **fixed) -> dict:
    wide = int(rng.choice([0, 0, 30, 100]))
    chosen = {
        "weight_64": wide, "weight_memory": int(rng.choice([0, 0, 20, 100])) * (wide == 0) + 30 * (wide == 30),
        "migration_cost": float(rng.choice([0.0, 0.0, 0.001, 0.02, 0.1])), "constraints": bool(rng.random() < 0.8),
    }  # fmt: skip
    return chosen | fixed


@pytest.mark.parametrize("part", range(4))
def test_it_is_as_good_as_exhaustive_search(tight_cluster, statement, part):
    for seed in range(60 * part, 60 * part + 60):
        rng = np.random.default_rng(seed)
        mnl = int(rng.integers(2, 5))
        memory, rules = bool(rng.random() < 0.4), bool(rng.random() < 0.5)
        instance = tight_cluster(rng, vms=int(rng.integers(3, 7 if mnl < 4 else 6)), memory=memory, rules=rules)
        conditions = random_conditions(rng, mnl=mnl)
        plan = solve_mip(instance, conditions, seed=seed)
        best = statement(instance, conditions).best_rate()
        assert replayed(instance, plan, conditions) == pytest.approx(best, abs=1e-9), seed
        assert plan.status == "optimal" and plan.bound == pytest.approx(best, abs=1e-9), seed


# Two hosts exchange VMs of 20 and 6 cores: VM 0 does not fit beside VM 1, nor VM 1 beside VM 0, and nothing else may
# move. The exchange would make a slot of 16 cores.
NODES = [[24, 10], [34, 10], [9, 9]]
VMS = [(20, 0), (6, 2), (14, 2), (10, 1), (10, 3)]


def circle(*spare: int) -> VMInstance:
    """The exchange, with so many cores free on the nodes of a third host."""
    nodes = np.array(NODES)
    nodes[2] = (*spare, 0)[:2]
    cores, node = np.array(VMS).T
    ones = np.ones_like(cores)
    return VMInstance(
        "circle", nodes, np.full((3, 2), 900), cores, ones, ones, node, movable=[True, True] + [False] * 3
    )


def test_a_circle_without_room_is_no_plan(statement):
    instance, conditions = circle(1), {"mnl": 4}
    relaxed = Rescheduling(Cluster(instance, conditions), range(3), 4, 60, 0)._program(0)[1]
    plan = solve_mip(instance, conditions)
    best = statement(instance, conditions).best_rate()
    assert relaxed.bound < best - 0.1  # without an order the exchange looks possible
    assert replayed(instance, plan, conditions) == pytest.approx(best) == pytest.approx(plan.bound)
    assert plan.status == "optimal"


def test_a_circle_is_undone_where_there_is_room_to_park():
    instance = circle(16)  # a slot, which is there again when VM 1 has left
    plan = solve_mip(instance, {"mnl": 3})
    assert plan.status == "optimal" and "rounds" in plan.note
    assert plan.moves == ((1, 4), (0, 2), (1, 0))
    assert replayed(instance, plan, {"mnl": 3}) < Cluster(instance).rate()
    assert solve_mip(instance, {"mnl": 2}).moves == ()
    costly = {"mnl": 3, "migration_cost": 0.9}
    assert solve_mip(instance, costly).moves == ()


def test_cases_in_which_the_order_matters_are_met_and_solved(statement):
    notes = Counter()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        instance = circle(*rng.integers(0, 24, 2).tolist())
        conditions = {"mnl": int(rng.integers(2, 5)), "migration_cost": float(rng.choice([0, 0.01]))}
        plan = solve_mip(instance, conditions)
        best = statement(instance, conditions).best_rate()
        assert replayed(instance, plan, conditions) == pytest.approx(best, abs=1e-9), seed
        assert plan.status == "optimal" and plan.bound == pytest.approx(best, abs=1e-9), seed
        search = Rescheduling(Cluster(instance, conditions), range(3), conditions["mnl"], 60, 0)
        notes["through rounds"] += "rounds" in plan.note
        notes["not as relaxed"] += search._program(0)[1].objective < best - 1e-9
    assert notes["through rounds"] >= 3 and notes["not as relaxed"] >= 3, notes


def test_groups_of_many_pairs_are_told_apart_until_the_bound_is_met(tight_cluster, statement):
    """What is found while the others of a group are thought to stay is no bound."""
    apart = 0
    for seed in range(30, 70):
        rng = np.random.default_rng(seed)
        made = tight_cluster(rng)
        pairs = [
            ("host" if rng.random() < 0.8 else "rack", rng.choice(made.vms, 2, replace=False).tolist())
            for _ in range(int(rng.integers(2, 7)))
        ]
        instance = VMInstance(
            "pairs", made.node_cores, made.node_memory, made.cores, made.memory, made.numas, made.node,
            rack=np.arange(3) // 2, groups=pairs,
        )  # fmt: skip
        search = Rescheduling(Cluster(instance, {"mnl": 3}), range(3), 3, 60, 0)
        plan, best = search.solve(), statement(instance, {"mnl": 3}).best_rate()
        assert replayed(instance, plan, {"mnl": 3}) == pytest.approx(best, abs=1e-9), seed
        assert plan.status == "optimal" and plan.bound == pytest.approx(best, abs=1e-9), seed
        apart += len(search.told_apart) > 0
    assert apart > 5


def independent(instance: VMInstance, conditions: dict) -> float:
    """The best rate of all placements that are few enough migrations away, VM by VM, by CP-SAT."""
    from ortools.sat.python import cp_model

    model, nodes, vms = cp_model.CpModel(), instance.nodes, instance.vms
    at = [[model.new_bool_var("") for _ in range(nodes)] for _ in range(vms)]
    for vm in range(vms):
        home = int(instance.node[vm])
        model.add_exactly_one(at[vm])
        for node in range(nodes):
            pinned = not instance.movable[vm] or instance.drained[node // 2]
            if node != home and (pinned or (instance.numas[vm] == 2 and node % 2)):
                model.add(at[vm][node] == 0)
        for scope, members in instance.groups:
            place = instance.rack.tolist() if scope == "rack" else list(range(instance.hosts))
            for other in members if vm in members else ():
                for node in range(nodes):
                    meets = [at[other][n] for n in range(nodes) if place[n // 2] == place[node // 2]]
                    if other != vm and node != home:
                        model.add(sum(meets) == 0).only_enforce_if(at[vm][node])
    model.add(sum(1 - at[vm][int(instance.node[vm])] for vm in range(vms)) <= conditions["mnl"])
    free = []
    for node in range(nodes):
        for amount, capacity in ((instance.cores, instance.node_cores), (instance.memory, instance.node_memory)):
            share = (-(-amount // instance.numas)).tolist()
            double = (instance.numas == 2).tolist()
            taken = sum(share[vm] * at[vm][node - node % 2 if double[vm] else node] for vm in range(vms))
            model.add(taken <= int(capacity[node // 2, node % 2]))
            if amount is instance.cores:
                free.append(int(capacity[node // 2, node % 2]) - taken)
    slots = []
    for node in range(nodes):
        slots.append(model.new_int_var(0, 64, ""))
        model.add(16 * slots[-1] <= free[node])
    model.maximize(sum(slots))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers, solver.parameters.max_time_in_seconds = 1, 60
    assert solver.solve(model) == cp_model.OPTIMAL
    total = int(instance.free_cores.sum())
    return (total - 16 * solver.objective_value) / total


@pytest.mark.parametrize("preset, mnl", [("hosts-10", 6), ("hosts-14", 4), ("small", 10), ("hosts-20", 3)])
def test_it_agrees_with_a_program_of_single_vms(preset, mnl):
    rng = np.random.default_rng(mnl)
    made = preset_instance(preset, 1)
    rules = {
        "movable": rng.random(made.vms) < 0.9, "drained": rng.random(made.hosts) < 0.1,
        "groups": [("host", rng.choice(made.vms, 3, replace=False).tolist()) for _ in range(20)],
    }  # fmt: skip
    instance = VMInstance(
        "ruled", made.node_cores, made.node_memory, made.cores, made.memory, made.numas, made.node, **rules
    )
    plan = solve_mip(instance, {"mnl": mnl})
    assert plan.status == "optimal"
    assert replayed(instance, plan, {"mnl": mnl}) == pytest.approx(independent(instance, {"mnl": mnl}), abs=1e-9)


@pytest.mark.parametrize("preset", ["small", "hosts-30", "hosts-50", "affinity-30-15"])
def test_the_reduced_program_is_no_better_and_mostly_as_good(preset):
    gaps = []
    for seed in range(2):
        instance, conditions = preset_instance(preset, seed), {"mnl": 8}
        full, reduced = (solve_mip(instance, conditions, reduced=reduced) for reduced in (False, True))
        assert full.status == "optimal" and reduced.status == "restricted optimum" and reduced.bound is None
        gaps.append(replayed(instance, reduced, conditions) - replayed(instance, full, conditions))
    slot = 16 / instance.free_cores.sum()
    assert min(gaps) > -1e-9 and max(gaps) < 2 * slot + 1e-9


def test_a_reduced_program_that_leaves_nothing_out_proves_its_optimum(statement):
    ones = np.ones(3, int)
    instance = VMInstance("whole", [[20, 21], [22, 23]], np.full((2, 2), 99), [8, 4, 2], ones, ones, [0, 1, 2])
    plan = solve_mip(instance, {"mnl": 2}, reduced=True)
    assert plan.status == "optimal"
    assert plan.bound == pytest.approx(statement(instance, {"mnl": 2}).best_rate())


def test_groups_are_told_apart_only_where_a_solution_fails_for_them():
    instance, conditions = preset_instance("affinity-30-30", 0), {"mnl": 8}
    search = Rescheduling(Cluster(instance, conditions), range(instance.hosts), 8, 60, 0)
    plan = search.solve()
    assert len(search.grouped) > 200 and len(search.told_apart) < len(search.grouped) / 2
    free = solve_mip(instance, conditions | {"constraints": False})
    objective = replayed(instance, plan, conditions)
    assert plan.status == "optimal" and objective >= free.bound - 1e-9


def test_too_little_time_still_gives_a_plan():
    instance, conditions = preset_instance("hosts-100", 0), {"mnl": 25, "weight_64": 50}
    plan = solve_mip(instance, conditions, time_limit=0.05)
    cheap = outcome(Cluster(instance, conditions), greedy(Cluster(instance, conditions), 25))
    assert plan.status == "feasible"
    assert 0 <= plan.bound <= replayed(instance, plan, conditions) <= cheap


def test_the_same_seed_gives_the_same_plan():
    instance = preset_instance("hosts-30", 3)
    assert solve_mip(instance, {"mnl": 6}, seed=4) == solve_mip(instance, {"mnl": 6}, seed=4)


def test_nothing_to_do_is_optimal(tight_cluster):
    instance = tight_cluster(np.random.default_rng(0))
    plan = solve_mip(instance, {"mnl": 0})
    assert plan == Plan((), Cluster(instance).rate(), "optimal")
    pinned = VMInstance("pinned", [[20, 20]], [[9, 9]], [4], [1], [1], [0], movable=[False])
    assert solve_mip(pinned).status == "optimal"


def test_nothing_is_printed():
    """HiGHS prints some lines of its own accord, past Python, on instances such as this one."""
    code = f"""
import numpy as np, os, sys
sys.path.insert(0, {str(__file__.rsplit("/", 1)[0])!r})
from conftest import _tight_cluster
from dispatchgym.baselines.vm_mip import solve_mip
os.write(1, b"before ")
for seed in range(6):
    solve_mip(_tight_cluster(np.random.default_rng(seed), memory=True), {{"mnl": 3, "weight_memory": 40}})
print("after")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "before after\n"


def test_bad_options_are_refused(random_cluster, tight_cluster):
    instance = tight_cluster(np.random.default_rng(0))
    for options in ({"time_limit": 0}, {"time_limit": True}, {"seed": -1}, {"seed": 2**31}, {"seed": 0.5}):
        with pytest.raises(OptionError, match=next(iter(options))):
            solve_mip(instance, **options)
    with pytest.raises(OptionError, match="reduced"):
        solve_mip(instance, {"weight_64": 1}, reduced=True)
    with pytest.raises(OptionError, match="not placed"):
        solve_mip(random_cluster(np.random.default_rng(0), "pack"))
    with pytest.raises(OptionError, match="horizon"):
        solve_mip(random_cluster(np.random.default_rng(0), "dynamic"))
    with pytest.raises(ScheduleError, match="mnl"):
        solve_mip(instance, {"mnl": -1})
