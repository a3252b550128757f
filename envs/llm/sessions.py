"""Sessions: chains of requests, each of which takes what was said before into its prompt."""

from dataclasses import dataclass

import numpy as np

from ..core.errors import OptionError
from .arrivals import number
from .fields import MAX_GROUPS
from .profiles import MAX_TOKENS


@dataclass(frozen=True)
class Sessions:
    """How people talk to a model, turn by turn, behind a beginning of the prompt that many of them share.

    The number of turns is geometric, new tokens of a turn are lognormal and at most ``most_new``, the time to think
    is exponential. A session belongs to a group by a Zipf law, and the prompts of a group begin with the same tokens.
    A session ends early where prompt and answer would be longer than ``longest``.

    Attributes:
        turns: mean number of requests of a session.
        new: median of new tokens.
        spread: standard deviation of the logarithm of new tokens.
        most_new: tokens.
        think: mean seconds between an answer and the next request.
        longest: tokens of prompt and answer.
        groups: how many; 0 for none.
        skew: exponent of the Zipf law.
        prefix: least and most tokens that the prompts of a group begin with; each group draws its own number.

    Raises:
        OptionError: if a number is out of range.
    """

    turns: float = 3.0
    new: float = 200.0
    spread: float = 1.0
    most_new: int = 4000
    think: float = 6.0
    longest: int = 16_000
    groups: int = 60
    skew: float = 1.0
    prefix: tuple[int, int] = (512, 3072)

    def __post_init__(self):
        for what, least, most in (
            ("turns", 1, 1000), ("new", 1, MAX_TOKENS), ("spread", 0, 4), ("most_new", 1, MAX_TOKENS),
            ("think", 0, 1e6), ("longest", 2, MAX_TOKENS), ("groups", 0, MAX_GROUPS), ("skew", 0, 10),
        ):  # fmt: skip
            number(what, getattr(self, what), least, most)
        for what in ("most_new", "longest", "groups"):
            if not isinstance(getattr(self, what), int | np.integer):
                raise OptionError(f"{what} must be a whole number, got {getattr(self, what)!r}")
        low, high = self.prefix
        if not 0 <= low <= high <= MAX_TOKENS:
            raise OptionError(f"prefix must be two numbers of tokens in order, got {self.prefix!r}")


def draw_sessions(sessions: Sessions, answers: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw as many requests as there are answers, session after session; the last one may be cut short.

    Args:
        sessions: how they are.
        answers: (n,) tokens of the answers, in the order in which they are said; those that are too long become
            shorter.
        rng: the source of randomness.

    Returns:
        (n,) int64 each: ``parent``, ``prompt``, ``output``, ``group``, ``shared``, ``new`` (tokens that neither
        the group nor the session has said before) and ``think`` (us, of follow-ups; 0 for the others).

    Raises:
        OptionError: if prefix and new tokens leave no room for an answer.
    """
    count = len(answers)
    if sessions.longest <= sessions.most_new + (sessions.prefix[1] if sessions.groups else 0):
        raise OptionError(f"longest {sessions.longest} leaves no room for an answer behind prefix and new tokens")
    turns = rng.geometric(1 / sessions.turns, count)
    new = np.clip(np.rint(rng.lognormal(np.log(sessions.new), sessions.spread, count)), 1, sessions.most_new)
    think = np.rint(rng.exponential(sessions.think, count) * 1e6).astype(np.int64)
    group, prefix = _groups(sessions, count, rng)
    parent, prompt, output = (np.zeros(count, dtype=np.int64) for _ in range(3))
    which = np.zeros(count, dtype=np.int64)  # the session of each request
    session, left, said = -1, 0, 0
    for at, (fresh, answer) in enumerate(zip(new.astype(int).tolist(), answers.tolist(), strict=True)):
        if not left or said + fresh + answer > sessions.longest:
            session += 1
            left, said, parent[at] = int(turns[session]), int(prefix[session]), -1
        else:
            parent[at] = at - 1
        prompt[at] = said + fresh
        output[at] = min(answer, sessions.longest - prompt[at])
        said, left, which[at] = int(prompt[at] + output[at]), left - 1, session
    return {
        "parent": parent, "prompt": prompt, "output": output, "group": group[which], "shared": prefix[which],
        "new": new.astype(np.int64), "think": np.where(parent >= 0, think, 0),
    }  # fmt: skip


def _groups(sessions: Sessions, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The group of each session and the tokens that it begins with, both (count,) int64."""
    if not sessions.groups:
        return np.full(count, -1), np.zeros(count, dtype=np.int64)
    lengths = rng.integers(sessions.prefix[0], sessions.prefix[1] + 1, sessions.groups)
    group = zipf(sessions.groups, sessions.skew, rng.random(count))
    return group, lengths[group]


def zipf(number: int, skew: float, share: np.ndarray) -> np.ndarray:
    """The ranks, from 0, that shares of 0 to 1 fall on if rank k has the weight (k + 1) ** -skew.

    >>> zipf(3, 1.0, np.array([0.0, 0.5, 0.9])).tolist()
    [0, 0, 2]
    """
    ends = np.cumsum(np.arange(1, number + 1) ** -float(skew))
    return np.minimum(ends.searchsorted(share * ends[-1], side="right"), number - 1)
