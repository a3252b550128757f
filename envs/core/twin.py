"""The plain-Python twin: the same simulator source, run by the interpreter on NumPy arrays.

A Warp function cannot be stepped through or covered. The twin binds the very same code objects to globals in which
every Warp function is its twin and ``wp`` is a small stand-in, so that a debugger, ``print`` and coverage work, and so
that a test can ask for bit-equality with the compiled kernels.
"""

import types

import numpy as np
import warp as wp

from .rng import next_instance


def _extreme(pick):
    def bounded(*values):
        result = pick(values)
        # A Python literal may win; the kernel would hold it in single precision.
        return np.float32(result) if any(isinstance(v, (float, np.float32)) for v in values) else result

    return bounded


class _Warp:
    """What simulators use of ``wp``, on Python and NumPy scalars."""

    int8, int32, int64, uint32, float32 = (
        np.int8,
        np.int32,
        np.int64,
        staticmethod(lambda x: np.uint32(int(x) & 0xFFFFFFFF)),
        np.float32,
    )
    max = staticmethod(_extreme(max))
    min = staticmethod(_extreme(min))


_REPLACED = {"wp": _Warp, "float": np.float32}


def twin(function: wp.Function, memo: dict | None = None):
    """Return the plain-Python function of a Warp function, with everything it calls.

    Args:
        function: what ``@wp.func`` returned.
        memo: twins made so far, so that functions keep calling each other.
    """
    memo = {} if memo is None else memo
    if function in memo:
        return memo[function]
    source = function.func
    scope = dict(source.__globals__)
    scope.update(_REPLACED)
    result = types.FunctionType(source.__code__, scope, source.__name__, source.__defaults__, source.__closure__)
    memo[function] = result
    for name in source.__code__.co_names:
        if isinstance(scope.get(name), wp.Function):
            scope[name] = twin(scope[name], memo)
        elif isinstance(scope.get(name), wp.int64):  # a constant; Python cannot count with Warp's own type
            scope[name] = np.int64(scope[name].value)
    return result


class Twin:
    """A simulation's state as NumPy arrays, with the simulator's functions in plain Python.

    Attributes:
        state: namespace with one array per field, as in the simulator's declaration.
    """

    def __init__(self, program, tensors: dict, options: dict):
        self.program = program
        self.state = types.SimpleNamespace(
            **{name: tensor.detach().cpu().numpy().copy() for name, tensor in tensors.items()}, **options
        )
        memo: dict = {}
        self._reset = twin(program.reset, memo)
        self._step = twin(program.step, memo)
        self._observe = twin(program.observe, memo)
        self._next = twin(next_instance, memo)

    def __len__(self) -> int:
        return len(self.state.instance)

    def _each(self, function, *more):
        with np.errstate(over="ignore"):  # the random numbers wrap around on purpose
            for i in range(len(self)):
                function(self.state, i, *more)

    def reset(self) -> None:
        """Begin episode 0 everywhere, and observe."""

        def begin(s, i):
            s.episode[i] = 0
            s.instance[i] = self._next(s, i)
            self._reset(s, i)
            self._observe(s, i)

        self._each(begin)

    def step(self, actions) -> None:
        """Apply one action per environment, and observe."""
        self.state.action[:] = np.asarray(actions)
        # An action beyond 32 bits is illegal, as in the kernels.
        self._each(lambda s, i: self._step(s, i, int(s.action[i]) if 0 <= s.action[i] < 2**31 else -1))
        self._each(self._observe)

    def restart(self) -> None:
        """Begin the next episode wherever one has ended, and observe there."""

        def begin(s, i):
            if s.terminated[i] + s.truncated[i] > 0:
                s.episode[i] += 1
                s.instance[i] = self._next(s, i)
                self._reset(s, i)
                self._observe(s, i)

        self._each(begin)
