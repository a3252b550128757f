"""Checkpoints: safetensors and JSON, written so that a crash at any moment leaves a whole one behind.

A run folder keeps the last two generations in ``checkpoint-N`` folders, each with ``state.safetensors`` and
``state.json``; the JSON holds the digest of the other file and is written last, so a folder without a matching pair is
not a checkpoint. Nothing is ever unpickled.
"""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from ..envs.core.errors import CheckpointError, OptionError, UnknownNameError
from ..envs.core.files import write_atomic
from ..envs.core.registry import family
from ..envs.core.result import versions
from .gnn import GraphNetwork
from .policy import NetworkPolicy
from .ppo import PPO

FORMAT = 1
TENSORS, HEADER = "state.safetensors", "state.json"
KEPT = 2  # generations
CONFIG_KEYS = (
    "family", "preset", "stages", "groups", "group", "options", "network", "ppo", "timesteps", "seed", "device",
    "threads", "checkpoint_every", "evaluate_every",
)  # fmt: skip
LARGEST_HEADER = 4 * 2**20


class OtherFormatError(CheckpointError):
    """The checkpoint may be whole, but another version of this package wrote it."""


def save(run: Path, ppo: PPO, config: dict) -> Path:
    """Write a checkpoint of a training run; of several processes all must call it, and the first one writes.

    Args:
        run: the run's folder.
        ppo: what is being trained.
        config: what ``train.py`` needs to build the same run again.

    Returns:
        The checkpoint's folder.
    """
    tensors = {f"policy.{name}": tensor for name, tensor in ppo.policy.state_dict().items()}
    tensors |= {f"average.{name}": tensor for name, tensor in ppo.average_network.state_dict().items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in _optimizer_tensors(ppo).items()}
    for rank, state in enumerate(ppo.ranks.gather(ppo.generator.get_state())):
        tensors[_generator_of(rank)] = state
    data = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    header = {
        "format": FORMAT,
        "config": config,
        "network": ppo.policy.network_arguments,
        "iteration": ppo.iteration,
        "decisions": ppo.decisions,
        "num_timesteps": ppo.num_timesteps,
        "n_updates": ppo._n_updates,
        "seconds": ppo.seconds,
        "sha256": hashlib.sha256(data).hexdigest(),
        "versions": versions(),
    }
    folder = run / f"checkpoint-{ppo.iteration:08d}"
    if not ppo.ranks.first:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / TENSORS, data)
    write_atomic(folder / HEADER, json.dumps(seal(header), indent=1))
    _prune(run)
    return folder


def _generator_of(rank: int) -> str:
    return f"generator.{rank}" if rank else "generator"


def seal(header: dict) -> dict:
    """Add the digest of a header to it, so that a change of any of its bytes shows."""
    return header | {"header_sha256": _header_digest(header)}


