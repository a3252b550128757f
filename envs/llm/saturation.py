"""The most requests a second that servers can finish, by a fluid balance."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..core.errors import OptionError
from .lengths import Lengths, lengths
from .profiles import Profile

SPARE = 0.01  # of the memory is kept free by the watermark of admissions
ROUNDS = 100  # of a damped fixed point that halves its error in each


def saturation(servers: Profile | Sequence[Profile], of: Lengths | str, longer: float = 1.0) -> float:
    """The rate at which a fluid of average requests fills servers.

    If x requests begin in an iteration, on average, then it prefills x E[p] tokens and decodes for x (E[o] - 1)
    requests, and its attention over chunks costs x E[p^2], however prompts are cut. Of x is the most for which the
    tokens fit the budget, the requests that are there fit ``max_num_seqs``, and what they own fits the memory less
    ``SPARE``: a prompt from its admission on, a token more in each decode, and half a block that is not full. A
    prompt takes as many iterations as the budget left by decodes makes of it. The rate is x by the time of such an
    iteration.

    Random arrivals leave gaps that a fluid has not, and whole requests do not fill a memory to its last block; a
    backlog of 3000 conversations finished at 0.96 to 0.98 of this rate on ``llama-3-8b-h100``, until the last of
    them ran alone.

    Args:
        servers: one or several; rates add up.
        of: the distribution of prompts and answers, or its name.
        longer: mean factor on answers, at least a thousandth.

    Returns:
        Requests a second.

    Raises:
        UnknownNameError: if there is no such distribution.
        OptionError: if the factor is out of range.

    >>> from .profiles import profile
    >>> round(saturation(profile("llama-3-8b-h100"), "conversation"), 2)
    19.32
    """
    if not 1e-3 <= longer <= 1e3:
        raise OptionError(f"longer must be a factor from 0.001 to 1000, got {longer!r}")
    of = lengths(of) if isinstance(of, str) else of
    return sum(_rate(one, of, float(longer)) for one in ([servers] if isinstance(servers, Profile) else servers))


@lru_cache(maxsize=1024)  # presets ask for the same ones over and over
def _rate(server: Profile, of: Lengths, longer: float) -> float:
    prompt, output = (values.astype(float) for values in of.grid)
    output = np.maximum(output * longer, 1.0)
    decodes = output.mean() - 1
    decoded = prompt.mean() * decodes + ((output - 1) ** 2).mean() / 2  # tokens held, summed over the decodes of one
    whole = server.token_budget / (prompt.mean() + decodes)
    most = whole
    for _ in range(ROUNDS):
        cuts = np.ceil(prompt / max(server.token_budget - most * decodes, 1.0))
        owned = decoded + (prompt * cuts).mean() + server.block_size / 2 * decodes
        limits = (whole, server.max_num_seqs / (decodes + cuts.mean()), (1 - SPARE) * server.kv_tokens / owned)
        most = (most + min(limits)) / 2
    chunks, decoding = most * prompt.mean(), most * decodes
    time = server.base + server.prefill * chunks + server.attention * most * (prompt**2).mean()
    time += server.decode * decoding + server.read * most * decoded + server.token * (chunks + decoding)
    time += server.beyond * max(0.0, chunks + decoding - server.knee)
    return float(most / (max(time, 1.0) * 1e-15))
