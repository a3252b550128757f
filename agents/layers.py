"""Message passing between work and resources along assignment edges, and between work nodes along precedence edges.

Work and resource nodes exchange messages by attention whose logits and values also read the edges (Vaswani et al. 2017;
Shi et al. 2021 for attention on edge features); precedence edges carry messages both ways.

Where the assignment is complete (``GraphSpec.complete``) the same layer runs on (W, R) matrices, which is several times
faster than on an edge list; a test holds both forms to the same result.
"""

import atexit
import functools
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

EDGE_VALUES = 2  # numbers that an edge contributes by itself to what each head reads
CLAMP = 30.0  # attention logits are kept within; exp(30) times any number of edges fits single precision
LEAST = 1e-20  # a node without edges divides zero by this


@dataclass(frozen=True)
class Dense:
    """Assignment edges as matrices.

    Attributes:
        attr: (B, F, W * R) features, the edges last so that a projection of them needs no reordering.
        present: (B, 1, W, R), 1 where there is an edge and 0 elsewhere.
    """

    attr: Tensor
    present: Tensor

    @classmethod
    def of(cls, present: Tensor, attr: Tensor, sizes: tuple[int, int]) -> "Dense":
        """Build it from the presence (B, W * R) bool and the features (B, W * R, F) of edges; ``sizes`` are W and R."""
        return cls(attr.transpose(1, 2).contiguous(), present.unflatten(1, sizes).unsqueeze(1).to(attr.dtype))


@dataclass(frozen=True)
class Sparse:
    """Edges as a list over the flattened batch; row B * W (or B * R) is the sink of padded edges.

    Attributes:
        index: (2, E) source and target rows.
        attr: (E, F).
    """

    index: Tensor
    attr: Tensor

    @classmethod
    def of(cls, index: Tensor, attr: Tensor, sizes: tuple[int, int]) -> "Sparse":
        """Flatten (B, 2, Q) indices and (B, Q, F) features; ``sizes`` are the rows of the two ends."""
        batch, ends = index.shape[0], list(zip(index.unbind(1), sizes, strict=True))  # (B, Q) and its limit, twice
        padded = torch.stack([end >= size for end, size in ends]).any(0)
        first = torch.arange(batch, device=index.device).unsqueeze(1)
        rows = [torch.where(padded, batch * size, first * size + end).flatten() for end, size in ends]
        return cls(torch.stack(rows), attr.flatten(0, 1))

    def reversed(self) -> "Sparse":
        """The same edges, read from the other end."""
        return Sparse(self.index.flip(0), self.attr)


class Attention(MessagePassing):
    """Attention from targets to the sources of their edges, H heads, on an edge list; it has no weights of its own."""

    def __init__(self):
        super().__init__(aggr="add", node_dim=0)
        _leave_nothing(type(self).propagate.__module__)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, bias: Tensor, extra: Tensor, edges: Sparse) -> Tensor:
        """Gather.

        Args:
            query: (T, H, D) of the targets; key, value: (S, H, D) of the sources.
            bias: (E, H) added to the logits.
            extra: (E, H, X) values of the edges themselves.
            edges: from sources to targets.

        Returns:
            (T, H, D + X): attention-weighted values of sources and edges; zeros for a target without edges.
        """
        size = (key.shape[0], query.shape[0])
        collected = self.propagate(edges.index, query=query, key=key, value=value, bias=bias, extra=extra, size=size)
        return collected[..., :-1] / collected[..., -1:].clamp_min(LEAST)

    def message(self, query_i, key_j, value_j, bias, extra):
        weight = unnormalised((query_i * key_j).sum(-1) * query_i.shape[-1] ** -0.5 + bias).unsqueeze(-1)
        return weight * torch.cat([value_j, extra, torch.ones_like(weight)], -1)


@functools.cache
def _leave_nothing(module: str) -> None:
    """PyTorch Geometric writes a layer's code to the folder for temporary files; take it away with the process."""
    file = getattr(sys.modules[module], "__file__", None)
    if file and Path(file).parent == Path(tempfile.gettempdir()):
        atexit.register(Path(file).unlink, missing_ok=True)


def unnormalised(logits: Tensor) -> Tensor:
    """exp(logits), of which a quotient by the sum is the softmax.

    The clamp takes the place of subtracting the maximum: an elementwise exponential is several times faster than a
    softmax over rows as short as these.
    """
    return logits.clamp(-CLAMP, CLAMP).exp()