def _header_digest(header: dict) -> str:
    rest = {key: value for key, value in header.items() if key != "header_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _prune(run: Path) -> None:
    """Remove all but the newest whole generations; a torn one never takes the place of a whole one."""
    whole = 0
    for folder in _generations(run):
        try:
            read(folder)
            whole += 1
        except OtherFormatError:  # a later version's; not ours to judge
            continue
        except CheckpointError:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        if whole > KEPT:
            shutil.rmtree(folder, ignore_errors=True)


def newest(run: Path) -> Path:
    """The newest whole checkpoint of a run folder, or the folder itself if it is a checkpoint.

    Raises:
        CheckpointError: if there is none, saying what is wrong with each.
    """
    if not run.is_dir():
        raise CheckpointError(f"{run}: no such folder; expected a run folder or a checkpoint")
    candidates = [run] if (run / HEADER).exists() else _generations(run)
    problems = []
    for folder in candidates:
        try:
            read(folder)
            return folder
        except CheckpointError as error:
            problems.append(str(error))
    raise CheckpointError("; ".join(problems) or f"{run}: holds no checkpoint-N folder")


def read(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """Read a checkpoint.

    Returns:
        The header and the tensors.

    Raises:
        CheckpointError: if a file is missing, torn, too large or of another format.
    """
    try:
        if (folder / HEADER).stat().st_size > LARGEST_HEADER:
            raise CheckpointError(f"{folder / HEADER}: larger than {LARGEST_HEADER} bytes")
        header = json.loads((folder / HEADER).read_text(encoding="utf-8"))
        data = (folder / TENSORS).read_bytes()
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder}: cannot be read: {error}") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{folder / HEADER}: not a checkpoint")
    if header.get("format") != FORMAT:
        raise OtherFormatError(f"{folder / HEADER}: not a checkpoint of format {FORMAT}")
    if header.get("header_sha256") != _header_digest(header):
        raise CheckpointError(f"{folder / HEADER}: changed, its digest is not the one it states")
    if hashlib.sha256(data).hexdigest() != header.get("sha256"):
        raise CheckpointError(f"{folder / TENSORS}: torn or changed, its digest is not the one in {HEADER}")
    try:
        return header, load_tensors(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{folder / TENSORS}: not safetensors: {error}") from error


def configuration(folder: Path) -> dict:
    """What the run of a checkpoint was made of.

    Raises:
        CheckpointError: if the checkpoint is torn or does not say.
    """
    config = read(folder)[0].get("config")
    if not isinstance(config, dict) or not all(key in config for key in CONFIG_KEYS):
        raise CheckpointError(f"{folder}: does not say what its run was made of; expected {', '.join(CONFIG_KEYS)}")
    return config


def restore(folder: Path, ppo: PPO) -> None:
    """Put a run back where its checkpoint left it.

    Raises:
        CheckpointError: if the checkpoint is of another network, or of another number of processes.
    """
    header, tensors = read(folder)
    if _generator_of(ppo.ranks.size - 1) not in tensors or _generator_of(ppo.ranks.size) in tensors:
        count = sum(name == "generator" or name.startswith("generator.") for name in tensors)
        raise CheckpointError(f"{folder}: a run of {count} processes cannot go on with {ppo.ranks.size}")
    try:
        ppo.policy.load_state_dict(_part(tensors, "policy."))
        ppo.average_network.load_state_dict(_part(tensors, "average."))
        _load_optimizer(ppo, _part(tensors, "optimizer."))
        ppo.generator.set_state(tensors[_generator_of(ppo.ranks.rank)])
        ppo.iteration, ppo.decisions = int(header["iteration"]), int(header["decisions"])
        ppo.num_timesteps, ppo._n_updates = int(header["num_timesteps"]), int(header["n_updates"])
        ppo.seconds |= {part: float(spent) for part, spent in header.get("seconds", {}).items()}
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{folder}: does not fit this run: {error}") from error


def read_policy(path: str | Path, family_name: str) -> NetworkPolicy:
    """The averaged network of a run or checkpoint folder, as a policy.

    Raises:
        CheckpointError: if it is torn, or of another family.
    """
    folder = newest(Path(path))
    header, tensors = read(folder)
    try:
        config = configuration(folder)
        if config["family"] != family_name:
            raise CheckpointError(f"{folder}: a policy of the family {config['family']}, not {family_name}")
        entry = family(family_name)
        options = entry.make_options(**config["options"])
        instances = entry.room("generator").training_instances(config["stages"][0], 1, 0, 0)
        network = GraphNetwork(entry.model(instances, options).spec, **header["network"])
        network.load_state_dict(_part(tensors, "average."))
    except (KeyError, RuntimeError, ValueError, TypeError, IndexError, OptionError, UnknownNameError) as error:
        raise CheckpointError(f"{folder}: cannot be used as a policy: {error}") from error
    return NetworkPolicy(network.requires_grad_(False), config["options"])


def _generations(run: Path) -> list[Path]:
    """Checkpoint folders, newest first."""
    return sorted((path for path in run.glob("checkpoint-*") if path.is_dir()), reverse=True)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _optimizer_tensors(ppo: PPO) -> dict[str, torch.Tensor]:
    """Adam's moments and step by parameter position; the learning rate follows from the step."""
    state = ppo.policy.optimizer.state_dict()["state"]
    return {f"{position}.{name}": tensor for position, entry in state.items() for name, tensor in entry.items()}


def _load_optimizer(ppo: PPO, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict] = {}
    for key, tensor in tensors.items():
        position, name = key.split(".", 1)
        state.setdefault(int(position), {})[name] = tensor
    ppo.policy.optimizer.load_state_dict({**ppo.policy.optimizer.state_dict(), "state": state})
