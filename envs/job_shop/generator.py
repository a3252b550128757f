"""Random job shops, and the two published rules that make benchmark instances from seeds."""

import re

import numpy as np

from ..core.errors import OptionError, UnknownNameError
from .chains import FORM as CHAINS
from .chains import chain_preset, chains
from .draw_limits import FORM as LIMITED
from .draw_limits import undressed
from .due_dates import FORMS, DatedPreset, dated_preset
from .dynamic import FORM as DYNAMIC
from .dynamic import DynamicPreset, dynamic_preset
from .instance import MAX_OPERATIONS, MAX_TIME, JobShopInstance

PRESETS = (
    "6x6", "10x10", "15x15", "20x15", "20x20", "30x15", "30x20", "50x15", "50x20", "100x20",
    "tardiness-10x5", "weighted-tardiness-10x10", "flow-10x5", "single-20", "weighted-single-20", "dynamic-10x5",
    "setup-10x5", "maintenance-10x5", "setup-weighted-single-20", "revealed-20", "two-sets-20x15",
)  # fmt: skip
MAX_SEED = 2**32 - 1
MODULUS = 2**31 - 1

# Words of the seed sequences. All parts are 32-bit words in fixed places, so no two streams can be spelt alike.
FAMILY_TAG = 0x6A6F6273
HELD_OUT_TAG = 1
TRAINING_TAG = 2
DATED_HELD_OUT_TAG = 3
DATED_TRAINING_TAG = 4
LIMITED_HELD_OUT_TAG = 5
LIMITED_TRAINING_TAG = 6
CHAIN_HELD_OUT_TAG = 7
CHAIN_TRAINING_TAG = 8
TWO_SETS_HELD_OUT_TAG = 9
TWO_SETS_TRAINING_TAG = 10
TWO_SETS = "two-sets-"
TWO_SETS_HIGH = 200  # as in dmu41-80


def generate(
    jobs: int,
    machines: int,
    rng: np.random.Generator,
    name: str = "random",
    low: int = 1,
    high: int = 99,
    two_sets: bool = False,
) -> JobShopInstance:
    """Draw an instance in the manner of Taillard (1993): every job visits every machine once.

    Durations are uniform on ``low`` to ``high``, both included; routes are uniform permutations, or with ``two_sets``
    uniform on those that visit all machines of the first half before any of the second.

    Args:
        jobs: number of jobs.
        machines: number of machines.
        rng: the source of randomness.
        name: the name of the instance.
        low: the shortest duration.
        high: the longest duration.
        two_sets: as in dmu41 to dmu80 of Demirkol, Mehta and Uzsoy (1998).

    Raises:
        OptionError: if the sizes or durations are out of range.
    """
    duration, machine = generate_batch(1, jobs, machines, rng, low, high, two_sets)
    return JobShopInstance(name, machines, duration[0], machine[0])