class ExchangeLayer(nn.Module):
    """Work and resources read each other across the assignment edges, then each node digests what it read.

    Args:
        width: features of a node.
        heads: attention heads; they divide the width.
        edge_features: features of an edge.
    """

    def __init__(self, width: int, heads: int, edge_features: int):
        super().__init__()
        self.heads = heads
        self.edge = nn.Linear(edge_features, 2 * heads * (1 + EDGE_VALUES))
        self.project = nn.ModuleDict({side: nn.Linear(width, 3 * width) for side in ("work", "resource")})
        read = width + heads * EDGE_VALUES
        self.read = nn.ModuleDict({side: nn.Linear(read, width) for side in ("work", "resource")})
        self.digest = nn.ModuleDict(
            {
                side: nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
                for side in ("work", "resource")
            }
        )
        self.attention = Attention()

    def forward(self, work: Tensor, resource: Tensor, edges: Dense | Sparse) -> tuple[Tensor, Tensor]:
        """Update (B, W, D) work and (B, R, D) resource nodes."""
        gather = self._dense if isinstance(edges, Dense) else self._sparse
        to_work, to_resource = gather(self._heads("work", work), self._heads("resource", resource), edges)
        work = work + self.read["work"](to_work)
        resource = resource + self.read["resource"](to_resource)
        return work + self.digest["work"](work), resource + self.digest["resource"](resource)

    def _heads(self, side: str, nodes: Tensor) -> tuple[Tensor, ...]:
        """Query, key and value, (B, N, H, D / H) each."""
        return self.project[side](nodes).unflatten(2, (3, self.heads, -1)).unbind(2)

    def _dense(self, work, resource, edges: Dense):
        (work_query, work_key, work_value), (query, key, value) = (
            [part.transpose(1, 2) for part in side] for side in (work, resource)
        )
        scale = query.shape[-1] ** -0.5
        size = len(edges.attr), -1, -1  # not ``weight @ attr``, which copies (B, F, W * R) into a matrix and back
        of_edges = torch.baddbmm(self.edge.bias[:, None].expand(size), self.edge.weight.expand(size), edges.attr)
        of_edges = of_edges.unflatten(2, edges.present.shape[2:])  # (B, 2 * H * (1 + X), W, R)
        bias_work, bias_resource, extra_work, extra_resource = of_edges.split(self._edge_parts(), 1)
        weight = unnormalised((work_query * scale) @ key.transpose(2, 3) + bias_work) * edges.present
        back = unnormalised((work_key * scale) @ query.transpose(2, 3) + bias_resource) * edges.present
        return (
            self._collect(weight, weight @ value, extra_work, 3),
            self._collect(back, back.transpose(2, 3) @ work_value, extra_resource, 2),
        )

    def _collect(self, weight: Tensor, read: Tensor, extra: Tensor, sources: int) -> Tensor:
        """Normalise (B, H, T, D) and join the edges' own values: (B, T, H * D + H * X)."""
        total = weight.sum(sources).clamp_min(LEAST).unsqueeze(3)
        extra = extra.unflatten(1, (self.heads, EDGE_VALUES))
        of_edges = (weight.unsqueeze(2) * extra).sum(sources + 1).transpose(2, 3) / total
        return torch.cat([part.transpose(1, 2).flatten(2) for part in (read / total, of_edges)], 2)

    def _edge_parts(self) -> list[int]:
        return [self.heads, self.heads, self.heads * EDGE_VALUES, self.heads * EDGE_VALUES]

    def _sparse(self, work, resource, edges: Sparse):
        batch = work[0].shape[0]
        bias_work, bias_resource, extra_work, extra_resource = self.edge(edges.attr).split(self._edge_parts(), 1)
        extra_work, extra_resource = (e.unflatten(1, (self.heads, EDGE_VALUES)) for e in (extra_work, extra_resource))
        work, resource = ([_with_sink(part) for part in side] for side in (work, resource))
        back = edges.reversed()
        to_work = self.attention(work[0], resource[1], resource[2], bias_work, extra_work, back)
        to_resource = self.attention(resource[0], work[1], work[2], bias_resource, extra_resource, edges)
        return tuple(_join_heads(to, batch) for to in (to_work, to_resource))


def _with_sink(nodes: Tensor) -> Tensor:
    """Flatten (B, N, ...) to (B * N + 1, ...), the last row being the sink."""
    flat = nodes.flatten(0, 1)
    return torch.cat([flat, flat.new_zeros(1, *flat.shape[1:])])


def _join_heads(collected: Tensor, batch: int) -> Tensor:
    """(B * N + 1, H, D + X) back to (B, N, H * D + H * X), without the sink."""
    collected = collected[:-1].unflatten(0, (batch, -1))
    value, extra = collected.split([collected.shape[-1] - EDGE_VALUES, EDGE_VALUES], -1)
    return torch.cat([value.flatten(2), extra.flatten(2)], 2)


class PrecedenceLayer(nn.Module):
    """Work nodes read their predecessors and, with other weights, their successors.

    Args:
        width, heads: as in ExchangeLayer.
        edge_features: features of a precedence edge, possibly none.
    """

    def __init__(self, width: int, heads: int, edge_features: int):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 6 * width)
        self.edge = nn.Linear(edge_features, 2 * heads * (1 + EDGE_VALUES))
        self.read = nn.Linear(2 * (width + heads * EDGE_VALUES), width)
        self.attention = Attention()

    def forward(self, work: Tensor, edges: Sparse) -> Tensor:
        """Update (B, W, D) work nodes along edges from predecessor to successor."""
        batch = work.shape[0]
        parts = [_with_sink(p) for p in self.project(work).unflatten(2, (6, self.heads, -1)).unbind(2)]
        before, after = self.edge(edges.attr).unflatten(1, (2, self.heads, 1 + EDGE_VALUES)).unbind(1)
        collected = [
            self.attention(*parts[:3], before[..., 0], before[..., 1:], edges),
            self.attention(*parts[3:], after[..., 0], after[..., 1:], edges.reversed()),
        ]
        return work + self.read(torch.cat([_join_heads(c, batch) for c in collected], 2))
