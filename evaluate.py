"""Compare scheduling policies on instances: rules, exact solvers and trained networks at one door.

python evaluate.py job-shop --instances ta01-10 --policies spt fdd/mwkr runs/job-shop-main-0
python evaluate.py job-shop --instances my_shop.txt --policies cp-sat --time-limit 10 --format json
python evaluate.py job-shop --list
python evaluate.py job-shop --headroom 6x6 --policies runs/job-shop-main-0
"""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

if not __package__:  # run as a script: the package is this folder under its installed name
    from dispatchgym.evaluate import main as _installed
else:
    from . import envs  # noqa: F401  (registers the families)
    from .envs.core.command import given_options, guarded, parse
    from .envs.core.errors import OptionError


@dataclasses.dataclass(frozen=True)
class Arguments:
    """Flags of evaluate.py; each line below a field is its help."""

    instances: tuple[str, ...] = ()
    """Names (ta01), ranges (ta01-10), groups (ta), files, globs, or PRESET:FIRST-LAST (6x6:0-99)."""
    policies: tuple[str, ...] = ()
    """Names from --list, pretrained (a shipped policy that goes with the instance), pretrained/NAME, or folders or
    cards (NAME.json) of trained policies; empty takes all rules that apply.
    """
    samples: int = 1
    """Attempts per instance, the first one greedy; the best counts."""
    active_search: int = 0
    """Rounds of --samples further attempts, between which trained policies learn on the instance; rules do not."""
    seed: int = 0
    """Key of everything random."""
    time_limit: float = 60.0
    """Seconds per instance, for exact solvers."""
    device: str = "auto"
    """auto, cpu or cuda[:n]."""
    format: Literal["table", "json", "csv", "latex"] = "table"
    """How results are printed; json prints one result line per policy and instance."""
    detail: bool = False
    """One row per instance instead of means."""
    out: str = ""
    """Folder for results.jsonl and table.md."""
    list: bool = False
    """List instances, presets and policies, and stop."""
    reference: str = ""
    """Policy that gaps are relative to, instead of the best known value; one of --policies."""
    headroom: str = ""
    """Preset of the generator, or PRESET:FIRST-LAST for other than 100 held-out instances: naive rule, best rule,
    learned (of --policies, or shipped) and exact with paired intervals.
    """


def listing(entry) -> str:
    """Names of instances, presets and policies, one line each."""
    from .agents import shipped
    from .agents.presets import PRESETS
    from .instances import catalogue

    lines = ["instances:"]
    lines += [f"  {line}" for line in catalogue.summary(entry.name)]
    lines += ["policies:"]
    lines += [f"  {name:<10} {policy.doc}" for name, policy in entry.policies.items()]
    lines += ["trained policies that are shipped:"]
    cards = [f"  {card.title:<10} for {card.kind}: {card.doc}" for card in shipped.cards(entry.name)]
    lines += cards or ["  none"]
    lines += ["training presets:"]
    lines += [f"  {name:<10} {preset.doc}" for name, preset in PRESETS.get(entry.name, {}).items()]
    return "\n".join(lines)


def evaluate(entry, arguments):
    """Load, solve, and return the results."""
    from .agents import shipped
    from .envs.core import registry, tables
    from .envs.core.engine import resolve_device
    from .envs.core.evaluation import evaluate as run
    from .envs.core.solvers import Limits, applies, resolve, rules_of

    names = arguments.instances
    if arguments.headroom:
        if names:
            raise OptionError("--headroom makes its own instances; leave --instances out, or evaluate them without it")
        names = (arguments.headroom if ":" in arguments.headroom else f"{arguments.headroom}:0-99",)
    if not names:
        raise OptionError("--instances is missing: name at least one, see --list")
    instances = registry.instances(list(names), entry.name)
    wanted, options = list(arguments.policies), given_options(arguments, entry)

    def applicable(candidates) -> list[str]:
        return [name for name in candidates if applies(resolve(name, entry.name), instances, Limits(options=options))]

    if arguments.headroom:
        trained = wanted or applicable([shipped.WORD] if shipped.names(entry.name) else [])
        wanted = applicable(entry.policies) + trained
    elif not wanted:
        wanted = applicable(rules_of(entry))
    if not wanted:
        entry.model(instances, entry.make_options(**options))  # says what is wrong
        raise OptionError("no rule applies to these instances under these options; name one with --policies")
    if arguments.reference and arguments.reference not in wanted:
        raise OptionError(f"--reference {arguments.reference} must be one of the policies: {', '.join(wanted)}")
    policies = {name: resolve(name, entry.name) for name in dict.fromkeys(wanted)}
    tell_worlds(policies, options, entry)
    with _progress(len(instances) * len(policies)) as bar:
        limits = Limits(
            samples=arguments.samples, active_search=arguments.active_search, seed=arguments.seed,
            time_limit=arguments.time_limit, device=str(resolve_device(arguments.device)),
            options=options, progress=bar.update,
        )  # fmt: skip
        results = run(policies, instances, limits)
    reference = arguments.reference
    free = arguments.headroom and not reference and entry.naive in policies
    if free and tables.best_of(tables.paired_gaps(results), rules_of(entry)) is None:
        reference = entry.naive
        print(f"note: no bound is known of every instance, so gaps are relative to {reference}", file=sys.stderr)
    return tables.relative(results, reference) if reference else results


