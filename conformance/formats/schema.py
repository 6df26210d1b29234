"""Check messages, log records, history entries, pinned and other results against the schemas.

This module and schemas/ define what is well formed.  The specification defines which messages may
be sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match, relevance
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

NAMES = ("messages", "record", "history", "votes", "pinned", "results")

LONGEST_REASON = 200
LONGEST_REMEMBERED = 2_000


class SchemaError(ValueError):
    """A message or a record is not what its schema describes."""


def check_record(record: Any) -> None:
    """Raise SchemaError unless this is a well-formed record of a message log."""
    check(record, "urn:multipaxos:schema:record")
    if is_refusal(record):
        _check_refusal(record)


def check_entry(entry: Any) -> None:
    """Raise SchemaError unless this is a well-formed entry of a history."""
    check(entry, "urn:multipaxos:schema:history")


def check_envelope(message: Any) -> None:
    """Raise SchemaError unless this has the texts `src` and `dest`: a message of any system."""
    check(message, "urn:multipaxos:schema:history#/$defs/any_message")


def check_reply(message: Any) -> None:
    """Raise SchemaError unless this is a well-formed reply of a history, of any system."""
    check(message, "urn:multipaxos:schema:history#/$defs/reply_message")


def check_pinned(results: Any) -> None:
    """Raise SchemaError unless these are well-formed pinned results."""
    check(results, "urn:multipaxos:schema:pinned")


def check_results(results: Any) -> None:
    """Raise SchemaError unless these are well-formed results of a command (--json)."""
    check(results, "urn:multipaxos:schema:results")


def check_sent(message: Any) -> None:
    """Raise SchemaError unless this is a well-formed message that a node may send."""
    check(message, "urn:multipaxos:schema:messages#/$defs/sent_message")


def check(instance: Any, reference: str) -> None:
    """Raise SchemaError unless the instance satisfies the schema or definition at this address."""
    text = json.dumps(instance)
    remembered = len(text) <= LONGEST_REMEMBERED
    (_check_once if remembered else _check_text)(text, reference)


def is_message(taken: Any) -> bool:
    """Return whether an input is a message; otherwise it is an event."""
    return isinstance(taken, dict) and "body" in taken


def is_refusal(record: dict[str, Any]) -> bool:
    """Return whether a well-formed record is a refused request, which is no step."""
    output = record["output"]
    return is_message(record["input"]) and len(output) == 1 and output[0]["body"]["type"] == "error"


def action(taken: Any) -> str | None:
    """Return the action for a message or event, by its name alone; None if it has no name."""
    match taken:
        case str(event) | {"event": str(event)}:
            return event.capitalize()
        case {"body": {"type": "init"}}:
            return "Init"
        case {"body": {"type": str(name)}}:
            return "Receive" + "".join(word.capitalize() for word in name.split("_"))
    return None


@cache
def fields(kind: str) -> tuple[str, ...]:
    """Return the fields of a message of this type, in the documented order."""
    return tuple(load("messages")["$defs"][kind]["properties"])


def load(name: str) -> dict[str, Any]:
    """Return a schema, one of NAMES."""
    path = files("conformance") / "schemas" / f"{name}.schema.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _check_text(text: str, reference: str) -> None:
    error = best_match(_validator_of(reference).iter_errors(json.loads(text)), key=_weight)
    if error is not None:
        raise SchemaError(f"{error.json_path}: {_shortened(error.message)}")


# Golden traces are paths through one graph, so the same lines occur many times: caching those that
# are well formed makes reading a hundred times as fast.
_check_once = lru_cache(maxsize=20_000)(_check_text)


def _weight(error: ValidationError) -> tuple[Any, ...]:
    """Return the rank of an error: a wrong shape explains a wrong order, not the other way."""
    return error.validator != "format", relevance(error)


def _check_refusal(record: dict[str, Any]) -> None:
    """Check that the addresses and numbers of a refusal match its request.

    JSON Schema cannot compare two places of a document, and the specification has no refusals.
    """
    node, request, [error] = record["node"], record["input"], record["output"]
    for place, found, expected in (
        ("input.dest", request["dest"], node),
        ("output[0].src", error["src"], node),
        ("output[0].dest", error["dest"], request["src"]),
        ("output[0].body.in_reply_to", error["body"]["in_reply_to"], request["body"]["msg_id"]),
    ):
        if found != expected:
            raise SchemaError(_shortened(f"$.{place}: {found!r} where {expected!r} was expected"))


def _shortened(reason: str) -> str:
    """Return both ends of a reason: either may name the error, and a value may be very long."""
    if len(reason) <= LONGEST_REASON:
        return reason
    half = LONGEST_REASON // 2
    return f"{reason[:half]} ... {reason[-half:]}"


# Other validators can use the schemas, too.  This one differs in four ways: 1.0 is not an integer,
# a format is an assertion, only the alternative that can hold is tried, and references are resolved
# once.


def _is_integer(_checker: Any, instance: Any) -> bool:
    return isinstance(instance, int) and not isinstance(instance, bool)


def _are_ranges(ranges: list[list[int]]) -> bool:
    return all(low <= high for low, high in ranges) and all(
        high + 1 < low for (_, high), (low, _) in pairwise(ranges)
    )


def _are_by_slot(entries: list[dict[str, Any]]) -> bool:
    return all(one["slot"] < next_["slot"] for one, next_ in pairwise(entries))


FORMATS: dict[str, Callable[[Any], bool]] = {"ranges": _are_ranges, "by-slot": _are_by_slot}


def _format(
    _validator: Validator, name: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    try:
        holds = FORMATS[name](instance)
    except (LookupError, TypeError, ValueError):
        # An instance of the wrong shape has no order; other keywords report what is wrong.
        return
    if not holds:
        yield ValidationError(f"{instance!r} is not in the order of the format {name!r}")


def _one_of(
    validator: Any, alternatives: list[dict[str, str]], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    """Yield what is wrong with an instance of one of several definitions.

    A definition is named for the only instances that it can describe: a body by its type, a record
    by its action.  So the name selects the one to try.
    """
    path: list[str] = []
    name: str | None = None
    match instance:
        case {"type": str(kind)}:
            path, subject, name = ["type"], kind, kind
        case {"input": subject}:
            path, name = ["input"], action(subject)
        case subject:
            pass
    named = {alternative["$ref"].rpartition("/")[2]: alternative for alternative in alternatives}
    if name in named:
        yield from validator.descend(instance, named[name])
    else:
        yield ValidationError(f"{subject!r} fits none of the definitions", path=path)


def _referred(
    _validator: Validator, reference: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    """Yield what is wrong with an instance of a referenced definition.

    The same message is in many records, so parts that are well formed are cached.
    """
    again = reference.startswith(_MESSAGES) and isinstance(instance, (dict, list))
    if not (again and _is_well_formed(json.dumps(instance), reference)):
        yield from _validator_of(reference).iter_errors(instance)


_MESSAGES = "urn:multipaxos:schema:messages#"


@lru_cache(maxsize=100_000)
def _is_well_formed(text: str, reference: str) -> bool:
    return _validator_of(reference).is_valid(json.loads(text))


# The types of jsonschema leave out `extend`, and `descend` of the classes that it returns.
_Checker: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={"format": _format, "oneOf": _one_of, "$ref": _referred},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


@cache
def _validator_of(reference: str) -> Validator:
    made: Validator = _Checker(_registry().resolver().lookup(reference).contents)
    return made


@cache
def _registry() -> Registry:
    return Registry().with_resources(map(_resource, NAMES)).crawl()


def _resource(name: str) -> tuple[str, Resource]:
    """Return a schema as a resource, with absolute references."""
    schema = load(name)
    text = json.dumps(schema).replace('"$ref": "#', f'"$ref": "{schema["$id"]}#')
    return schema["$id"], DRAFT202012.create_resource(json.loads(text))
