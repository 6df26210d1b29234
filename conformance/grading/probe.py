"""Which options does a node take?  Starts it with each one and looks for a sign that it does.

A node that looks at no option at all answers `init` whatever it is given, so that alone is no sign.
What an option is good for, and what is lost without it, is told elsewhere.
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
from .challenge import BEGIN, FIRST, init

Json = Any


@dataclass(frozen=True)
class Sign:
    """What a node is given besides an option, and what then shows that it takes it.

    `value` is what the option is given, IT standing for a place on the disk; `shown` is asked with
    what the node said and with that place, and `otherwise` says what was seen instead.
    """

    value: Sequence[str]
    inputs: Sequence[Json]
    shown: Callable[[list[Json], Path], bool]
    otherwise: str


IT = "IT"


def probe(
    command: Sequence[str], folder: Path, seconds: float, without: Collection[str] = ()
) -> dict[str, str]:
    """Each option with "" if the node takes it, or with the reason why it does not.

    Those named in `without` are not tried.
    """
    fresh(folder)
    return {
        option: "not tried" if option in without else _refusal(option, command, folder, seconds)
        for option in SIGNS
    }


def _refusal(option: str, command: Sequence[str], folder: Path, seconds: float) -> str:
    sign, place = SIGNS[option], folder / option.lstrip("-")
    given = [option, *(str(place) if text is IT else text for text in sign.value)]
    node = FencedNode("n1", [*command, *given], folder / f"{place.name}.stderr", seconds)
    with closing(node):
        try:
            said = [message for line in sign.inputs for message in node.step(line)["output"]]
        except NodeError as error:
            told = " / ".join(line.strip() for line in str(error).splitlines())
            return f"with {option} {told}"
        return "" if sign.shown(said, place) else sign.otherwise


def _between(kind: str, **fields: Json) -> Json:
    return {"src": "n2", "dest": "n1", "body": {"type": kind, **fields}}


ALONE, AMONG_THREE = json.loads(BEGIN), json.loads(init("n1", "n2", "n3"))
REQUEST = json.loads(FIRST[0])
TWO_DECISIONS = [_between("decided", slot=slot, value="v") for slot in (1, 2)]


def _says_more_than_init_ok(said: list[Json], place: Path) -> bool:
    return len(said) > 1


def _tells_one_at_a_time(said: list[Json], place: Path) -> bool:
    match said[-1]["body"]:
        case {"type": "learned", "decided": [_], "more": True}:
            return True
    return False


def _has_written(said: list[Json], place: Path) -> bool:
    return any(place.iterdir()) if place.is_dir() else place.exists() and place.stat().st_size > 0


def _answers(said: list[Json], place: Path) -> bool:
    return True


SIGNS = {
    "--manual-clock": Sign(
        (),
        (AMONG_THREE, "timeout", "inquire"),
        _says_more_than_init_ok,
        'the lines "timeout" and "inquire" make it say nothing',
    ),
    "--batch": Sign(
        ("1",),
        (AMONG_THREE, *TWO_DECISIONS, _between("learn", known=[])),
        _tells_one_at_a_time,
        "with --batch 1 it does not tell one decision at a time",
    ),
    "--data": Sign(
        (IT,),
        (ALONE, REQUEST),
        _has_written,
        "with --data DIR it answers and leaves nothing in DIR",
    ),
    "--log": Sign(
        (IT,),
        (ALONE, REQUEST),
        _has_written,
        "with --log FILE it answers and leaves nothing in FILE",
    ),
    "--seed": Sign(("1",), (AMONG_THREE,), _answers, ""),
}
