"""Trained policies that come with the package: weights and a card beside them, chosen by name or by kind of instance.

Each is a pair in ``pretrained/FAMILY``: ``NAME.safetensors`` holds the averaged weights and nothing else, ``NAME.json``
its card: network, options, features, where it comes from and what it achieves. ``ship.py`` makes the pair from a run
folder.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from ..envs.core.errors import CheckpointError, DispatchGymError, OptionError, UnknownNameError
from ..envs.core.graph import GraphSpec
from ..envs.core.registry import Family, family
from .presets import DEFAULT

FIRST = DEFAULT | {"job_shop": "mixed"}  # of several that would do
FOLDER = Path(__file__).parent / "pretrained"
FORMAT = 1
WORD = "pretrained"
LARGEST_CARD, LARGEST_WEIGHTS = 256 * 1024, 1_000_000  # bytes
# Types of what a card must hold.
KEYS = {
    "family": str, "preset": str, "stage": str, "kind": str, "doc": str, "network": dict, "options": dict,
    "features": dict, "command": str, "training": dict, "results": list, "sha256": str,
}  # fmt: skip


@dataclass(frozen=True)
class Card:
    """What is known of a shipped policy without reading its weights.

    Attributes:
        name: as in ``pretrained/NAME``.
        family: it dispatches for.
        content: the whole card, see ``KEYS``.
        path: of the card.
    """

    name: str
    family: str
    content: dict
    path: Path
    observes: ClassVar[bool] = True

    @property
    def title(self) -> str:
        """As it is named after ``--policies``."""
        return f"{WORD}/{self.name}"

    @property
    def doc(self) -> str:
        """One line for ``--list``."""
        return self.content["doc"]

    @property
    def kind(self) -> str:
        """Of the instances it was trained on, see ``kind_of``."""
        return self.content["kind"]

    @property
    def options(self) -> dict:
        """The family's options it was trained with."""
        return self.content["options"]


def kind_of(instance) -> str:
    """What sets instances apart that no policy takes together: their objective, or what the family names instead."""
    return getattr(instance, "kind", instance.objective)


def names(family_name: str) -> list[str]:
    """Names of a family's shipped policies, the strongest or that of its main training first."""
    found = sorted(path.stem for path in (FOLDER / family_name).glob("*.json"))
    return sorted(found, key=lambda name: name != FIRST.get(family_name))


def read_card(family_name: str, name: str) -> Card:
    """Read the card of a shipped policy.

    Raises:
        UnknownNameError: listing the shipped policies of the family.
        CheckpointError: if it is torn or not a card.
    """
    if name not in names(family_name):
        raise UnknownNameError(f"shipped policy of {family_name}", name, names(family_name) or ["none is shipped"])
    return read_card_at(FOLDER / family_name / f"{name}.json", family_name)


def read_card_at(path: Path, family_name: str) -> Card:
    """Read a card that lies anywhere, such as where ``ship --out`` wrote it.

    Raises:
        CheckpointError: if it is torn, not a card, or of another family.
    """
    try:
        if path.stat().st_size > LARGEST_CARD:
            raise CheckpointError(f"{path}: larger than {LARGEST_CARD} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a card of format {FORMAT}")
    for key, kind in KEYS.items():
        if not isinstance(content.get(key), kind):
            raise CheckpointError(f"{path}: {key} must be a {kind.__name__}, got {content.get(key)!r:.80}")
    if content["family"] != family_name:
        raise CheckpointError(f"{path}: of the family {content['family']}, not {family_name}")
    return Card(path.stem, family_name, content, path)


def cards(family_name: str) -> list[Card]:
    """The cards of all shipped policies of a family, that of its main training first."""
    return [read_card(family_name, name) for name in names(family_name)]


def is_name(name: str) -> bool:
    """Whether a policy's name asks for a shipped one; a folder called so is meant by ``./pretrained``."""
    return name.lower().partition("/")[0] == WORD


