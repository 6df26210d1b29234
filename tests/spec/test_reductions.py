"""What models leave out leaves nothing out: with and without it, nodes do the same.

Two searches are equal if they have the same transitions of a node's state machine: state, input,
action and output.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

from conformance.golden import generate
from conformance.models import manifest
from conformance.tlaplus import tlc, values
from conformance.tlaplus.config import without


def ordered(value: Any) -> Any:
    """A value with its fields and elements in order, for TLC prints them in one of its own."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [ordered(item) for item in value]
    return value


@cache
def searched(name: str, config: str | None = None) -> tuple[tlc.Outcome, set[str]]:
    """Return what a search of a model finds, and the local transitions in it.

    The search has no properties: `make check` has these.
    """
    # A search that is expected to be short starts sooner.
    model = replace(manifest.get(name), seconds=0.0)
    config = without(config or model.text(), "INVARIANTS", "PROPERTY", "PROPERTIES")
    outcome, printed = generate.local_transitions(model, config)
    return outcome, {values.text(ordered(values.parse(json.loads(line)))) for line in printed}


def test_removing_dead_messages_keeps_all_transitions() -> None:
    everything, every = searched("unreduced")
    less, same = searched("reduced")
    assert same == every and len(every) > 200
    assert less.distinct < everything.distinct / 5


def test_view_without_last_record_keeps_all_transitions() -> None:
    viewed, same = searched("returns")
    plain, every = searched("returns", without(manifest.get("returns").text(), "VIEW"))
    assert same == every and len(every) > 100
    assert viewed.distinct < plain.distinct


def test_unsound_reduction_is_found() -> None:
    """Rejections are not dead, so to forget them loses what a node does when it gets one."""
    right = manifest.get("reduced").text()
    wrong = right.replace("VIEW", "CONSTANT DeadTo <- TakesRejectionsForDead\nVIEW")
    _, every = searched("reduced")
    _, less = searched("broken-dead", wrong)
    assert less < every
