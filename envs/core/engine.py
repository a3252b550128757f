"""The only place that knows how Warp runs a simulator: memory, kernels, recorded launches, threads, graphs.

A simulator is a ``Program``: a state declared as fields and three scalar functions, ``reset(s, i)``, ``step(s, i,
action)`` and ``observe(s, i)``, each about environment ``i`` alone. The engine owns the memory as torch tensors, shows
it to Warp without a copy and runs the functions for all environments, one thread each, on the CPU or on a GPU.
"""

import functools
import os
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
import warp as wp

from .errors import OptionError
from .fields import DTYPES, Field
from .rng import next_instance
from .twin import Twin


def _init_quietly() -> None:
    """Start Warp without the warning its native part prints on every machine that has no GPU."""
    wp.config.log_level = wp.LOG_ERROR
    try:
        kept = os.dup(2)
    except OSError:  # standard error is closed; nothing to keep quiet
        wp.init()
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        wp.init()
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


_init_quietly()

TORCH = {"int8": torch.int8, "int32": torch.int32, "int64": torch.int64, "float32": torch.float32}
# Exact arithmetic: the same bits on CPU and GPU need no contraction into fused multiply-adds. Loops stay loops:
# unrolled, those over a constant number of turns make the source ten times as long, and take minutes to compile.
MODULE_OPTIONS = {"enable_backward": False, "fast_math": False, "fuse_fp": False, "max_unroll": 0}
# Below this many environments handing work to a second thread costs more than it saves (measured: benchmarks/).
SPLIT_FROM = 4096
# A graph of one launch takes 2 ms to record and saves 1.5 us each time: worth it where steps are many.
GRAPH_AFTER = 1000


@dataclass(frozen=True, eq=False)
class Program:
    """A simulator as the engine takes it.

    Attributes:
        name: unique among programs; names the Warp module and its cache.
        fields: the declaration of the state.
        state: the Warp struct made from the fields.
        reset, step, observe: Warp functions ``(s, i)``, ``(s, i, action)`` and ``(s, i)``.
    """

    name: str
    fields: tuple[Field, ...]
    state: object
    reset: object
    step: object
    observe: object


@functools.cache
def kernels(program: Program) -> dict[str, wp.Kernel]:
    """Declare the kernels of a program; compiled on first launch, then cached on disk by Warp.

    Returns:
        With observation: ``reset`` (all environments), ``advance`` (one step) and ``restart`` (begin anew where an
        episode has ended); the same without: ``begin``, ``step`` and ``renew``; and ``observe`` alone.
    """
    module = f"dispatchgym_{program.name}"
    State, reset, step, observe = program.state, program.reset, program.step, program.observe

    def kernel(name):
        return wp.kernel(module=module, name=f"{module}_{name}", enable_backward=False)

    @wp.func
    def chosen(s: State, i: int):
        """The action as int32; a number that does not fit becomes -1, which is never legal."""
        action = s.action[i]
        if action < wp.int64(0) or action > wp.int64(2147483647):
            return -1
        return int(action)

    @kernel("reset")
    def reset_kernel(s: State, offset: int):
        i = wp.tid() + offset
        s.episode[i] = 0
        s.instance[i] = next_instance(s, i)
        reset(s, i)
        observe(s, i)

    @kernel("begin")
    def begin_kernel(s: State, offset: int):
        i = wp.tid() + offset
        s.episode[i] = 0
        s.instance[i] = next_instance(s, i)
        reset(s, i)

    @kernel("step")
    def step_kernel(s: State, offset: int):
        i = wp.tid() + offset
        step(s, i, chosen(s, i))

    @kernel("advance")
    def advance_kernel(s: State, offset: int):
        i = wp.tid() + offset
        step(s, i, chosen(s, i))
        observe(s, i)

    @kernel("restart")
    def restart_kernel(s: State, offset: int):
        i = wp.tid() + offset
        if int(s.terminated[i]) + int(s.truncated[i]) > 0:
            s.episode[i] = s.episode[i] + 1
            s.instance[i] = next_instance(s, i)
            reset(s, i)
            observe(s, i)

    @kernel("renew")
    def renew_kernel(s: State, offset: int):
        i = wp.tid() + offset
        if int(s.terminated[i]) + int(s.truncated[i]) > 0:
            s.episode[i] = s.episode[i] + 1
            s.instance[i] = next_instance(s, i)
            reset(s, i)

    @kernel("observe")
    def observe_kernel(s: State, offset: int):
        observe(s, wp.tid() + offset)

    wp.set_module_options(MODULE_OPTIONS, module=wp.get_module(module))
    return {
        "reset": reset_kernel, "begin": begin_kernel, "step": step_kernel, "advance": advance_kernel,
        "restart": restart_kernel, "renew": renew_kernel, "observe": observe_kernel,
    }  # fmt: skip


def compile_for_cuda(program: Program, arch: int, folder: str) -> list:
    """Compile every kernel of a program for a GPU that need not be present.

    Args:
        arch: compute capability, such as 90.
        folder: where the binaries go.

    Returns:
        The paths of the files written.
    """
    kernels(program)
    return wp.compile_aot_module(
        wp.get_module(f"dispatchgym_{program.name}"), arch=arch, module_dir=folder, use_ptx=True
    )


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"``, ``"cpu"`` or ``"cuda[:n]"`` into a torch device.

    Raises:
        OptionError: for anything else, and for a GPU that is not there.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        result = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise OptionError(f"device must be auto, cpu or cuda[:n], got {device!r}") from error
    if result.type not in ("cpu", "cuda"):
        raise OptionError(f"device must be auto, cpu or cuda[:n], got {device!r}")
    if result.type == "cuda" and (not torch.cuda.is_available() or (result.index or 0) >= torch.cuda.device_count()):
        raise OptionError(f"device {device} asked for, but torch sees {torch.cuda.device_count()} CUDA devices")
    return result


