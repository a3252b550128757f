"""What a server can do: how long its iterations take and how much it holds, by a name or from a TOML file.

A server is one instance of a language model that runs its requests in iterations. An iteration takes::

    base + prefill * P + attention * sum(p * (2 K + p)) + decode * D + read * KV
         + token * (P + D) + beyond * max(0, P + D - knee)

with chunks of p tokens behind K tokens for the requests that prefill, P their sum, D requests that decode and KV the
tokens that these hold. The second line is a hinge: a token costs more where the hardware computes instead of waiting
for its memory. Coefficients are whole femtoseconds, so that sums are exact.

The numbers of the named profiles are fits to kernel times of NVIDIA's aiconfigurator 0.4.0 (Apache-2.0), composed to
iterations; against 6000 random mixed batches their mean error is 1.7 to 4.2 % (linear) and 0.8 to 3.4 % (hinge).
Times outside of the kernels, such as those of a scheduler, are not in them.
"""

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np

from ..core.errors import InstanceError, UnknownNameError
from ..core.files import read_text

FEMTOSECONDS = 10**9  # in a microsecond
MAX_TOKENS = 2**20  # of a prompt, an output or a prediction: sums over a batch are int32
MAX_KV_TOKENS = 2**26
MAX_BUDGET = 2**20
MAX_SEQS = 1024
MAX_BLOCK = 1024
MAX_ITERATION = 2**60  # fs; 19 minutes
MAX_FILE_BYTES = 64 * 2**10

COEFFICIENTS = ("base", "prefill", "attention", "decode", "read", "token", "beyond")
LIMITS = {
    "knee": (0, MAX_BUDGET),
    "kv_tokens": (1, MAX_KV_TOKENS),
    "block_size": (1, MAX_BLOCK),
    "max_num_seqs": (1, MAX_SEQS),
    "token_budget": (1, MAX_BUDGET),
}


@dataclass(frozen=True)
class Profile:
    """A server: coefficients of its iterations, its memory and its limits, all of them whole numbers.

    Attributes:
        base: fs of every iteration.
        prefill: fs for each token of a chunk.
        attention: fs for each p * (2 K + p) of a chunk of p tokens behind K.
        decode: fs for each request that decodes.
        read: fs for each token that the requests hold which decode.
        token: fs for each token of either kind.
        beyond: fs for each token above ``knee``, in addition.
        knee: tokens.
        kv_tokens: tokens whose keys and values fit into the memory.
        block_size: tokens of a block; memory is given out in blocks.
        max_num_seqs: requests that run at a time.
        token_budget: tokens of an iteration, at least ``max_num_seqs``.
        preemptive: whether a waiting request may take the place of the running one; only where one runs at a time.

    Raises:
        InstanceError: if a number is out of range, naming it.
    """

    base: int
    prefill: int = 0
    attention: int = 0
    decode: int = 0
    read: int = 0
    token: int = 0
    beyond: int = 0
    knee: int = 0
    kv_tokens: int = 411_529
    block_size: int = 16
    max_num_seqs: int = 256
    token_budget: int = 512
    preemptive: bool = False

    def __post_init__(self):
        for what in COEFFICIENTS:
            self._check(what, 0, MAX_ITERATION)
        for what, (least, most) in LIMITS.items():
            self._check(what, least, most)
        if not isinstance(self.preemptive, bool | np.bool_):
            raise InstanceError(f"preemptive must be true or false, got {self.preemptive!r:.80}", "profile")
        object.__setattr__(self, "preemptive", bool(self.preemptive))
        problem = self._problem()
        if problem:
            raise InstanceError(problem, "profile")

    def _check(self, what: str, least: int, most: int) -> None:
        value = getattr(self, what)
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
            raise InstanceError(f"{what} must be a whole number, got {value!r:.80}", "profile")
        if not least <= value <= most:
            # printing an integer of more than 4300 digits is an error in itself
            found = value if abs(value) < 2**64 else "a huge number"
            raise InstanceError(f"{what} must be {least} to {most}, got {found}", "profile")
        object.__setattr__(self, what, int(value))

    def _problem(self) -> str | None:
        if self.blocks < 1:
            return f"kv_tokens {self.kv_tokens} hold no block of {self.block_size} tokens"
        if self.max_num_seqs > self.token_budget:
            return f"max_num_seqs {self.max_num_seqs} is more than the token_budget of {self.token_budget}"
        if self.preemptive and self.max_num_seqs > 1:
            return f"preemptive goes with max_num_seqs 1, got {self.max_num_seqs}"
        if self.longest_iteration > MAX_ITERATION:
            return f"an iteration could take {self.longest_iteration} fs, limit {MAX_ITERATION}"
        return None

    @property
    def blocks(self) -> int:
        """Blocks of the memory."""
        return self.kv_tokens // self.block_size

    @property
    def longest_iteration(self) -> int:
        """No iteration takes longer, in fs."""
        each = self.prefill + self.token + self.beyond + 2 * self.attention * self.kv_tokens
        return self.base + each * self.token_budget + self.decode * self.max_num_seqs + self.read * self.kv_tokens


