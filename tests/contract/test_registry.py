"""The registry: every family is complete, known to Gymnasium and covered by this contract."""

import dataclasses
import re

import gymnasium
import numpy as np
import pytest

from dispatchgym.envs.core.errors import OptionError, UnknownNameError
from dispatchgym.envs.core.graph import GraphSpec
from dispatchgym.envs.core.registry import families, family
from dispatchgym.instances.catalogue import bounds, load_many


def test_every_option_takes_every_value(contract_table):
    """Choices and flags through all that they accept, numbers through two values."""
    for entry in families():
        played = [dataclasses.asdict(entry.options(**setting.options)) for setting in contract_table[entry.name]]
        for option in dataclasses.fields(entry.options):
            with pytest.raises(OptionError) as refused:
                entry.options(**{option.name: "neither fish nor fowl"})
            listed = re.search(r"must be (?:one of )?([^()]+?), got", str(refused.value))
            words = set(re.split(", (?:or )?| or ", listed[1])) if listed else set()
            values = {str(row[option.name]) for row in played}
            known = {word for word in words if " " not in word}
            assert len(values) > 1 and known <= values, f"{entry.name} {option.name}: {known - values} left out"


def test_settings_with_streams_also_play_single_graphs(contract_table):
    streams = [setting for setting in contract_table["soc"] if not load_many(setting.instances[:1], "soc")[0].static]
    assert len(streams) > 5
    assert all(any(one.static for one in load_many(setting.instances, "soc")) for setting in streams)


def test_every_id_is_known_to_gymnasium(default):
    spec = gymnasium.spec(default.id)
    assert spec.entry_point and spec.vector_entry_point and default.id.startswith("dispatchgym/")


def test_the_small_instances_include_one_with_known_bounds(default):
    instances = load_many(default.instances, default.family)
    assert any(bounds(instance) for instance in instances)
    assert len({family(default.family).model.size_key(instance) for instance in instances}) > 1


@pytest.mark.parametrize(
    "room", ["instance", "generator", "simulator", "observe", "validator", "env", "render", "model"]
)
def test_every_family_has_the_same_rooms(default, room):
    assert family(default.family).room(room).__doc__


def test_every_model_says_what_the_core_asks(variant):
    entry = family(variant.family)
    instances = load_many(variant.instances, variant.family)
    model = entry.model(instances, entry.options(**variant.options))
    names = {field.name for field in model.program.fields}
    assert isinstance(model.spec, GraphSpec)
    assert set(model.columns) | set(model.outcome.values()) | set(model.schedule_fields) <= names
    assert model.objective in model.outcome and set(model.spec.boxes()) <= names
    assert all(field.doc for field in model.program.fields)
    features = [*model.spec.work, *model.spec.resource, *model.spec.context, *model.spec.assignment]
    features += [*model.spec.candidate, *model.spec.precedence]
    assert all(feature.name and feature.doc and feature.low < feature.high for feature in features)


def test_naive_rules_and_objectives_are_there(default, agree):
    entry = family(default.family)
    assert entry.naive in entry.policies
    env = default.make(instance=default.instances)
    _, info = env.reset(seed=0)
    assert env.instance.objective in env.schedule().metrics()
    while info["action_mask"].any():
        *_, info = env.step(int(np.flatnonzero(info["action_mask"])[-1]))
    assert agree(env.model, info[env.model.objective], env.schedule())


def test_unknown_families_are_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError) as caught:
        family("flow_shop")
    assert all(entry.name in str(caught.value) for entry in families())
    for entry in families():
        assert family(entry.command) is entry