def load(name: str, family_name: str):
    """What ``pretrained`` (by kind of instance) or ``pretrained/NAME`` stands for.

    Raises:
        UnknownNameError: for a name that is not shipped, listing those that are.
        CheckpointError: if the family has none, or a file is torn or does not fit this version.
    """
    _, _, wanted = name.partition("/")
    if wanted:
        return read_policy(read_card(family_name, wanted))
    found = cards(family_name)
    if not found:
        command = family(family_name).command
        raise CheckpointError(f"no trained policy of {family_name} is shipped; make one: python train.py {command}")
    return ByKind(found)


def read_policy(card: Card):
    """The network of a card as a policy.

    Raises:
        CheckpointError: if the weights are missing, torn, or do not fit the observation of this version.
    """
    path = card.path.with_suffix(".safetensors")
    try:
        stamp = path.stat()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from error
    stamps = (stamp.st_mtime_ns, stamp.st_size, card.path.stat().st_mtime_ns)
    return _read_policy(card.path.resolve(), path, card.family, stamps)


@lru_cache(maxsize=32)
def _read_policy(card_path: Path, path: Path, family_name: str, stamp: tuple):
    """A policy, kept until one of its files changes."""
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors

    from .gnn import GraphNetwork
    from .policy import NetworkPolicy

    card = read_card_at(card_path, family_name)
    content, entry = card.content, family(card.family)
    if stamp[1] > LARGEST_WEIGHTS:
        raise CheckpointError(f"{path}: larger than {LARGEST_WEIGHTS} bytes")
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != content["sha256"]:
        raise CheckpointError(f"{path}: torn or changed, its digest is not the one in {card_path.name}")
    try:
        spec = spec_of(entry, content["stage"], content["options"])
        problem = spec.differs_from(content["features"])
        if problem:
            raise CheckpointError(f"{path}: does not fit this version, {problem}; train it again: {content['command']}")
        network = GraphNetwork(spec, **content["network"])
        network.load_state_dict(load_tensors(data))
    except (SafetensorError, RuntimeError, KeyError, ValueError, TypeError, OptionError, UnknownNameError) as error:
        raise CheckpointError(f"{path}: cannot be used as a policy: {error}") from error
    policy = NetworkPolicy(network.requires_grad_(False), content["options"])
    policy.doc = content["doc"]
    return policy


def spec_of(entry: Family, stage: str, options: dict) -> GraphSpec:
    """The observation that a training on a stage of a family reads."""
    instances = entry.room("generator").training_instances(stage, 1, 0, 0)
    return entry.model(instances, entry.make_options(**options)).spec


class ByKind:
    """The shipped policy that goes with each instance; see ``envs.core.solvers.solve``.

    Args:
        found: the cards of one family, the first preferred where several fit.
    """

    observes = True
    options = None
    doc = "the trained policy that is shipped for the instance's kind"

    def __init__(self, found: list[Card]):
        self.cards = found

    def choose(self, instance, limits) -> tuple[str, object]:
        """The name and the policy for an instance: of those that fit, one trained in the most similar world.

        Raises:
            OptionError: if none fits, saying why each one does not.
        """
        entry = family(instance.family)
        asked = entry.make_options(**limits.options)
        fitting, reasons = [], []
        for card in self.cards:
            reason = self._unfit(entry, card, instance, limits)
            if reason:
                reasons.append(f"{card.name} {reason}")
            else:
                fitting.append((sum(_differs(card.options, asked, name) for name in sorted(entry.options.world)), card))
        if not fitting:
            raise OptionError(f"no shipped policy fits {instance.name} ({kind_of(instance)}): {'; '.join(reasons)}")
        card = min(fitting, key=lambda pair: pair[0])[1]
        return card.title, read_policy(card)

    @staticmethod
    def _unfit(entry: Family, card: Card, instance, limits) -> str:
        """Why a policy cannot take an instance, in words; empty if it can."""
        from ..envs.core.solvers import options_of

        if card.kind != kind_of(instance):
            return f"is for {card.kind}"
        try:
            model = entry.model([instance], options_of(card, limits, entry))
        except DispatchGymError as error:
            return f"refuses it: {error}"
        return model.spec.differs_from(card.content["features"])


def _differs(own: dict, asked, name: str) -> bool:
    return name in own and own[name] != getattr(asked, name)
