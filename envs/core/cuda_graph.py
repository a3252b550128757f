"""Launches on a GPU, torch's and Warp's together, recorded once and replayed."""

from collections.abc import Callable

import torch
import warp as wp

from .engine import warp_stream


class CudaGraph:
    """What a function launches, as one graph.

    Both libraries record on one stream, and Warp is told of a recording that torch has begun; see the page on PyTorch
    of Warp's documentation.

    Args:
        function: launches only; it has run before, so that all it needs is loaded, and is not carried out now.
        device: a GPU.
        generators: of torch, that it draws from.

    Raises:
        RuntimeError: if it does anything that cannot be recorded, such as waiting for the device.
    """

    def __init__(self, function: Callable, device: torch.device, generators: tuple[torch.Generator, ...] = ()):
        self._graph = torch.cuda.CUDAGraph()
        for generator in generators:
            self._graph.register_generator_state(generator)
        stream = torch.cuda.Stream(device)
        with wp.ScopedStream(warp_stream(stream)), torch.cuda.graph(self._graph, stream=stream):
            wp.capture_begin(force_module_load=False, external=True)
            try:
                self._result = function()
            finally:
                wp.capture_end()

    def replay(self):
        """Carry it out, and return what the function returned: the same tensors every time, with new content."""
        self._graph.replay()
        return self._result
