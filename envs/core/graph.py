"""The observation every family shares: a graph of work and resources, with candidates to choose from."""

from dataclasses import dataclass, field

import numpy as np

PARTS = ("work", "resource", "context", "assignment", "candidate", "precedence")


@dataclass(frozen=True)
class Feature:
    """One column of the observation, with its bounds.

    Attributes:
        name: what it is, in the field's terms.
        doc: how it is computed and normalised.
        low, high: the values it is clipped to.
    """

    name: str
    doc: str
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class GraphSpec:
    """Names and shapes of an observation.

    Every index array is padded: a padded edge points at row ``works`` and, where it has one, row ``resources``, one
    past the last; a network sends these to a sink row.

    Attributes:
        works, resources, actions, edges, precedences: W, R, A, Q and P, the padded sizes.
        work, resource, context, assignment, candidate, precedence: the features of each part, in order.
        complete: edge (w, r) of the assignment stands at w * R + r, so that it can be read as a (W, R) matrix.
        static: keys that do not change within an episode.
    """

    works: int
    resources: int
    actions: int
    edges: int
    work: tuple[Feature, ...]
    resource: tuple[Feature, ...]
    context: tuple[Feature, ...]
    assignment: tuple[Feature, ...]
    candidate: tuple[Feature, ...]
    precedences: int = 0
    precedence: tuple[Feature, ...] = ()
    complete: bool = False
    static: tuple[str, ...] = field(default=())

    def boxes(self) -> dict[str, tuple[np.ndarray | int, np.ndarray | int, tuple[int, ...], type]]:
        """Low, high, shape and dtype of every key of the observation, in order."""
        parts = {
            "work": (self.works, self.work),
            "resource": (self.resources, self.resource),
            "context": (None, self.context),
            "assignment_attr": (self.edges, self.assignment),
            "candidate_attr": (self.actions, self.candidate),
        }
        if self.precedences:
            parts["precedence_attr"] = (self.precedences, self.precedence)
        result = {}
        for key, (rows, features) in parts.items():
            shape = (len(features),) if rows is None else (rows, len(features))
            low = np.broadcast_to(np.array([f.low for f in features], np.float32), shape)
            high = np.broadcast_to(np.array([f.high for f in features], np.float32), shape)
            result[key] = (low, high, shape, np.float32)
        sink = np.array([self.works, self.resources])
        result["assignment"] = _index_box(sink[:, None], (2, self.edges))
        if self.precedences:
            result["precedence"] = _index_box(np.full((2, 1), self.works), (2, self.precedences))
        result["candidate"] = _index_box(sink, (self.actions, 2))
        result["action_mask"] = (0, 1, (self.actions,), np.int8)
        return result

    def feature_names(self) -> dict[str, list[str]]:
        """Names of the features, part by part in their order: what a network that reads them was made for."""
        return {part: [feature.name for feature in getattr(self, part)] for part in PARTS}

    def differs_from(self, names: dict[str, list[str]]) -> str:
        """Where the features are not those of ``feature_names()`` elsewhere, in words; empty if nowhere."""
        for part, there in self.feature_names().items():
            known = names.get(part, [])
            if known != there:
                gone, new = [n for n in known if n not in there], [n for n in there if n not in known]
                words = [f"without {', '.join(gone)}"] * bool(gone) + [f"with {', '.join(new)}"] * bool(new)
                return f"the features of {part} are others ({'; '.join(words) or 'in another order'})"
        return ""


def _index_box(high: np.ndarray, shape: tuple[int, ...]):
    return np.zeros(shape, np.int64), np.broadcast_to(high, shape).astype(np.int64), shape, np.int64
