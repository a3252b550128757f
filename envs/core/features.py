"""What the observations of all families use to write their features."""

from typing import Any

import warp as wp


@wp.func
def clip(x: float, low: float, high: float):
    """Bring a number within the bounds of a feature."""
    return wp.min(wp.max(x, low), high)


@wp.func
def hide_edge(s: Any, i: int, e: int):
    """Make assignment edge e padding."""
    s.assignment[i, 0, e] = wp.int64(s.work.shape[1])
    s.assignment[i, 1, e] = wp.int64(s.resource.shape[1])
    f = int(0)
    while f < s.assignment_attr.shape[2]:
        s.assignment_attr[i, e, f] = 0.0
        f += 1


@wp.func
def hide_candidate(s: Any, i: int, a: int):
    """Make action a padding."""
    s.candidate[i, a, 0] = wp.int64(s.work.shape[1])
    s.candidate[i, a, 1] = wp.int64(s.resource.shape[1])
    f = int(0)
    while f < s.candidate_attr.shape[2]:
        s.candidate_attr[i, a, f] = 0.0
        f += 1


@wp.func
def hide_candidates(s: Any, i: int):
    """Make all actions padding."""
    a = int(0)
    while a < s.candidate.shape[1]:
        hide_candidate(s, i, a)
        a += 1


@wp.func
def clear_graph(s: Any, i: int):
    """Blank nodes, context, actions and assignment edges."""
    w = int(0)
    while w < s.work.shape[1]:
        f = int(0)
        while f < s.work.shape[2]:
            s.work[i, w, f] = 0.0
            f += 1
        w += 1
    r = int(0)
    while r < s.resource.shape[1]:
        f = int(0)
        while f < s.resource.shape[2]:
            s.resource[i, r, f] = 0.0
            f += 1
        r += 1
    f = int(0)
    while f < s.context.shape[1]:
        s.context[i, f] = 0.0
        f += 1
    hide_candidates(s, i)
    e = int(0)
    while e < s.assignment.shape[2]:
        hide_edge(s, i, e)
        e += 1