def tell_worlds(policies: dict, given: dict, entry) -> None:
    """Say on standard error when a trained policy comes from another world than the one it is to be evaluated in."""
    asked = entry.make_options(**given)
    for name, policy in policies.items():
        own = getattr(policy, "options", None) or {}
        other = {key: own[key] for key in sorted(entry.options.world & set(own)) if own[key] != getattr(asked, key)}
        if other:
            flags = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in other.items())
            print(
                f"note: {name} was trained with {flags}; without these flags everybody meets another world",
                file=sys.stderr,
            )


def _progress(total: int):
    """A bar on standard error, gone when done, so that standard output holds results only."""
    from tqdm import tqdm

    return tqdm(total=total, file=sys.stderr, leave=False, unit="instance", disable=None)


def table(results, arguments, entry) -> list[list[str]]:
    """The rows the user asked for."""
    from .envs.core import tables
    from .envs.core.solvers import rules_of

    if arguments.headroom:
        rules = rules_of(entry)
        exact = [name for name in entry.policies if name not in rules]
        return tables.headroom(results, entry.naive, rules, exact)
    return tables.detail(results) if arguments.detail else tables.summary(results, arguments.reference)


def show(results, arguments, entry) -> str:
    """The results in the format asked for."""
    from .envs.core import tables

    if arguments.format == "json":
        return tables.to_json_lines(results)
    rows = table(results, arguments, entry)
    if arguments.format == "csv":
        return tables.to_csv(rows)
    if arguments.format == "latex":
        return tables.to_latex(rows)
    text = tables.to_text(rows, f"headroom of {arguments.headroom}" if arguments.headroom else "")
    if not arguments.headroom and all(result.gap is None for result in results):
        text += (
            "No gap: nothing is known of these instances. "
            "An exact solver among --policies, given the time, would tell; --reference takes a rule for it.\n"
        )
    return text


def make_folder(folder: Path) -> None:
    """Make the folder of ``--out`` before hours are spent on what goes into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = [name for name in ("results.jsonl", "table.md") if (folder / name).exists()]
    except OSError as error:
        raise OptionError(f"--out {folder} cannot be written: {error}") from error
    if taken:
        raise OptionError(f"--out {folder} already holds {taken[0]}; name another folder")


def keep(results, arguments, entry) -> None:
    """Write the results and their table."""
    from .envs.core import tables
    from .envs.core.files import write_atomic

    folder = Path(arguments.out)
    try:
        write_atomic(folder / "results.jsonl", tables.to_json_lines(results))
        write_atomic(folder / "table.md", tables.to_markdown(table(results, arguments, entry)))
    except OSError as error:
        raise OptionError(f"--out {folder} cannot be written: {error}") from error


def run_command() -> int:
    """Parse, evaluate, print; 1 when a policy gave an infeasible schedule."""
    entry, arguments = parse(Arguments, "evaluate.py", __doc__, "(default: each rule's own)")
    if arguments.list:
        print(listing(entry))
        return 0
    if arguments.out:
        make_folder(Path(arguments.out))
    try:
        results = evaluate(entry, arguments)
    except BaseException:
        if arguments.out and not any(Path(arguments.out).iterdir()):
            Path(arguments.out).rmdir()  # nothing came of it
        raise
    print(show(results, arguments, entry), end="")
    if arguments.out:
        keep(results, arguments, entry)
    infeasible = [result for result in results if result.violations]
    for result in infeasible[:10]:
        print(f"{result.policy} on {result.instance}: {result.violations[0]}", file=sys.stderr)
    return 1 if infeasible else 0


def main() -> None:
    """Entry point of the command line."""
    guarded(run_command)


if __name__ == "__main__":
    (_installed if not __package__ else main)()