def generate_batch(
    count: int,
    jobs: int,
    machines: int,
    rng: np.random.Generator,
    low: int = 1,
    high: int = 99,
    two_sets: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw many instances at once, as ``generate`` does, without checking each of them.

    Args:
        count: number of instances.
        jobs: number of jobs of each.
        machines: number of machines of each.
        rng: the source of randomness.
        low: the shortest duration.
        high: the longest duration.
        two_sets: whether all machines of the first half come before any of the second.

    Returns:
        Durations and machines, each (count, jobs, machines) int32.

    Raises:
        OptionError: if the sizes or durations are out of range.
    """
    _check_size(jobs, machines)
    if count < 1:
        raise OptionError(f"count must be at least 1, got {count}")
    if not 0 <= low <= high or high * jobs * machines >= MAX_TIME:
        raise OptionError(
            f"durations must satisfy 0 <= low <= high < {MAX_TIME} / (jobs * machines), got low {low}, high {high}"
        )
    shape = (count, jobs, machines)
    duration = rng.integers(low, high, shape, dtype=np.int32, endpoint=True)
    machine = np.broadcast_to(np.arange(machines, dtype=np.int32), shape).copy()
    rng.permuted(machine, axis=-1, out=machine)
    if two_sets:
        order = np.argsort(machine >= machines // 2, axis=-1, kind="stable")
        machine = np.take_along_axis(machine, order, axis=-1)
    return duration, machine


def preset_size(preset: str) -> tuple[int, int]:
    """Jobs and machines of a preset such as ``"15x15"`` or ``"tardiness-10x5"``; any size of these forms is accepted.

    Raises:
        UnknownNameError: if it is not of that form.
        OptionError: if it is too large.

    >>> preset_size("20x15")
    (20, 15)
    """
    base, chain = undressed(preset)[1], chain_preset(preset)
    if chain:
        return chain[0], 1
    size = base.removeprefix(TWO_SETS)
    match, dated = re.fullmatch(r"([1-9][0-9]{0,6})x([1-9][0-9]{0,6})", size), _dated(base)
    if not match and not dated:
        forms = ["any JOBSxMACHINES", f"{TWO_SETS}JOBSxMACHINES", *FORMS, DYNAMIC, CHAINS, LIMITED]
        raise UnknownNameError("job shop preset", preset, [*PRESETS, *forms])
    jobs, machines = (dated.jobs, dated.machines) if dated else map(int, match.groups())
    _check_size(jobs, machines)
    return jobs, machines


def preset_instance(preset: str, seed: int) -> JobShopInstance:
    """The held-out instance of a preset and seed, named ``"PRESET:SEED"``; the same on every machine.

    It is drawn by ``generate`` with durations 1 to 99, or for ``"two-sets-20x15"`` 1 to 200 and routes through two
    sets, or as ``due_dates`` or ``dynamic`` says, from a stream of its own, which is none of the streams of training.
    For sizes of a few operations equal instances may still turn up in both by chance. Presets with due dates share the
    shops of a size and seed.

    Args:
        preset: the size, such as ``"15x15"``, or one of the forms of ``due_dates`` and ``dynamic``,
            such as ``"tardiness-10x5"``.
        seed: 0 to ``MAX_SEED``.

    Raises:
        UnknownNameError: if the preset is not known.
        OptionError: if the seed or the size is out of range.
    """
    jobs, machines = preset_size(preset)
    rng = _stream(jobs, machines, _tags(preset)[0], seed)
    return _instance(preset, jobs, machines, rng, f"{preset}:{seed}", seed)


def _tags(preset: str) -> tuple[int, int]:
    """The words in the seed sequences of a preset's held-out instances, and of those to train on."""
    dress, base = undressed(preset)
    if chain_preset(preset):
        return CHAIN_HELD_OUT_TAG, CHAIN_TRAINING_TAG
    if dress:
        return LIMITED_HELD_OUT_TAG, LIMITED_TRAINING_TAG
    if _dated(base):
        return DATED_HELD_OUT_TAG, DATED_TRAINING_TAG
    if base.startswith(TWO_SETS):
        return TWO_SETS_HELD_OUT_TAG, TWO_SETS_TRAINING_TAG
    return HELD_OUT_TAG, TRAINING_TAG


def draw_instance(preset: str, rng: np.random.Generator) -> JobShopInstance:
    """An instance of a preset from any source of randomness.

    Args:
        preset: as for ``preset_instance``.
        rng: the source of randomness.
    """
    jobs, machines = preset_size(preset)
    dated = _dated(undressed(preset)[1])
    return _instance(preset, jobs, machines, rng, preset, int(rng.integers(2**31)) if dated else 0)


def _instance(preset: str, jobs: int, machines: int, rng: np.random.Generator, name: str, place: int):
    """An instance of any preset; see ``_dated_instance`` for ``place``."""
    chain = chain_preset(preset)
    if chain:
        return chains(jobs, rng, name, chain[1])
    dress, base = undressed(preset)
    dated = _dated(base)
    if dated:
        return dress(_dated_instance(dated, rng, name, place), rng)
    return dress(generate(jobs, machines, rng, name, **_manner(base)), rng)


def _manner(base: str) -> dict[str, object]:
    """How durations and routes of a preset of this name are drawn."""
    return {"high": TWO_SETS_HIGH, "two_sets": True} if base.startswith(TWO_SETS) else {}


def _dated(preset: str) -> DatedPreset | DynamicPreset | None:
    """What a preset with due dates stands for; None if it has none."""
    return dynamic_preset(preset) or dated_preset(preset)


def _dated_instance(
    dated: DatedPreset | DynamicPreset, rng: np.random.Generator, name: str, place: int
) -> JobShopInstance:
    """An instance with due dates; ``place`` counts through the grid of single machines."""
    if dated.kind == "single":
        return dated.single(rng, name, place)
    shop = generate(dated.jobs, dated.machines, rng, name)
    return dated.finish(shop, rng) if dated.kind == "dynamic" else dated.finish(shop)


def training_instances(preset: str, count: int, seed: int, part: int) -> list[JobShopInstance]:
    """Fresh instances to train on; the same for the same arguments, and never a held-out one.

    Args:
        preset: the size, such as ``"15x15"``.
        count: how many.
        seed: of the training run, 0 to ``MAX_SEED``.
        part: which part of the run's stream, counted from 0.
    """
    jobs, machines = preset_size(preset)
    dress, base = undressed(preset)
    rng = _stream(jobs, machines, _tags(preset)[1], seed, part)
    if dress or chain_preset(preset) or _dated(base):
        first = int(rng.integers(2**31))  # so that every part begins somewhere else in the grid
        return [_instance(preset, jobs, machines, rng, preset, first + place) for place in range(count)]
    duration, machine = generate_batch(count, jobs, machines, rng, **_manner(base))
    return [JobShopInstance(preset, machines, d, m) for d, m in zip(duration, machine, strict=True)]


def training_rng(jobs: int, machines: int, seed: int, part: int = 0) -> np.random.Generator:
    """The stream that training instances of a size are drawn from; it never meets a held-out one.

    Args:
        jobs: number of jobs.
        machines: number of machines.
        seed: 0 to ``MAX_SEED``.
        part: streams of one seed, 0 to ``MAX_SEED``.

    Raises:
        OptionError: if the seed, the part or the size is out of range.
    """
    _check_size(jobs, machines)
    return _stream(jobs, machines, TRAINING_TAG, seed, part)


def taillard(jobs: int, machines: int, time_seed: int, machine_seed: int, name: str = "taillard") -> JobShopInstance:
    """Make the instance of two seeds by the rule of Taillard (1993), "Benchmarks for basic scheduling problems".

    One Lehmer stream gives all durations, 1 to 99, job by job; the other shuffles each route.

    Args:
        jobs: number of jobs.
        machines: number of machines.
        time_seed: seed of the durations, 1 to 2147483646.
        machine_seed: seed of the routes, 1 to 2147483646.
        name: the name of the instance.

    Raises:
        OptionError: if the sizes or seeds are out of range.
    """
    _check_size(jobs, machines)
    times, routes = _Lehmer(time_seed), _Lehmer(machine_seed)
    duration = [[times.uniform(1, 99) for _ in range(machines)] for _ in range(jobs)]
    machine = []
    for _ in range(jobs):
        route = list(range(machines))
        for position in range(machines):
            other = routes.uniform(position, machines - 1)
            route[position], route[other] = route[other], route[position]
        machine.append(route)
    return JobShopInstance(name, machines, np.array(duration), np.array(machine))


def demirkol(jobs: int, machines: int, seed: int, two_sets: bool, name: str = "demirkol") -> JobShopInstance:
    """Make the instance of a seed by the rule of Demirkol, Mehta and Uzsoy (1998).

    One Lehmer stream gives for each job a sort key of each machine, then the durations, 1 to 200.

    Args:
        jobs: number of jobs.
        machines: number of machines.
        seed: 1 to 2147483646.
        two_sets: visit all machines of the first half before any of the second.
        name: the name of the instance.

    Raises:
        OptionError: if the sizes or the seed are out of range.
    """
    _check_size(jobs, machines)
    stream = _Lehmer(seed)
    half = machines // 2 if two_sets else 0
    duration, machine = [], []
    for _ in range(jobs):
        keys = [stream.draw() for _ in range(machines)]
        machine.append(sorted(range(half), key=keys.__getitem__) + sorted(range(half, machines), key=keys.__getitem__))
        # The published durations come from a seed rounded to single precision; double moves a few by one.
        duration.append([1 + int(float(np.float32(stream.draw())) / 2**31 * 200) for _ in range(machines)])
    return JobShopInstance(name, machines, np.array(duration), np.array(machine))


class _Lehmer:
    """The generator s <- 16807 s mod (2^31 - 1) of Bratley, Fox and Schrage (1983)."""

    def __init__(self, seed: int):
        if not 1 <= seed < MODULUS:
            raise OptionError(f"seed must be 1 to {MODULUS - 1}, got {seed}")
        self.state = seed

    def draw(self) -> int:
        self.state = 16807 * self.state % MODULUS
        return self.state

    def uniform(self, low: int, high: int) -> int:
        return low + int(self.draw() / MODULUS * (high - low + 1))


def _check_size(jobs: int, machines: int) -> None:
    if jobs < 1 or machines < 1 or jobs * machines > MAX_OPERATIONS:
        raise OptionError(f"jobs x machines must be 1 to {MAX_OPERATIONS} operations, got {jobs}x{machines}")


def _stream(jobs: int, machines: int, purpose: int, *seeds: int) -> np.random.Generator:
    for seed in seeds:
        if not 0 <= seed <= MAX_SEED:
            raise OptionError(f"seed must be 0 to {MAX_SEED}, got {seed}")
    return np.random.default_rng(np.random.SeedSequence([FAMILY_TAG, jobs, machines, purpose, *map(int, seeds)]))
