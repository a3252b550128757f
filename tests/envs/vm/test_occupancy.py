"""The book of who is where agrees with a count from nothing, whatever happens."""

import math
from types import SimpleNamespace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatchgym.envs.vm.conditions import Conditions
from dispatchgym.envs.vm.instance import VMInstance
from dispatchgym.envs.vm.occupancy import NOWHERE, Occupancy


def agree(book: Occupancy, world, conditions: Conditions) -> None:
    free = [world.free(node) for node in range(book.instance.nodes)]
    assert list(zip(book.cores.ravel().tolist(), book.memory.ravel().tolist(), strict=True)) == free
    assert {vm: node for vm, node in enumerate(book.node.tolist()) if node != NOWHERE} == world.at
    assert {vm: node for vm, node in enumerate(book.target.tolist()) if node != NOWHERE} == world.copied
    assert all(math.isclose(a, b, rel_tol=1e-14) for a, b in zip(book.parts(), world.parts(), strict=True))
    assert math.isclose(book.rate(conditions), world.rate(), rel_tol=1e-14)


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_it_agrees_with_a_count_from_nothing(vm, number):
    """VMs come, go and are copied at random, several at a time; all that may be asked is asked on the way."""
    rng = np.random.default_rng(number)
    instance, conditions = vm.instance(rng, vm.kinds[number % 3]), vm.conditions(rng)
    world = vm.World(instance, conditions)
    read = Conditions.read(conditions)
    book = Occupancy(instance, read.constraints, range(instance.vms))
    for _ in range(12):
        one, step = int(rng.integers(instance.vms)), None
        node = int(rng.integers(instance.hosts)) * 2 if book.double(one) else int(rng.integers(instance.nodes))
        if one not in world.at:
            assert {rule for rule, _ in book.obstacles(one, node)} == world.broken(one, node)
            best = book.best_fit(one)
            assert world.arrive(one) == (best != NOWHERE) and world.at.get(one, NOWHERE) == best
            if best != NOWHERE:
                book.enter(one, best)
        elif one in world.copied:
            step = "leave" if rng.random() < 0.5 else "complete"
        elif world.at[one] != node:
            assert {rule for rule, _ in book.obstacles(one, node)} == world.broken(one, node)
            step = "reserve" if not world.broken(one, node) else "leave"
        match step:
            case "leave":
                book.leave(one)
                del world.at[one]
                world.copied.pop(one, None)
            case "complete":
                book.complete(one)
                world.at[one] = world.copied.pop(one)
            case "reserve":
                book.reserve(one, node)
                world.copied[one] = node
        agree(book, world, read)


def test_a_double_vm_takes_half_of_each_rounded_up():
    instance = VMInstance("one", [[8, 8]], [[9, 9]], [6], [5], [2], [0])
    book = Occupancy(instance, True, ())
    assert book.share(0) == (3, 3) and book.double(0)
    assert book.cores.tolist() == [[5, 5]] and book.memory.tolist() == [[6, 6]]
    book.leave(0)
    assert book.cores.tolist() == [[8, 8]] and book.memory.tolist() == [[9, 9]] and book.node.tolist() == [NOWHERE]


def test_groups_of_vms_that_are_not_asked_for_are_not_looked_up():
    members = SimpleNamespace(looked=0)

    class Members(tuple):
        def __iter__(self):
            members.looked += 1
            return super().__iter__()

    instance = VMInstance("two", [[8, 8]], [[9, 9]], [1] * 4, [1] * 4, [1] * 4, [0] * 4)
    object.__setattr__(instance, "groups", (("host", Members((0, 1))), ("host", Members((2, 3)))))
    book = Occupancy(instance, True, [0])
    before = members.looked
    assert [rule for rule, _ in book.obstacles(0, 1)] == ["affinity"] and members.looked == before + 1
    assert book.obstacles(2, 1) == []  # it was said that nobody would ask
    assert Occupancy(instance, False, [0]).obstacles(0, 1) == []