def iteration_us(
    profile: Profile,
    chunks: Sequence[int] = (),
    before: Sequence[int] = (),
    decoding: int = 0,
    kv: int = 0,
    swap: int = 0,
) -> int:
    """How long one iteration takes, in us.

    Args:
        profile: the server.
        chunks: p, tokens of each chunk of a prefill.
        before: K, tokens that each of these requests had before.
        decoding: D, requests that decode.
        kv: tokens that those hold.
        swap: fs for what is moved in and out.

    >>> iteration_us(profile("llama-3-8b-h100"), [512], [0])
    14184
    """
    tokens = sum(chunks)
    time = profile.base + profile.prefill * tokens + profile.decode * decoding + profile.read * kv + swap
    time += profile.attention * sum(p * (2 * k + p) for p, k in zip(chunks, before, strict=True))
    time += profile.token * (tokens + decoding) + profile.beyond * max(0, tokens + decoding - profile.knee)
    return max(1, -(-time // FEMTOSECONDS))


# Milliseconds: base, prefill, attention by p * (K + p / 2), decode, read; then for the hinge base, token, beyond,
# attention, decode, read and the knee; at last the tokens that fit beside the weights.
_FITTED = {
    "llama-3-8b-h100": (
        (5.986, 0.01568, 1.289e-06, 0.0157, 4.591e-05),
        (6.184, 0.01148, 0.008307, 9.723e-07, 0.003092, 4.57e-05, 432),
        411_529,
    ),
    "llama-2-7b-h100": (
        (5.292, 0.01485, 1.185e-06, 0.01825, 0.0001826),
        (5.461, 0.01119, 0.007496, 9.184e-07, 0.00601, 0.0001823, 464),
        107_810,
    ),
    "llama-3-70b-h100-tp4": (
        (14.55, 0.05393, 1.668e-06, 0.04733, 2.848e-05),
        (14.76, 0.04654, 0.01284, 1.247e-06, 0.0, 2.841e-05, 368),
        423_874,
    ),
    "llama-3-70b-h100-tp8": (
        (9.809, 0.04125, 3.399e-07, 0.04876, 1.442e-05),
        (9.809, 0.04125, 0.0, 3.399e-07, 0.007507, 1.442e-05, 16),
        1_278_366,
    ),
    "llama-3-8b-a100": (
        (11.02, 0.05043, 3.988e-06, 0.04979, 7.476e-05),
        (11.42, 0.01424, 0.03886, 3.717e-06, 0.01294, 7.484e-05, 64),
        411_529,
    ),
    "llama-2-7b-a100": (
        (9.59, 0.04752, 3.852e-06, 0.04414, 0.0003007),
        (9.759, 0.04065, 0.01278, 3.381e-06, 0.002347, 0.0003, 368),
        107_810,
    ),
    "llama-3-70b-a100-tp4": (
        (25.71, 0.1517, 4.846e-06, 0.1401, 4.67e-05),
        (26.28, 0.09515, 0.05923, 4.6e-06, 0.004863, 4.69e-05, 48),
        423_874,
    ),
    "llama-3-70b-a100-tp8": (
        (16.54, 0.1039, 2.442e-06, 0.1165, 2.359e-05),
        (16.54, 0.1039, 0.0, 2.442e-06, 0.01259, 2.359e-05, 16),
        1_278_366,
    ),
}
_LINEAR = ("base", "prefill", "attention", "decode", "read")
_HINGE = ("base", "token", "beyond", "attention", "decode", "read")
SERIAL_TOKEN = 10**13  # fs, 10 ms


def _coefficients(names: tuple[str, ...], values: Sequence[float], unit: int) -> dict[str, int]:
    """Coefficients in fs from others; ``attention`` counts p * (2 K + p), twice what the fits count."""
    return {name: round(value * unit / (1 + (name == "attention"))) for name, value in zip(names, values, strict=True)}


@cache
def profiles() -> dict[str, Profile]:
    """All named profiles.

    ``serial`` runs one request at a time and takes 10 ms for each token of its output, the first one with all of the
    prompt; ``serial-preemptive`` may also put it aside. Both hold whatever is asked of them.
    """
    found = {}
    for name, (linear, hinge, kv_tokens) in _FITTED.items():
        found[name] = Profile(**_coefficients(_LINEAR, linear, 10**12), kv_tokens=kv_tokens)
        bent = _coefficients(_HINGE, hinge[:-1], 10**12)
        found[f"{name}-hinge"] = Profile(**bent, knee=hinge[-1], kv_tokens=kv_tokens)
    serial = Profile(SERIAL_TOKEN, kv_tokens=2 * MAX_TOKENS, max_num_seqs=1, token_budget=MAX_TOKENS)
    return found | {"serial": serial, "serial-preemptive": replace(serial, preemptive=True)}


def profile(name: str) -> Profile:
    """The profile of a name.

    Raises:
        UnknownNameError: if there is none, listing the known ones.
    """
    if not isinstance(name, str) or name not in profiles():
        raise UnknownNameError("server profile", name, profiles())
    return profiles()[name]


def name_of(server: Profile) -> str | None:
    """The named profile that takes as long for everything, whatever else may differ, or None where there is none."""

    def times(one: Profile) -> tuple:
        return *(getattr(one, what) for what in COEFFICIENTS), one.knee, one.preemptive

    return next((name for name, known in profiles().items() if times(known) == times(server)), None)


def load(name: str | Path) -> Profile:
    """The profile of a name or, where it ends in ``.toml``, of a file.

    Raises:
        UnknownNameError: if it is neither.
        InstanceError: if the file is missing or malformed.
    """
    return read(name) if str(name).endswith(".toml") else profile(str(name))


def read(path: str | Path) -> Profile:
    """Read a profile from a TOML file, as ``parse`` does.

    Raises:
        InstanceError: if the file cannot be read or is malformed, with its path and key.
    """
    return parse(read_text(path, MAX_FILE_BYTES), str(path))


_KEYS = ("a", "b", "c", "d", "e", "hinge", "kv_capacity_tokens", "block_size", "max_num_seqs", "token_budget")
_KEYS += ("preemptive",)
_NEEDED = ("a", "b", "c", "d", "e", "kv_capacity_tokens")


def parse(text: str, where: str = "text") -> Profile:
    """Read a profile from TOML, with coefficients in microseconds::

        a = 5986.0        # every iteration
        b = 15.68         # each token of a prefill; may be left out beside a hinge
        c = 0.001289      # each p * (K + p / 2) of a chunk of p tokens behind K
        d = 15.7          # each request that decodes
        e = 0.04591       # each token that those hold
        hinge = { b0 = 11.48, b1 = 8.307, knee = 432 }    # each token of either kind; each one above the knee
        kv_capacity_tokens = 411529
        block_size = 16
        max_num_seqs = 256
        token_budget = 512
        preemptive = false

    What follows ``kv_capacity_tokens``, and the hinge, may be left out.

    Args:
        text: the whole text.
        where: a path or description of the source, for messages.

    Raises:
        InstanceError: on anything else, with ``where`` and the key.
    """
    try:
        data = tomllib.loads(text.removeprefix("\ufeff"))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:  # ValueError: a number of many digits
        raise InstanceError(f"not TOML: {error}", where) from error
    needed = tuple(key for key in _NEEDED if key != "b" or "hinge" not in data)
    _keys(data, _KEYS, needed, "", where)
    names = dict(zip(("a", "b", "c", "d", "e"), _LINEAR, strict=True))
    found: dict = {names[key]: _time(data, key, "", where, 2 if key == "c" else 1) for key in names if key in data}
    if "hinge" in data:
        hinge = data["hinge"]
        if not isinstance(hinge, dict):
            raise InstanceError("hinge: expected a table with the keys b0, b1, knee", where)
        _keys(hinge, ("b0", "b1", "knee"), ("b0", "b1", "knee"), "hinge.", where)
        found |= {"token": _time(hinge, "b0", "hinge.", where), "beyond": _time(hinge, "b1", "hinge.", where)}
        found["knee"] = hinge["knee"]
    found["kv_tokens"] = data["kv_capacity_tokens"]
    found |= {key: data[key] for key in _KEYS[-4:] if key in data}
    try:
        return Profile(**found)
    except InstanceError as error:
        message = str(error).removeprefix("profile: ").replace("kv_tokens", "kv_capacity_tokens")
        raise InstanceError(message, where) from error


def _keys(data: dict, known: tuple[str, ...], needed: tuple[str, ...], prefix: str, where: str) -> None:
    for key in data:
        if key not in known:
            raise InstanceError(f"{prefix}{key!r:.40}: unknown key; known: {', '.join(known)}", where)
    for key in needed:
        if key not in data:
            raise InstanceError(f"{prefix}{key}: missing; the keys are {', '.join(known)}", where)


def _time(data: dict, key: str, prefix: str, where: str, share: int = 1) -> int:
    """Microseconds as femtoseconds."""
    value, most = data[key], MAX_ITERATION // FEMTOSECONDS
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # a huge integer has no float, so the range is asked for first
    if not number or not 0 <= value <= most or not math.isfinite(value):
        shown = "a huge number" if isinstance(value, int) and abs(value) >= 2**64 else f"{value!r:.40}"
        raise InstanceError(f"{prefix}{key}: expected microseconds from 0 to {most}, found {shown}", where)
    return round(value * FEMTOSECONDS / share)


FIELDS = tuple(field.name for field in fields(Profile))
