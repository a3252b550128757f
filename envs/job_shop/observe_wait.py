"""What a policy sees of waiting, where that is an action."""

import warp as wp

from ..core.features import clip
from ..core.graph import Feature
from .simulator_state import Struct as State
from .simulator_wait import next_start

WAITING = (Feature("wait", "1 for waiting, whose start delay is that until another job could start"),)


@wp.func
def show_wait(s: State, i: int, by_p: float):
    """The features of waiting, the last action."""
    wait = s.candidate_attr.shape[1] - 1
    last = s.candidate_attr.shape[2] - 1
    s.candidate_attr[i, wait, 1] = 0.0
    s.candidate_attr[i, wait, last] = 0.0
    if s.action_mask[i, wait] == wp.int8(1):
        s.candidate_attr[i, wait, 1] = clip(float(next_start(s, i) - s.time[i]) * by_p * 0.5, 0.0, 2.5)
        s.candidate_attr[i, wait, last] = 1.0
