"""The pages tell the truth: their blocks run, their command lines parse, their tables are those of the code."""

import re
import shlex
import sys
import tomllib
from pathlib import Path

import gymnasium
import pytest

import dispatchgym
from dispatchgym import evaluate, train
from dispatchgym.agents.presets import PRESETS
from dispatchgym.agents.shipped import names
from dispatchgym.envs.core import registry
from dispatchgym.envs.core.command import given_options, parse
from dispatchgym.instances.catalogue import presets

ROOT = Path(dispatchgym.__file__).parent
FAMILY_PAGES = sorted(ROOT.glob("envs/*/README.md"))
PAGES = [ROOT / "README.md", *FAMILY_PAGES]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PARTS = {
    "work": "work", "resource": "resource", "context": "context", "assignment_attr": "assignment",
    "candidate_attr": "candidate", "precedence_attr": "precedence",
}  # fmt: skip


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Line number and content of every fenced block of a language."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [(text.count("\n", 0, match.start()) + 1, match[1]) for match in found]


def every(language: str):
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}:{line}")
        for page in PAGES
        for line, text in blocks(page, language)
    ]


def commands() -> list:
    """Every command of every bash block and of the two command lines' own help, each on its own."""
    found = [(f"{page.relative_to(ROOT)}:{line}", text) for page in PAGES for line, text in blocks(page, "bash")]
    for module in (train, evaluate):
        examples = [line for line in module.__doc__.splitlines() if line.startswith(("python ", "torchrun "))]
        found.append((f"{module.__name__}.__doc__", "\n".join(re.split(r"\s{3,}", line)[0] for line in examples)))
    return [
        pytest.param(command.strip(), id=f"{where} {command.strip()}")
        for where, text in found
        for line in text.splitlines()
        for command in line.partition("  #")[0].split("&&")
        if command.strip()
    ]


def test_pages_have_blocks():
    assert blocks(PAGES[0], "bash"), "README.md shows no command"
    assert len(FAMILY_PAGES) == len(registry.families())
    for page in PAGES:
        assert blocks(page, "python"), f"{page} shows no Python"
        assert page.read_text(encoding="utf-8").count("```") % 2 == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_of_the_report_are_those_of_the_report(page):
    marks = re.findall(
        r"^<!-- written by benchmarks/report.py -->\n(.*?)^<!-- to here -->$", page.read_text("utf-8"), re.S | re.M
    )
    assert len(marks) == 1
    rows = [line for line in marks[0].splitlines() if line.startswith("|")]
    report = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert len(rows) > 2 and set(rows) <= set(report.splitlines())
    assert marks[0].split("`python benchmarks")[0] in report  # and they are explained in the same words


@pytest.mark.parametrize("text", every("python"))
def test_python_blocks_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "page", "exec"), {"__name__": "page"})


@pytest.mark.parametrize("command", commands())
def test_commands_mean_something(command, monkeypatch):
    words = shlex.split(command)
    if words[:2] == ["torchrun", "--nproc-per-node"]:
        words = ["python", *words[3:]]
    if words[:2] == ["pip", "install"]:
        assert words[2:3] == ["-e"] and re.fullmatch(r"\.(\[[\w,-]+\])?", words[3]) and len(words) == 4
        for extra in re.findall(r"[\w-]+", words[3]):
            assert extra in PROJECT["optional-dependencies"]
    elif words[0] in ("pytest", "tensorboard"):
        wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
        assert any(requirement.startswith(words[0]) for requirement in wanted)
    elif words[0] == "python" and "benchmarks" in words[1]:
        assert (ROOT / words[1]).is_file()
    else:
        assert words[0] == "python" and words[1] in ("train.py", "evaluate.py"), "not a command this test knows"
        monkeypatch.setattr(sys, "argv", words[1:])
        check_train(words) if words[1] == "train.py" else check_evaluate()


