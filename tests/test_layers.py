"""The arrows of the design: who may import whom, and what appears nowhere."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OUTSIDE = {"tests", "benchmarks", "build", "runs", "dist"}
CORE, GYMNASIUM_IN_CORE = "envs/core/", {"envs/core/env.py", "envs/core/vector_env.py", "envs/core/spaces.py"}
# Names that run code from data, and modules whose files do.
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib"}


@cache
def sources() -> dict[str, ast.Module]:
    """Every file of the package, by its path from the root, parsed."""
    files = [p for p in ROOT.rglob("*.py") if not {p.relative_to(ROOT).parts[0]} & OUTSIDE]
    files = [p for p in files if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)]
    return {p.relative_to(ROOT).as_posix(): ast.parse(p.read_text("utf-8")) for p in files}


# What the core finds by its name at run time, since it stands above: the catalogue of names, the network in a folder.
BY_NAME = {("envs/core/registry.py", "instances.catalogue"), ("envs/core/solvers.py", "agents.policy")}


@cache
def imports(path: str) -> frozenset[str]:
    """What a file imports, as dotted names; its own package's as paths from the root, such as ``envs.core.rng``."""
    package = path.split("/")[:-1]
    found = set()
    for node in ast.walk(sources()[path]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{stem}.{alias.name}".lstrip(".") for alias in node.names} | ({stem} - {""})
    found |= {
        node.args[0].value
        for node in ast.walk(sources()[path])
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module"
        and node.args and isinstance(node.args[0], ast.Constant)
    }  # fmt: skip
    found = {name.removeprefix("dispatchgym.") for name in found}
    return frozenset(name for name in found if (path, name) not in BY_NAME)


def uses(path: str, *modules: str) -> bool:
    return any(name == module or name.startswith(module + ".") for name in imports(path) for module in modules)


def families() -> list[str]:
    return sorted(
        {path.split("/")[1] for path in sources() if path.startswith("envs/") and path.count("/") == 2} - {"core"}
    )


def test_there_is_something_to_read():
    assert {"__init__.py", "envs/core/engine.py", "instances/catalogue.py", "baselines/job_shop.py"} <= set(sources())
    assert {"job_shop", "soc", "vm", "llm", "flexible_job_shop"} <= set(families()) and uses(
        "envs/job_shop/model.py", "envs.core.engine"
    )
    assert uses("envs/core/env.py", "gymnasium") and uses("envs/core/engine.py", "warp", "torch")


@pytest.mark.parametrize("path", sorted(sources()))
def test_arrows_run_one_way(path):
    """envs.core <- envs.<family> <- instances <- baselines | agents <- train | evaluate."""
    layers = [
        ["envs.core"],
        [f"envs.{family}" for family in families()],
        ["instances"],
        ["baselines", "agents"],
        ["train", "evaluate"],
    ]
    here = next(
        (k for k, names in enumerate(layers) for name in names if path.replace("/", ".").startswith(name + ".")), None
    )
    if here is None:
        return  # the root and envs/__init__.py see everything
    for above in layers[here + 1 :]:
        assert not uses(path, *above), f"{path} imports {above}"
    if path.startswith("baselines/"):
        assert not uses(path, "agents"), f"{path} imports agents"


@pytest.mark.parametrize(
    "path", [path for path in sorted(sources()) if path.startswith("envs/") and path.count("/") == 2]
)
def test_families_never_import_each_other(path):
    own = path.split("/")[1]
    others = [f"envs.{family}" for family in families() if family != own]
    assert not others or not uses(path, *others)


@pytest.mark.parametrize("path", [path for path in sorted(sources()) if path.endswith("/validator.py")])
def test_validators_share_no_code_with_simulators(path):
    here = path.rsplit("/", 1)[0].replace("/", ".")
    assert not uses(path, "warp", "torch", *(f"{here}.{room}" for room in ("simulator", "observe", "model", "env")))


@pytest.mark.parametrize("path", sorted(sources()))
def test_libraries_stay_in_their_rooms(path):
    name = path.rsplit("/", 1)[-1]
    if uses(path, "gymnasium"):
        assert path in GYMNASIUM_IN_CORE | {"envs/__init__.py"} or name == "env.py" or path.startswith("agents/")
    if uses(path, "torch.nn", "torch_geometric"):
        assert path.startswith("agents/")
    if uses(path, "stable_baselines3"):
        assert path.startswith(("agents/", "train.py", "evaluate.py"))
    if uses(path, "warp"):
        assert path.startswith(("envs/", "agents/")) and (
            path.startswith(CORE) or name.startswith(("simulator", "observe"))
        )
    if uses(path, "matplotlib"):
        assert name.startswith(("render", "draw")) or path.startswith(
            (f"{CORE}gantt.py", "agents/", "evaluate", "train")
        )


def is_kernel(node: ast.AST) -> bool:
    """Whether a decorator or call is wp.kernel or wp.func."""
    node = node.func if isinstance(node, ast.Call) else node
    return (
        isinstance(node, ast.Attribute)
        and node.attr in ("kernel", "func", "func_native")
        and getattr(node.value, "id", "") in ("wp", "warp")
    )


@pytest.mark.parametrize("path", sorted(sources()))
def test_kernels_live_in_simulators_and_observations_only(path):
    kernels = [
        node for node in ast.walk(sources()[path]) if isinstance(node, (ast.Attribute, ast.Call)) and is_kernel(node)
    ]
    name = path.rsplit("/", 1)[-1]
    if kernels:
        allowed = name.startswith(("simulator", "observe")) and path.startswith("envs/") and not path.startswith(CORE)
        shared = ("envs/core/engine.py", "envs/core/rng.py", "envs/core/features.py")
        assert allowed or path in shared, f"{path}, line {kernels[0].lineno}"


def test_kernels_are_found():
    with_kernels = [
        p for p in sources() if any(is_kernel(n) for n in ast.walk(sources()[p]) if isinstance(n, ast.Attribute))
    ]
    simulators = {f"envs/{family}/{room}.py" for family in families() for room in ("simulator", "observe")}
    assert {"envs/core/engine.py", "envs/core/rng.py"} | simulators <= set(with_kernels)


def dangers(tree: ast.Module) -> list[str]:
    """Everything in a file that could run code from data: calls, imports, attributes and keyword arguments."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in FORBIDDEN_NAMES:
            found.append(f"line {node.lineno}: {node.id}")
        if (
            isinstance(node, ast.Attribute)
            and getattr(node.value, "id", "") == "torch"
            and node.attr in ("load", "save")
        ):
            found.append(f"line {node.lineno}: torch.{node.attr}")
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [f"line {node.lineno}: {name}" for name in names if name.split(".")[0] in FORBIDDEN_MODULES]
            found += [
                f"line {node.lineno}: torch.{n}" for n in names[:-1] if names[-1] == "torch" and n in ("load", "save")
            ]
        if isinstance(node, ast.keyword) and node.arg in ("allow_pickle", "weights_only", "shell"):
            found.append(f"line {node.value.lineno}: {node.arg}")
    return found


@pytest.mark.parametrize("path", sorted(sources()))
def test_nothing_runs_code_from_data(path):
    assert dangers(sources()[path]) == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from pickle import loads", "import os, cloudpickle.x", "eval('1')", "f = exec",
        "torch.load(p)",
        "from torch import load", "np.load(p, allow_pickle=True)", "load(p, weights_only=False)", "run(x, shell=True)",
    ],
)  # fmt: skip
def test_what_runs_code_from_data_would_be_found(text):
    assert dangers(ast.parse(text))
    assert not dangers(ast.parse("model.eval()\nnp.load(p)\nre.compile(x)\nload(p)"))


@pytest.mark.parametrize("path", sorted(sources()))
def test_rooms_are_small(path):
    assert len((ROOT / path).read_text("utf-8").splitlines()) <= 400


def test_every_public_thing_says_what_it_is():
    silent = []
    for path, tree in sources().items():
        nodes = [tree] if tree.body else []
        nodes += [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")]
        silent += [f"{path}: {getattr(n, 'name', 'the file')}" for n in nodes if not ast.get_docstring(n)]
    assert silent == []


@pytest.mark.parametrize(
    "statement, absent",
    [
        ("import dispatchgym", "torch warp matplotlib ortools stable_baselines3 torch_geometric scipy"),
        ("import dispatchgym.instances", "torch warp matplotlib ortools"),
        ("import dispatchgym; dispatchgym.load('ft06')", "torch warp matplotlib ortools"),
        ("import dispatchgym.envs.job_shop.validator", "torch warp matplotlib ortools"),
        ("import dispatchgym.envs.soc.validator", "torch warp matplotlib ortools"),
        ("import dispatchgym.envs.soc.options", "torch warp matplotlib ortools"),
        ("import dispatchgym; dispatchgym.load('topcuoglu', 'soc')", "torch warp matplotlib ortools scipy"),
        ("import dispatchgym.envs.vm.validator", "torch warp matplotlib ortools"),
        ("import dispatchgym.envs.vm.options", "torch warp matplotlib ortools"),
        ("import dispatchgym; dispatchgym.load('plateau', 'vm')", "torch warp matplotlib ortools scipy"),
        ("import dispatchgym.envs.flexible_job_shop.validator", "torch warp matplotlib ortools"),
        ("import dispatchgym.envs.flexible_job_shop.options", "torch warp matplotlib ortools"),
        (
            "import dispatchgym; dispatchgym.load('workshop', 'flexible_job_shop')",
            "torch warp matplotlib ortools scipy",
        ),
        ("import dispatchgym.envs.llm.validator", "torch warp matplotlib ortools"),
        ("import dispatchgym.envs.llm.options", "torch warp matplotlib ortools"),
        ("import dispatchgym; dispatchgym.load('hurry', 'llm')", "torch warp matplotlib ortools scipy"),
        (
            "import dispatchgym, gymnasium; gymnasium.make('dispatchgym/JobShop-v0')",
            "matplotlib ortools stable_baselines3",
        ),
    ],
)
def test_imports_are_light(statement, absent):
    code = f"{statement}\nimport sys\nprint(*({set(absent.split())!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_the_environment_is_found_without_an_import():
    code = (
        "import gymnasium; print(gymnasium.make('dispatchgym:dispatchgym/JobShop-v0').reset(seed=0)[1]['makespan'] > 0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "True"