@functools.cache
def warp_stream(stream: "torch.cuda.Stream") -> wp.Stream:
    """Warp's view of a stream of torch; one for each, since Warp keeps an account of them."""
    return wp.stream_from_torch(stream)


class Engine:
    """A program's memory for a number of environments, and the launches that run it.

    Args:
        program: the simulator.
        sizes: length of every axis that the fields name, ``env`` included.
        options: value of every option field.
        device: where the state lives.
        threads: CPU threads over which a large batch is split; default: one for each core that torch would use.

    Attributes:
        tensors: one torch tensor per array field; they are the state itself, so writing to them changes it.
    """

    def __init__(self, program: Program, sizes: dict[str, int], options: dict[str, int], device="cpu", threads=None):
        self.program, self.sizes, self.options = program, dict(sizes), dict(options)
        self.device = resolve_device(device)
        self.num_envs = sizes["env"]
        self.tensors: dict[str, torch.Tensor] = {}
        self._state = program.state()
        where = wp.device_from_torch(self.device)
        for field in program.fields:
            if field.is_option:
                setattr(self._state, field.name, int(self.options[field.name]))
                continue
            shape = tuple(sizes[axis] for axis in field.shape)
            tensor = torch.zeros(shape, dtype=TORCH[field.dtype], device=self.device)
            self.tensors[field.name] = tensor
            # As wp.from_torch does, which asks what is known here and takes twice as long.
            view = wp.array(ptr=tensor.data_ptr(), dtype=DTYPES[field.dtype], shape=shape, device=where)
            setattr(self._state, field.name, view)
        self._memory = tuple(self.tensors.values())  # a view does not keep its tensor
        self.threads = self._split_width(threads)
        self._pool = ThreadPoolExecutor(self.threads - 1) if self.threads > 1 else None
        self._launches: dict[str, list] = {}

    def _split_width(self, threads: int | None) -> int:
        if self.device.type != "cpu":
            return 1
        if threads is None:
            threads = min(torch.get_num_threads(), os.cpu_count() or 1) if self.num_envs >= SPLIT_FROM else 1
        if threads < 1:
            raise OptionError(f"threads must be at least 1, got {threads}")
        return min(threads, self.num_envs)

    def run(self, name: str) -> None:
        """Launch one of the kernels named in ``kernels`` for all environments.

        On a GPU the launch joins torch's current stream and returns at once; on the CPU it is complete on return.
        """
        launches = self._launches.get(name)
        if launches is None:
            launches = self._launches[name] = self._record(name)
        if self.device.type == "cuda":
            launches[0].launch(stream=warp_stream(torch.cuda.current_stream(self.device)))
        elif self._pool is None:
            launches[0]()
        else:
            waiting = [self._pool.submit(launch) for launch in launches[1:]]
            launches[0]()
            for future in waiting:
                future.result()

    def _record(self, name: str) -> list:
        kernel = kernels(self.program)[name]
        device = str(self.device) if self.device.type == "cpu" else f"cuda:{self.device.index or 0}"
        edges = [self.num_envs * part // self.threads for part in range(self.threads + 1)]
        commands = [
            wp.launch(kernel, dim=end - begin, inputs=[self._state, begin], device=device, record_cmd=True)
            for begin, end in zip(edges, edges[1:], strict=False)
        ]
        if self.device.type == "cuda":
            return commands
        if self.num_envs == 1:
            return [self._until_it_pays(name, commands[0])]
        return [command.launch for command in commands]

    def _until_it_pays(self, name: str, command: wp.Launch):
        """A launch that puts a graph in its own place after so many times: the fastest public way at batch 1."""
        left, engine = GRAPH_AFTER, weakref.proxy(self)  # no cycle: memory is freed as soon as nobody holds it

        def launch():
            nonlocal left
            command.launch()
            left -= 1
            if left == 0:
                with wp.ScopedCapture(device="cpu") as capture:
                    command.launch()
                engine._launches[name] = [functools.partial(wp.capture_launch, capture.graph)]

        return launch

    def twin(self) -> Twin:
        """A plain-Python copy of this engine's state and program, for the debugger and for tests."""
        return Twin(self.program, self.tensors, self.options)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """The tensors that belong to environments, cloned: all that resuming needs besides the bank."""
        own = (field.name for field in self.program.fields if field.shape[:1] == ("env",))
        return {name: self.tensors[name].clone() for name in own}

    def load_state_dict(self, tensors: dict[str, torch.Tensor]) -> None:
        """Write back what ``state_dict`` gave, in place.

        Raises:
            OptionError: if a tensor is missing or has another shape.
        """
        for name, mine in self.state_dict().items():
            other = tensors.get(name)
            if other is None or other.shape != mine.shape:
                raise OptionError(f"state tensor {name!r}: expected shape {tuple(mine.shape)}, got "
                                  f"{None if other is None else tuple(other.shape)}")  # fmt: skip
            self.tensors[name].copy_(other)
