"""The manifest, the configurations and the tables of spec/README.md say the same.

What the models find is for `make check` to see.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.models import MODELS, load

SPEC = MODELS.parent
ALL = load()
PROPERTIES = {
    *("TypeOK", "Agreement", "Validity", "AcceptIsBacked", "OneValuePerBallot"),
    *("DecidedIsChosen", "ReplyIsTrue", "LogIsTrue", "SkipIsTrue", "DecidedStays"),
    "PromisedGrows",
}


def checked(config: Path) -> set[str]:
    """The invariants and properties that a configuration lists."""
    lines = re.findall(r"(?m)^(?:INVARIANTS?|PROPERT(?:Y|IES))\s+(.*)$", config.read_text("utf-8"))
    return {name for line in lines for name in line.split()}


def rows(readme: str) -> dict[str, str]:
    """The rows of the tables of models, by the model's name."""
    return dict(re.findall(r"(?m)^\| `([\w-]+)` \| (.*) \|$", readme))


def test_every_configuration_is_a_model() -> None:
    assert sorted(path.name for path in MODELS.glob("*.cfg")) == sorted(
        model.config.name for model in ALL.values()
    )


def test_the_readme_is_current() -> None:
    expected = {}
    for model in ALL.values():
        cells = [f"`{model.violates}`"] if model.violates else []
        cells += [f"{model.states:,}"] if model.states else []
        expected[model.name] = " | ".join([*cells, model.purpose])
    assert rows((SPEC / "README.md").read_text("utf-8")) == expected


@pytest.mark.parametrize("model", [m for m in ALL.values() if m.violates], ids=lambda m: m.name)
def test_a_model_that_must_be_violated_lists_what_violates_it_alone(model) -> None:
    assert checked(model.config) == {model.violates}


def test_main_checks_everything() -> None:
    assert checked(ALL["main"].config) == PROPERTIES


def test_every_property_catches_some_bug() -> None:
    caught = {model.violates for model in ALL.values() if model.expect == "breaks"}
    # A broken type has no scenario of its own: it is a slip in the specification.
    assert caught == PROPERTIES - {"TypeOK"}


def test_a_broken_twin_is_one_override() -> None:
    spec = (SPEC / "MultiPaxos.tla").read_text("utf-8")
    operators = set(re.findall(r"(?m)^(\w+)(?:\([^)]*\))? ==", spec))
    for model in ALL.values():
        overridden = set(re.findall(r"(\w+)\s*<-", model.config.read_text("utf-8"))) & operators
        assert len(overridden) == (model.expect == "breaks"), model.name
