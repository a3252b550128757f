"""The dynamics of VM rescheduling, as scalar functions about one environment.

A snapshot is rescheduled: one migration after another, until the limit is reached or the policy stops. What is left
over decides: free cores that do not add up to whole slots are fragments. The reward is the decrease of the weighted
fragments in slots of 16 cores, less the migration cost, so the return is their decrease over the episode, exactly.

A dynamic cluster lives on meanwhile: VMs arrive, are placed best-fit and depart, while moves are decided, begin and
take their time. Stopping only waits for the next arrival or departure. The reward is minus the fragment rate over time,
as a share of the horizon, and minus the migration cost, both in slots: the return is minus the objective times the
slots that the free cores at the start would make.

A snapshot with VMs that are not placed is packed: they are placed, others moved or evicted for them. The reward is the
decrease of the penalty, in VMs of the highest priority.
"""

import warp as wp

from .simulator_class import offer_classes
from .simulator_cluster import evaluate, left, may_go, weighted
from .simulator_evacuate import offer_evacuations
from .simulator_events import evict, is_over, migrate, pass_to, put, wait
from .simulator_macro import measure, offer_completions
from .simulator_sinks import rank_sinks, sort_nodes
from .simulator_start import clear_actions, start
from .simulator_state import BILLION, CLASS, DYNAMIC, MACRO, PACK, RESCHEDULE, SLOT, VM, State
from .simulator_steps import offer_nodes, offer_vms
from .simulator_survey import refresh_keys, survey


@wp.func
def offer_macros(s: State, i: int):
    """Offer macros; returns the next action."""
    survey(s, i)
    sort_nodes(s, i)
    s.draft_length[i] = 0
    s.macro_before[i] = measure(s, i)
    a = int(0)
    if s.weight_64 > 0:
        a = offer_evacuations(s, i, a)
    if s.weight_16 > 0:
        rank_sinks(s, i)
        a = offer_completions(s, i, a)
    refresh_keys(s, i)  # drafts have put them out of date, and were taken back
    return a


@wp.func
def offer(s: State, i: int):
    """Find the candidates, besides stopping; returns how many there are."""
    s.offered[i] = 0
    s.only[i] = s.action_mask.shape[1] - 1
    last = s.action_mask.shape[1] - 1
    s.action_mask[i, last] = wp.int8(1)
    if s.moves == VM:
        if s.chosen[i] >= 0:
            s.action_mask[i, last] = wp.int8(0)
            offer_nodes(s, i)
        elif left(s, i) > 0 or s.task == PACK:
            offer_vms(s, i)
        else:
            clear_actions(s, i, 0, last)
    elif left(s, i) > 0 or s.task == PACK:
        a = int(0)
        if s.moves == CLASS:
            a = offer_classes(s, i)
        else:
            a = offer_macros(s, i)
        clear_actions(s, i, a, last)
    else:
        s.class_count[i] = 0
        s.key_count[i] = 0
        clear_actions(s, i, 0, last)
    return s.offered[i]


@wp.func
def finish(s: State, i: int):
    """The episode is over."""
    if s.task == DYNAMIC:
        pass_to(s, i, s.horizon[s.instance[i]])
    s.chosen[i] = -1
    s.offered[i] = 0
    s.class_count[i] = 0
    s.key_count[i] = 0
    s.terminated[i] = wp.int8(1)


@wp.func
def carry_out(s: State, i: int, v: int, n: int):
    """Put VM v at node n, wherever it is now; nowhere for -1."""
    if n < 0:
        evict(s, i, v)
    elif s.task == PACK and s.place[i, v] < 0:
        put(s, i, v, n)
    else:
        migrate(s, i, v, n)


@wp.func
def apply_macro(s: State, i: int, a: int):
    """Make the moves of macro a; as time passes meanwhile, only as long as each can still be decided."""
    part = int(0)
    while part < s.length[i, a] and left(s, i) > 0:
        v = s.part_vm[i, a, part]
        n = s.part_node[i, a, part]
        good = bool(True)
        if s.task == DYNAMIC:
            good = not is_over(s, i) and s.place[i, v] >= 0
            if good:
                good = may_go(s, i, v, n)
        if good:
            carry_out(s, i, v, n)
        part += 1
        if s.task == DYNAMIC:
            part = s.length[i, a]


@wp.func
def apply(s: State, i: int, a: int):
    """Do what legal action a says."""
    if a == s.action_mask.shape[1] - 1:
        if s.task == DYNAMIC:
            wait(s, i)
        else:
            finish(s, i)
    elif s.moves == VM and s.chosen[i] < 0:
        s.chosen[i] = s.vm[i, a]
    elif s.moves == MACRO:
        apply_macro(s, i, a)
    else:
        s.chosen[i] = -1
        carry_out(s, i, s.vm[i, a], s.node[i, a])


