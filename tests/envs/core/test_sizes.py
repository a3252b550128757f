"""Padded sizes: few of them, none much larger than what is asked for."""

from dispatchgym.envs.core.sizes import rounded


def test_few_sizes_and_little_padding():
    sizes = [rounded(n) for n in range(1, 2000)]
    assert all(n <= size <= max(1.5 * n, n + 1) for n, size in enumerate(sizes, 1)) and sizes == sorted(sizes)
    assert all(rounded(size) == size for size in sizes) and len(set(sizes)) < 25