def check_train(words: list[str]) -> None:
    if words[-1] == "--help":
        return
    entry, arguments = parse(train.Arguments, "train.py", "Text.", "", default="job-shop")
    if arguments.resume:
        arguments.check_alone()
    train.configuration(entry, arguments)
    assert not arguments.resume or arguments.resume.startswith(f"runs/{entry.command}-")


def check_evaluate() -> None:
    entry, arguments = parse(evaluate.Arguments, "evaluate.py", "Text.", "")
    entry.make_options(**given_options(arguments, entry))
    for policy in arguments.policies:
        trained = re.fullmatch(rf"runs/{entry.command}-(.+)-\d+", policy)
        shipped = policy == "pretrained" or policy.removeprefix("pretrained/") in names(entry.name)
        assert trained[1] in PRESETS[entry.name] if trained else shipped or policy in entry.policies
    for name in arguments.instances:
        assert name == "my_shop.txt" or registry.instances(name, entry.name)
    if arguments.headroom:
        assert registry.instances(f"{arguments.headroom.partition(':')[0]}:0", entry.name)


RUN = [command for command in commands() if re.match(r"python evaluate.py(?!.*(runs/|\.txt))", command.values[0])]


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN)
def test_evaluate_commands_run(command, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(command)[1:])
    with pytest.raises(SystemExit) as caught:
        evaluate.main()
    assert caught.value.code == 0 and capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for name in re.findall(r"`((?:tests|envs|agents|instances|baselines|benchmarks)/[\w/.-]+)`", text):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_environments_exist(page):
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"dispatchgym/\w+-v\d+", text))
    assert named and named <= set(gymnasium.registry)


def tables(page: Path) -> dict[tuple[str, str], list[list[str]]]:
    """Feature tables by (observation, key), as rows of cells."""
    found, observation, key = {}, "", ""
    for line in page.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r'#+ .*`(?:observation|moves)="(\w+)"`', line):
            observation = heading[1]
        if title := re.match(r"\*\*.+\*\* \(`(\w+)`\)", line):
            key = title[1]
        if re.match(r"\| \d+ \| `", line):
            found.setdefault((observation, key), []).append([cell.strip() for cell in line.strip("| \n").split(" | ")])
    return found


def specs(entry):
    """The specification of every form of the observation."""
    room = entry.room("options")
    option = getattr(room, "SHAPED_BY", "observation")
    forms = getattr(room, f"{option.upper()}S" if option == "observation" else option.upper(), ("",))
    first = entry.room("generator").training_instances(presets(entry.name)[0], 1, 0, 0)
    given = {form: {option: form} if form else {} for form in forms}
    return {form: entry.model(first, entry.make_options(**options)).spec for form, options in given.items()}


@pytest.mark.parametrize("entry", registry.families(), ids=lambda entry: entry.name)
def test_feature_tables_are_those_of_the_code(entry):
    shown = tables(ROOT / "envs" / entry.name / "README.md")
    described = {}
    for form, spec in specs(entry).items():
        for key, part in PARTS.items():
            features = getattr(spec, part)
            rows = [[str(n), f"`{f.name}`", f.doc, f"{f.low:g} .. {f.high:g}"] for n, f in enumerate(features)]
            if (form, key) in shown:
                assert shown.pop((form, key)) == rows
                described[key, features] = True
            else:
                assert not features or (key, features) in described, f"{key} of {form!r} is not described"
    assert not shown, f"tables of what there is not: {list(shown)}"


def test_known_answers_of_the_job_shop_are_right():
    text = (ROOT / "envs/job_shop/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| \| ([\w/]+) \| (\d+) \|$", text, re.MULTILINE)
    assert len(rows) >= 4
    shop = dispatchgym.load("ta01")
    for name, optimum, rule, makespan in rows:
        known = registry.bounds(dispatchgym.load(name))
        assert known.lower == known.upper == int(optimum)
        assert dispatchgym.solve(shop, rule.lower()).metrics()["makespan"] == int(makespan)