@wp.func
def is_at_end(s: State, i: int):
    """Whether nothing more can be decided, whatever the candidates."""
    result = bool(False)
    if s.task == DYNAMIC:
        result = is_over(s, i) or left(s, i) <= 0
    elif s.task == RESCHEDULE:
        result = left(s, i) <= 0
    return result and s.chosen[i] < 0


@wp.func
def settle(s: State, i: int):
    """Find the candidates; apply moves without an alternative until there is a choice or the end."""
    deciding = s.terminated[i] == wp.int8(0)
    while deciding:
        if is_at_end(s, i):
            finish(s, i)
            deciding = bool(False)
        else:
            count = offer(s, i)
            deciding = bool(False)
            if s.forced_moves == 1:
                if s.chosen[i] >= 0:
                    deciding = count == 1
                else:
                    deciding = count == 0
            if deciding:
                apply(s, i, s.only[i])
                deciding = s.terminated[i] == wp.int8(0)
    if s.terminated[i] == wp.int8(1):
        last = s.action_mask.shape[1] - 1
        clear_actions(s, i, 0, last)
        # Over before the first choice: any action ends it, and nobody who draws from the mask meets an empty one.
        s.action_mask[i, last] = wp.int8(s.steps[i] == 0)
    s.objective[i] = evaluate(s, i)


@wp.func
def worth(s: State, i: int):
    """What rewards are differences of: weighted fragments in hundredths of cores, or the objective."""
    result = s.objective[i]
    if s.task == RESCHEDULE:
        result = wp.int64(weighted(s, i))
    return result


@wp.func
def reset(s: State, i: int):
    """Begin an episode of environment i on instance ``s.instance[i]``."""
    start(s, i)
    if s.task == DYNAMIC:
        pass_to(s, i, 0)
    s.objective[i] = evaluate(s, i)
    s.rewarded[i] = worth(s, i)
    s.rewarded_scraps[i] = s.memory_fragments[i]
    s.rewarded_moves[i] = 0
    settle(s, i)


@wp.func
def reward_of(s: State, i: int):
    """The reward since it was last asked for."""
    b = s.instance[i]
    decrease = float(s.rewarded[i] - worth(s, i))
    result = float(0.0)
    if s.task == RESCHEDULE:
        slots = float(s.free_total[i]) / float(SLOT)  # all free cores, in slots: what a rate of 1 stands for
        result = decrease / float(100 * SLOT)
        if s.weight_memory > 0 and s.free_memory_total[i] > wp.int64(0):
            share = float(s.rewarded_scraps[i] - s.memory_fragments[i]) / float(s.free_memory_total[i])
            result = result + share * float(s.weight_memory) * 0.01 * slots
        if s.cost > 0:
            result = result - float(s.migrations[i] - s.rewarded_moves[i]) * float(s.cost) / float(BILLION) * slots
    elif s.task == DYNAMIC:
        result = decrease / float(BILLION) * float(s.free_at_start[i]) / float(SLOT)
    else:
        result = decrease / float(s.level_weight[b, s.unplaced.shape[1] - 1])
    s.rewarded[i] = worth(s, i)
    s.rewarded_scraps[i] = s.memory_fragments[i]
    s.rewarded_moves[i] = s.migrations[i]
    return result


@wp.func
def fail(s: State, i: int):
    """An illegal action: the episode is over, and counts as if nothing but fragments, or unplaced VMs, were left."""
    b = s.instance[i]
    slots = float(s.free_at_start[i]) / float(SLOT)
    worst = wp.int64(BILLION) + wp.int64(s.cost) * wp.int64(s.mnl)
    s.reward[i] = slots * (-1.0 - float(s.cost) / float(BILLION) * float(s.mnl))
    if s.task == DYNAMIC:
        s.reward[i] = float(s.objective[i] - worst) / float(BILLION) * slots
    if s.task == PACK:
        worst = wp.int64(s.mnl) + wp.int64(1)
        for v in range(s.vms[b]):
            worst = worst + s.level_weight[b, s.level[b, v]]
        s.reward[i] = float(s.objective[i] - worst) / float(s.level_weight[b, s.unplaced.shape[1] - 1])
    s.objective[i] = worst
    s.illegal[i] = wp.int8(1)
    s.terminated[i] = wp.int8(1)
    s.offered[i] = 0
    s.class_count[i] = 0
    s.key_count[i] = 0
    clear_actions(s, i, 0, s.action_mask.shape[1])


@wp.func
def step(s: State, i: int, action: int):
    """Apply action ``action``; an illegal one ends the episode."""
    s.reward[i] = 0.0
    if s.terminated[i] == wp.int8(0):
        s.steps[i] = s.steps[i] + 1
        legal = action >= 0 and action < s.action_mask.shape[1]
        if legal:
            legal = s.action_mask[i, action] == wp.int8(1)
        if legal:
            apply(s, i, action)
            settle(s, i)
        else:
            fail(s, i)
    # What happened at the reset counts with the first step, so that the whole episode is accounted for.
    if s.illegal[i] == wp.int8(0):
        s.reward[i] = reward_of(s, i)
