"""Detect the options of a node: start it with each option and look for an observable effect.

A node may ignore options that it does not know, so a reply to `init` alone shows nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..formats.folders import fresh
from ..running.cluster import NodeError
from ..running.fenced import FencedNode
from .challenge_cases import BEGIN, FIRST, init

Json = Any


@dataclass(frozen=True)
class Effect:
    """The observable effect of an option.

    `value` is the option's value, with PATH for a path on the disk.  The node gets `inputs`;
    `shown` decides from its messages and that path whether the option had its effect, and
    `otherwise` says what was observed instead.
    """

    value: Sequence[str]
    inputs: Sequence[Json]
    shown: Callable[[list[Json], Path], bool]
    otherwise: str


PATH = "PATH"


def probe(
    command: Sequence[str], folder: Path, seconds: float, without: Collection[str] = ()
) -> dict[str, str]:
    """Return each option with "" if the node takes it, or the reason why it does not.

    Options in `without` are not tried.
    """
    fresh(folder)
    return {
        option: "not tried" if option in without else _refusal(option, command, folder, seconds)
        for option in EFFECTS
    }


def _refusal(option: str, command: Sequence[str], folder: Path, seconds: float) -> str:
    effect, place = EFFECTS[option], folder / option.lstrip("-")
    given = [option, *(str(place) if text is PATH else text for text in effect.value)]
    node = FencedNode("n1", [*command, *given], folder / f"{place.name}.stderr", seconds)
    with closing(node):
        try:
            sent = [message for line in effect.inputs for message in node.step(line)["output"]]
        except NodeError as error:
            reason = " / ".join(line.strip() for line in str(error).splitlines())
            return f"with {option} {reason}"
        return "" if effect.shown(sent, place) else effect.otherwise


def _between(kind: str, **fields: Json) -> Json:
    return {"src": "n2", "dest": "n1", "body": {"type": kind, **fields}}


ALONE, AMONG_THREE = json.loads(BEGIN), json.loads(init("n1", "n2", "n3"))
REQUEST = json.loads(FIRST[0])
TWO_DECISIONS = [_between("decided", slot=slot, value="v") for slot in (1, 2)]


def _sends_more_than_init_ok(sent: list[Json], place: Path) -> bool:
    return len(sent) > 1


def _sends_one_decision(sent: list[Json], place: Path) -> bool:
    match sent[-1]["body"]:
        case {"type": "learned", "decided": [_], "more": True}:
            return True
    return False


def has_written(place: Path) -> bool:
    """Return whether there is something in a file or a folder."""
    return any(place.iterdir()) if place.is_dir() else place.exists() and place.stat().st_size > 0


def _has_written(sent: list[Json], place: Path) -> bool:
    return has_written(place)


def _replies(sent: list[Json], place: Path) -> bool:
    return True


EFFECTS = {
    "--manual-clock": Effect(
        (),
        (AMONG_THREE, "timeout", "inquire"),
        _sends_more_than_init_ok,
        'it sends nothing for the lines "timeout" and "inquire"',
    ),
    "--batch": Effect(
        ("1",),
        (AMONG_THREE, *TWO_DECISIONS, _between("learn", known=[])),
        _sends_one_decision,
        "with --batch 1 it does not send one decision at a time",
    ),
    "--data": Effect(
        (PATH,),
        (ALONE, REQUEST),
        _has_written,
        "with --data DIR it replies and writes nothing into DIR",
    ),
    "--log": Effect(
        (PATH,),
        (ALONE, REQUEST),
        _has_written,
        "with --log FILE it replies and writes nothing into FILE",
    ),
    "--seed": Effect(("1",), (AMONG_THREE,), _replies, ""),
}
