"""What models leave out leaves nothing out: with and without it, nodes do the same.

Two searches are equal if they have the same transitions of a node's state machine: state, input,
action and output.
"""

from __future__ import annotations

import json
from typing import Any

from conformance.golden import generate
from conformance.models import manifest
from conformance.models.manifest import Model
from conformance.tlaplus import tlc, values
from conformance.tlaplus.config import without


def ordered(value: Any) -> Any:
    """A value with its fields and elements in order, for TLC prints them in one of its own."""
    if isinstance(value, dict):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [ordered(item) for item in value]
    return value


def searched(model: Model, config: str) -> tuple[tlc.Outcome, set[str]]:
    """What a search finds, and the local transitions that it comes by."""
    outcome, printed = generate.local_transitions(model, config)
    return outcome, {values.text(ordered(values.parse(json.loads(line)))) for line in printed}


def test_removing_dead_messages_keeps_all_transitions() -> None:
    plain, reduced = (manifest.get(name) for name in ("unreduced", "reduced"))
    everything, every = searched(plain, plain.text())
    less, same = searched(reduced, reduced.text())
    assert same == every and len(every) > 100
    assert less.distinct < everything.distinct / 5


def test_view_without_last_record_keeps_all_transitions() -> None:
    model = manifest.get("returns")
    viewed, same = searched(model, model.text())
    plain, every = searched(model, without(model.text(), "VIEW"))
    assert same == every and len(every) > 100
    assert viewed.distinct < plain.distinct


def test_unsound_reduction_is_found() -> None:
    """Rejections are not dead, so to forget them loses what a node does when it gets one."""
    reduced, broken = (manifest.get(name) for name in ("reduced", "broken-dead"))
    wrong = reduced.text().replace("VIEW", "CONSTANT DeadTo <- TakesRejectionsForDead\nVIEW")
    _, every = searched(reduced, reduced.text())
    _, less = searched(broken, without(wrong, "PROPERTY"))
    assert less < every
