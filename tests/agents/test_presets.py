"""Presets: every name in them means something, and what is judged is never trained on."""

import json
from functools import cache

import pytest

from dispatchgym.agents.gnn import GraphNetwork
from dispatchgym.agents.presets import DEFAULT, PRESETS, preset
from dispatchgym.agents.rollout import Stage
from dispatchgym.envs.core import registry
from dispatchgym.envs.core.errors import UnknownNameError
from dispatchgym.envs.core.solvers import Exact, Limits, applies, is_exact, resolve, rules_of

ALL = [(family, name) for family, presets in PRESETS.items() for name in presets]


def test_every_family_has_presets():
    assert set(PRESETS) == set(DEFAULT) == {family.name for family in registry.families()}
    for family, name in DEFAULT.items():
        assert name in PRESETS[family]
        assert "smoke" in PRESETS[family]


@pytest.mark.parametrize(("family", "name"), ALL)
def test_every_name_means_something(family, name):
    entry, found = registry.family(family), preset(family, name)
    assert found.doc and "\n" not in found.doc
    assert found.timesteps > 0 and found.groups >= 1 and found.group >= 2 and found.samples >= 1
    options = entry.make_options(**found.options)
    for stage in found.stages:
        first = entry.room("generator").training_instances(stage, 1, 0, 0)
        GraphNetwork(entry.model(first, options).spec, **found.network)
    for rule in found.rules:
        assert not is_exact(resolve(rule, family))
    if found.reference:
        assert found.reference in found.rules
    else:
        solver, seconds = found.exact
        assert isinstance(resolve(solver, family), Exact) and seconds > 0
    json.dumps([found.options, found.network, found.ppo])


@cache
def digests(family: str, names: tuple[str, ...]) -> list[str]:
    return [instance.digest for instance in registry.instances(list(names), family)]


@pytest.mark.parametrize(("family", "name"), ALL)
def test_it_is_judged_on_instances_that_exist_and_are_never_trained_on(family, name):
    found = preset(family, name)
    judged = set(digests(family, tuple(found.watched)))
    assert len(digests(family, tuple(found.watched))) >= 10
    for title, names in found.held_out.items():
        group = digests(family, tuple(names))
        assert title and group and len(set(group)) == len(group)
        judged |= set(group)
    options = registry.family(family).make_options(**found.options)
    stage = Stage(family, found.stages[0], 2, 2, options, 0, "cpu")
    for preset_name in found.stages[:2]:
        for part in range(2):
            assert not judged & {i.digest for i in stage.draw(preset_name, 4, 0, part)}


def test_rules_of_the_comparison_hold_the_strongest():
    """Beating a list of weak rules would prove nothing."""
    for family, name in ALL:
        entry, found = registry.family(family), preset(family, name)
        instances = registry.instances(found.watched, family)[:1]
        limits = Limits(options=found.world(entry))
        rules = {rule for rule in rules_of(entry) if applies(entry.policies[rule], instances, limits)}
        assert rules == set(found.rules)


def test_an_unknown_preset_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown job_shop preset 'huge'; known: .*main.*smoke"):
        preset("job_shop", "huge")
    with pytest.raises(UnknownNameError, match="unknown"):
        preset("flow_shop", "main")
