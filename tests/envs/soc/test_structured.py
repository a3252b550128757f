"""Graphs of known programs have the dependences that running the program in order has."""

import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.soc.structured import FACTORISATIONS, MAX_TILES, factorisation, fft, fork_join, gauss


def reaches(tasks, edges):
    """Which task precedes which, (tasks, tasks) bool, for edges that lead to higher numbers."""
    before = np.zeros((tasks, tasks), bool)
    for source, target in sorted(map(tuple, edges), key=lambda edge: edge[1]):
        before[:, target] |= before[:, source]
        before[source, target] = True
    return before


def dataflow(program):
    """The same from what each step of a sequential program reads and writes: no two may swap that touch one
    place, unless both only read it."""
    edges = []
    for later, (_, reads, writes) in enumerate(program):
        for earlier in range(later):
            _, read, written = program[earlier]
            if set(writes) & (set(read) | set(written)) or set(reads) & set(written):
                edges.append((earlier, later))
    return reaches(len(program), edges)


def cholesky(tiles):
    for k in range(tiles):
        yield "potrf", [], [(k, k)]
        for i in range(k + 1, tiles):
            yield "trsm", [(k, k)], [(i, k)]
        for i in range(k + 1, tiles):
            yield "syrk", [(i, k)], [(i, i)]
            for j in range(k + 1, i):
                yield "gemm", [(i, k), (j, k)], [(i, j)]


def lu(tiles):
    for k in range(tiles):
        yield "lu", [], [(k, k)]
        for j in range(k + 1, tiles):
            yield "fwd", [(k, k)], [(k, j)]
        for i in range(k + 1, tiles):
            yield "bdiv", [(k, k)], [(i, k)]
        for i in range(k + 1, tiles):
            for j in range(k + 1, tiles):
                yield "bmod", [(i, k), (k, j)], [(i, j)]


def qr(tiles):
    for k in range(tiles):
        # The factor leaves its upper triangle in the tile and the reflectors below it, which are two places.
        yield "geqrt", [], [(k, k), ("reflectors", k)]
        for j in range(k + 1, tiles):
            yield "ormqr", [("reflectors", k)], [(k, j)]
        for i in range(k + 1, tiles):
            yield "tsqrt", [], [(k, k), (i, k)]
            for j in range(k + 1, tiles):
                yield "tsmqr", [(i, k)], [(k, j), (i, j)]


PROGRAMS = {"cholesky": cholesky, "lu": lu, "qr": qr}


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize("tiles", [2, 3, 4, 5])
def test_factorisations_are_the_sequential_program(kind, tiles):
    kernels, edges = factorisation(kind, tiles)
    program = list(PROGRAMS[kind](tiles))
    assert kernels == [kernel for kernel, _, _ in program]
    assert set(kernels) <= set(FACTORISATIONS[kind])
    assert (edges[:, 0] < edges[:, 1]).all() and len(np.unique(edges, axis=0)) == len(edges)
    assert (reaches(len(kernels), edges) == dataflow(program)).all()


@pytest.mark.parametrize(("tiles", "edges"), [(4, 30), (6, 105), (8, 252), (10, 495), (12, 858), (14, 1365)])
def test_cholesky_is_as_large_as_published(tiles, edges):
    kernels, found = factorisation("cholesky", tiles)
    assert (len(kernels), len(found)) == (tiles * (tiles + 1) * (tiles + 2) // 6, edges)


@pytest.mark.parametrize(("tiles", "tasks"), [(4, 30), (6, 91), (8, 204), (10, 385), (12, 650), (14, 1015)])
def test_lu_and_qr_are_as_large_as_published(tiles, tasks):
    below = sum((tiles - 1 - k) ** 2 for k in range(tiles))
    for kind in ("lu", "qr"):
        kernels, edges = factorisation(kind, tiles)
        assert (len(kernels), len(edges)) == (tasks, tiles * (tiles - 1) + 3 * below)


@pytest.mark.parametrize("points", [2, 4, 8, 32])
def test_fft(points):
    tasks, edges = fft(points)
    stages = points.bit_length() - 1
    assert tasks == 2 * points - 1 + points * stages
    assert (edges[:, 0] < edges[:, 1]).all() and edges.max() == tasks - 1
    predecessors = np.bincount(edges[:, 1], minlength=tasks)
    assert predecessors[0] == 0 and (predecessors[1 : 2 * points - 1] == 1).all()
    assert (predecessors[2 * points - 1 :] == 2).all()
    successors = np.bincount(edges[:, 0], minlength=tasks)
    assert (successors[:-points] == 2).all() and (successors[-points:] == 0).all()
    # Every output depends on every input, and all paths are alike.
    assert reaches(tasks, edges)[points - 1 : 2 * points - 1, -points:].all()
    depth = depths(tasks, edges)
    assert (depth[edges[:, 1]] == depth[edges[:, 0]] + 1).all() and depth.max() == 2 * stages


def depths(tasks, edges):
    depth = np.zeros(tasks, int)
    for source, target in sorted(map(tuple, edges), key=lambda edge: edge[1]):
        depth[target] = max(depth[target], depth[source] + 1)
    return depth


@pytest.mark.parametrize("matrix", [2, 3, 5, 8])
def test_gauss(matrix):
    tasks, edges = gauss(matrix)
    assert tasks == (matrix**2 + matrix - 2) // 2
    program = []
    for k in range(matrix - 1):
        program.append(("pivot", [], [k]))
        program += [("update", [k], [j]) for j in range(k + 1, matrix)]
    assert (reaches(tasks, edges) == dataflow(program)).all()
    assert depths(tasks, edges).max() + 1 == 2 * (matrix - 1)


def test_fork_join():
    tasks, edges = fork_join(2, 2)
    assert tasks == 7
    assert sorted(map(tuple, edges.tolist())) == [(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6)]
    tasks, edges = fork_join(6, 4)
    assert (tasks, len(edges), depths(tasks, edges).max()) == (29, 48, 8)


def test_unknown_and_absurd_arguments_are_refused():
    with pytest.raises(UnknownNameError, match="cholesky, lu, qr"):
        factorisation("svd", 4)
    for tiles in (1, MAX_TILES + 1):
        with pytest.raises(OptionError, match="tiles must be 2 to 40"):
            factorisation("lu", tiles)
    for points, message in [(1, "points must be 2"), (2048, "points must be 2"), (12, "power of two")]:
        with pytest.raises(OptionError, match=message):
            fft(points)
    for matrix in (1, 101):
        with pytest.raises(OptionError, match="matrix must be 2 to 100"):
            gauss(matrix)
    for width, stages in [(0, 3), (3, 0), (-2, -2), (101, 100)]:
        with pytest.raises(OptionError, match="width x stages must be 1"):
            fork_join(width, stages)
