"""Turn a run folder into a trained policy that is shipped: averaged weights and a card that says what they achieve.

python -m dispatchgym.agents.ship runs/job-shop-main-0
python -m dispatchgym.agents.ship runs/job-shop-main-0 --sets ta01-10 ta11-20 --samples 16 --against fdd/mwkr
"""

import dataclasses
import datetime
import hashlib
import json
import sys
from pathlib import Path
from typing import Annotated

import tyro

from ..envs.core.command import guarded, read_flags
from ..envs.core.errors import CheckpointError, OptionError, UnknownNameError
from ..envs.core.machine import machine
from ..envs.core.registry import family
from . import shipped
from .presets import Preset, preset

PROGRAM = "python -m dispatchgym.agents.ship"


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Flags of the command; each line below a field is its help."""

    run: Annotated[str, tyro.conf.Positional]
    """Run folder or checkpoint of train.py."""
    name: str = ""
    """Name it is shipped under; empty takes the preset's."""
    out: str = ""
    """Folder of the pair; empty takes the package's own, where pretrained/NAME is looked for."""
    sets: tuple[str, ...] = ()
    """Sets of held-out instances, each a row of the card; empty takes the preset's."""
    samples: int = 16
    """Attempts of a second row for each set; 1 leaves it out."""
    sampled: tuple[str, ...] = ()
    """The sets with such a row; empty takes all."""
    against: tuple[str, ...] = ()
    """Rules and solvers to state beside it; empty takes the preset's reference, or its exact solver."""
    seed: int = 0
    """Key of the sampled attempts."""
    note: str = ""
    """A sentence for the card, such as what else the machine did meanwhile."""
    evaluate: bool = True
    """State what it achieves; without, the card has no results, as for a further seed of a training."""
    overwrite: bool = False
    """Take the place of a policy that is shipped under this name already."""


def command_of(config: dict) -> str:
    """The command line that a run was made with, without what does not change its weights."""
    entry = family(config["family"])
    words = ["python", "train.py", entry.command, "--preset", config["preset"]]
    usual = preset(entry.name, config["preset"])
    words += [f"--{name} {config[name]}" for name in ("seed", "threads")]
    if config["timesteps"] != usual.timesteps:
        words.append(f"--timesteps {config['timesteps']}")
    options = dataclasses.asdict(entry.make_options(**usual.options))
    changed = {name: value for name, value in config["options"].items() if options.get(name) != value}
    words += [f"--{name.replace('_', '-')} {value}" for name, value in changed.items()]
    return " ".join(words)


def results(policy, settings: Preset, family_name: str, arguments: Arguments) -> list[dict]:
    """What a policy achieves on held-out sets, greedily and sampled, with others beside it.

    Args:
        policy: the trained one.
        settings: its preset, for the sets, the reference and the exact solver.
        family_name: its family.
        arguments: what to evaluate.

    Returns:
        A row for each set, policy and number of attempts.
    """
    from ..envs.core import registry
    from ..envs.core.solvers import Limits, resolve

    usual = [settings.exact[0]] if settings.exact and not settings.reference else []
    against = [settings.reference] * bool(settings.reference) + list(arguments.against or usual)
    others = {name: resolve(name, family_name) for name in dict.fromkeys(against)}
    limits = Limits(
        seed=arguments.seed, time_limit=settings.exact[1] if settings.exact else 60.0,
        options={name: value for name, value in policy.options.items() if name in family(family_name).options.world},
    )  # fmt: skip
    sets = {name: [name] for name in arguments.sets} or settings.held_out
    for title in arguments.sampled:
        if title not in sets:
            raise UnknownNameError("set", title, sets)
    rows = []
    for title, names in sets.items():
        instances = registry.instances(names, family_name)
        print(f"{title}: {len(instances)} instances", file=sys.stderr)
        samples = arguments.samples if title in (arguments.sampled or sets) else 1
        rows += _rows(title, policy, others, instances, limits, settings.reference, samples)
    return rows


def _rows(title, policy, others, instances, limits, reference: str, samples: int) -> list[dict]:
    from ..envs.core.evaluation import evaluate
    from ..envs.core.tables import relative
    from .comparison import with_reference

    found = evaluate({"learned": policy} | others, instances, limits)
    standards = {r.problem: r for r in found if not reference or r.policy == reference}
    found = relative(found, reference) if reference else found
    rows = [_row(title, [r for r in found if r.policy == name]) for name in ("learned", *others)]
    if samples > 1:
        tried = evaluate({"learned": policy}, instances, dataclasses.replace(limits, samples=samples))
        rows.append(_row(title, [with_reference(result, standards[result.problem], reference) for result in tried]))
    return rows


def _row(title: str, found: list) -> dict:
    """Means over a set; the gap is in percent or points as in the tables of evaluate.py, None where it is not known."""
    from ..envs.core.statistics import FEWEST, bootstrap

    first = found[0]
    for result in found:
        if result.violations:
            raise CheckpointError(f"{result.policy} on {result.instance}: {result.violations[0]}")
    row = {
        "set": title, "instances": len(found), "policy": first.policy, "samples": first.samples,
        "objective": first.objective,
        "mean": round(sum(result.value for result in found) / len(found), 4), "gap": None, "interval_95": None,
    }  # fmt: skip
    if all(result.gap is not None for result in found):
        gap = bootstrap([100 * result.gap for result in found])
        row["gap"] = round(gap.mean, 2)
        row["interval_95"] = [round(gap.low, 2), round(gap.high, 2)] if len(found) >= FEWEST else None
    return row


def ship(arguments: Arguments) -> Path:
    """Write the pair.

    Returns:
        The card's path.

    Raises:
        CheckpointError: if the run folder holds no policy, or one that is too large.
        OptionError: if the name is taken or no name.
    """
    from safetensors.torch import save

    from ..envs.core.files import write_atomic
    from . import checkpoint

    folder = checkpoint.newest(Path(arguments.run))
    header, tensors = checkpoint.read(folder)
    config = checkpoint.configuration(folder)
    name = arguments.name or config["preset"]
    target = Path(arguments.out) if arguments.out else shipped.FOLDER / config["family"]
    path = _free_path(target, name, arguments)
    policy = checkpoint.read_policy(folder, config["family"])
    weights = {key.removeprefix("average."): t for key, t in tensors.items() if key.startswith("average.")}
    data = save(weights)
    if len(data) > shipped.LARGEST_WEIGHTS:
        raise CheckpointError(f"{folder}: {len(data)} bytes of weights, limit {shipped.LARGEST_WEIGHTS}")
    settings = preset(config["family"], config["preset"])
    card = _card(config, header, settings) | {
        "note": arguments.note,
        "results": results(policy, settings, config["family"], arguments) if arguments.evaluate else [],
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        write_atomic(path.with_suffix(".safetensors"), data)
        write_atomic(path, _text(card))
    except OSError as error:
        raise OptionError(f"--out {target} cannot be written: {error}") from error
    return path


def _free_path(target: Path, name: str, arguments: Arguments) -> Path:
    """Where the card goes; refused before anything is evaluated."""
    if not name or not all(letter.isalnum() or letter in "-_" for letter in name) or name != name.lower():
        raise OptionError(f"--name must be small letters, digits, - and _, got {name!r}")
    path = target / f"{name}.json"
    if path.exists() and not arguments.overwrite:
        raise OptionError(f"{path} exists; take another --name, or --overwrite it")
    return path


def _card(config: dict, header: dict, settings: Preset) -> dict:
    """All of a card but the results."""
    entry = family(config["family"])
    stage = config["stages"][0]
    instance = entry.room("generator").training_instances(stage, 1, 0, 0)[0]
    minutes = sum(header.get("seconds", {}).values()) / 60
    return {
        "format": shipped.FORMAT,
        "family": entry.name,
        "preset": config["preset"],
        "doc": settings.doc,
        "kind": shipped.kind_of(instance),
        "stage": stage,
        "command": command_of(config),
        "training": {
            "instances": f"stages {', '.join(config['stages'])} of the generator's training stream",
            "seed": config["seed"],
            "timesteps": header["num_timesteps"],
            "timesteps_planned": config["timesteps"],
            "decisions": header["decisions"],
            "iterations": header["iteration"],
            "minutes": round(minutes, 2) if minutes else None,
            "machine": machine(),
            "device": config["device"],
            "date": datetime.date.today().isoformat(),
            "versions": header["versions"],
        },
        "network": header["network"],
        "options": config["options"],
        "features": shipped.spec_of(entry, stage, config["options"]).feature_names(),
    }


def _text(card: dict) -> str:
    """JSON with a line for each row of the results and each part of the features."""
    lines = {
        "results": "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in card["results"]) + "\n ]",
        "features": "{\n"
        + ",\n".join(f'  "{p}": {json.dumps(names)}' for p, names in card["features"].items())
        + "\n }",
    }
    parts = [f' "{key}": {lines.get(key) or json.dumps(value)}' for key, value in card.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def run_command() -> int:
    """Parse, evaluate, write."""
    import torch

    torch.set_num_threads(1)
    arguments = read_flags(Arguments, sys.argv[1:], PROGRAM, __doc__.splitlines()[0])
    path = ship(arguments)
    print(path)
    for row in json.loads(path.read_text(encoding="utf-8"))["results"]:
        gap = "" if row["gap"] is None else f", gap {row['gap']:.2f}"
        print(f"{row['set']}, {row['policy']}, attempts {row['samples']}: mean {row['mean']}{gap}")
    return 0


def main() -> None:
    """Entry point of the command line."""
    guarded(run_command)


if __name__ == "__main__":
    main()
