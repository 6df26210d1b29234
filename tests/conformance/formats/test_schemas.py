"""The schemas: what they accept, what they reject, and that they speak of the same messages and
actions as the specification.  That a node's output satisfies them is not shown here.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from conformance.formats.schema import (
    FORMATS,
    NAMES,
    SchemaError,
    action,
    check,
    check_record,
    check_sent,
    is_message,
    is_refusal,
    load,
)
from tests.support.paths import ROOT

SPEC = (ROOT / "spec" / "MultiPaxos.tla").read_text("utf-8")
SCHEMAS = {name: load(name) for name in NAMES}
MESSAGES = SCHEMAS["messages"]["$defs"]

REQUESTS = {
    "init": {"msg_id": 1, "node_id": "n1", "node_ids": ["n1", "n2", "n3"]},
    "multi_paxos_propose": {"msg_id": 2, "slot": 0, "value": None},
    "multi_paxos_log": {"msg_id": -3, "from": 7, "limit": 2},
}
REPLIES = {
    "init_ok": {"in_reply_to": 1, "msg_id": 0},
    "multi_paxos_propose_ok": {
        "in_reply_to": 2,
        "slot": 2**63 - 1,
        "phase1_skipped": False,
        "chosen": True,
        "value": {"set": [1.5, None]},
        "msg_id": 1,
    },
    "multi_paxos_log_ok": {
        "in_reply_to": 3,
        "log": [
            {"slot": 0, "value": False, "status": "chosen"},
            {"slot": 7, "value": "x", "status": "chosen"},
        ],
        "msg_id": 2,
    },
    "error": {"in_reply_to": 4, "code": 12, "text": "slot is missing", "msg_id": 3},
}
NODE_MESSAGES = {
    "prepare": {"ballot": 1, "known": [[0, 3], [5, 5]]},
    "promise": {
        "ballot": 4,
        "accepted": [{"slot": 4, "ballot": 1, "value": "x"}, {"slot": 6, "ballot": 2, "value": 0}],
        "known": [],
    },
    "accept": {"ballot": 1, "slot": 4, "value": []},
    "accepted": {"ballot": 1, "slot": 4},
    "rejected": {"promised": 5},
    "decided": {"slot": 4, "value": "x"},
    "poll": {"version": 2},
    "learn": {"known": [[4, 2**63 - 1]]},
    "learned": {
        "decided": [{"slot": 1, "value": "x"}, {"slot": 2, "value": {}}],
        "more": True,
        "version": 4,
    },
}
SENT = REPLIES | NODE_MESSAGES
BODIES = {name: {"type": name, **fields} for name, fields in (REQUESTS | SENT).items()}


FIELDS = [(name, field) for name, body in BODIES.items() for field in body]


def message(src: str, dest: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"src": src, "dest": dest, "body": body}


def step(taken: Any) -> dict[str, Any]:
    output = [message("n1", "n2", BODIES["learn"]), message("n1", "c1", BODIES["init_ok"])]
    return {"node": "n1", "input": taken, "output": output, "action": action(taken)}


STEPS = {
    record["action"]: record
    for record in [
        *(step(message("c1", "n1", BODIES[name])) for name in REQUESTS),
        *(step(message("n2", "n1", BODIES[name])) for name in NODE_MESSAGES),
        *(step(event) for event in ("timeout", "inquire", "expire", "crash", "restart")),
        step({"event": "repeat", "slots": [[1, 3], [7, 7]]}),
    ]
}
REFUSAL = {
    "node": "n1",
    "input": message("c1", "n1", {"type": "no_such", "msg_id": 4}),
    "output": [message("n1", "c1", BODIES["error"])],
    "action": "Refuse",
}
STATE = {
    **step(
        {
            "event": "state",
            "promised": 4,
            "accepted": [{"slot": 2, "ballot": 4, "value": "v"}],
            "decided": [{"slot": 1, "value": "w"}],
        }
    ),
    "output": [],
}
RECORDS = STEPS | {"Refuse": REFUSAL, "State": STATE}


def is_well_formed(name: str, body: Any) -> bool:
    """Whether the definition of this name describes the body."""
    try:
        check(body, f"urn:multipaxos:schema:messages#/$defs/{name}")
    except SchemaError:
        return False
    return True


def rejection(record: Any) -> str:
    with pytest.raises(SchemaError) as caught:
        check_record(record)
    return str(caught.value)


# The schemas themselves.


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_valid_under_the_metaschema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def subschemas(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield part
    if isinstance(part, (dict, list)):
        for child in part.values() if isinstance(part, dict) else part:
            yield from subschemas(child)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_refers_only_to_schemas_of_the_package(name: str) -> None:
    contents = [DRAFT202012.create_resource(each) for each in SCHEMAS.values()]
    resolver = (contents @ Registry()).resolver(SCHEMAS[name]["$id"])
    references = [part["$ref"] for part in subschemas(SCHEMAS[name]) if "$ref" in part]
    assert references
    for reference in references:
        assert resolver.lookup(reference).contents["description"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_definition_has_a_description(name: str) -> None:
    untold = [
        key
        for key, part in SCHEMAS[name]["$defs"].items()
        if not {"title", "description"} <= {*part}
    ]
    assert untold == []


FREE = {("multi_paxos_log", "from"), ("multi_paxos_log", "limit"), ("error", "text")}
"""What may be left out."""


def test_bodies_require_all_they_describe() -> None:
    """The order of the properties is that of the wire, so both lists are the same."""
    for name in BODIES:
        all_of_it = list(MESSAGES[name]["properties"])
        assert MESSAGES[name]["required"] == [key for key in all_of_it if (name, key) not in FREE]
        assert all_of_it == list(BODIES[name])


# The vocabulary of the specification.


def spec_fields(text: str) -> dict[str, set[str]]:
    """The fields of each message that a text in TLA+ builds, by its type."""
    fields = {}
    for found in re.finditer(r'\[type\s*\|->\s*"(\w+)"', text):
        depth, own = 0, ""
        for char in text[found.start() :]:
            depth += (char in "[(") - (char in "])")
            own += char if depth == 1 else ""
            if depth == 0:
                break
        fields[found[1]] = set(re.findall(r"(\w+)\s*\|->", own))
    return fields


def spec_types(text: str) -> set[str]:
    """The types of all messages that a text in TLA+ builds or receives."""
    return set(spec_fields(text)) | set(re.findall(r'Receives\(n, m, "(\w+)"\)', text))


def spec_actions(text: str) -> set[str]:
    """The actions that the next-state relation names."""
    _, _, named = text.partition("\nReceive(n, m) ==")
    return set(re.findall(r"\b([A-Z]\w*)\(n(?:, m)?\)", named.partition("\nSpec ==")[0]))


def test_types_are_those_of_the_specification() -> None:
    typed = {name for name, part in MESSAGES.items() if "type" in part.get("properties", {})}
    assert typed == set(BODIES)
    assert all(MESSAGES[name]["properties"]["type"] == {"const": name} for name in typed)
    # What the specification leaves to the process around a node.
    assert typed - {"init", "init_ok"} == spec_types(SPEC)


def test_fields_are_those_of_the_specification() -> None:
    for name, fields in spec_fields(SPEC).items():
        # msg_id numbers replies on the wire alone, and a text is for people.
        assert set(MESSAGES[name]["properties"]) - {"msg_id", "text"} == fields, name


def test_actions_are_those_of_the_specification() -> None:
    known = {part["$ref"].rpartition("/")[2] for part in SCHEMAS["record"]["else"]["oneOf"]}
    assert known == {*STEPS, "State"}
    assert known - {"Init", "State"} == spec_actions(SPEC)


def test_renamed_field_of_the_specification_is_found() -> None:
    altered = SPEC.replace('"learned"', '"taught"').replace("more |->", "rest |->")
    altered = altered.replace("\\/ ReceiveLearned(n, m)", "\\/ ReceiveTaught(n, m)")
    assert spec_types(altered) - spec_types(SPEC) == {"taught"}
    assert spec_fields(altered)["taught"] == {"type", "decided", "rest", "version"}
    assert spec_actions(altered) - spec_actions(SPEC) == {"ReceiveTaught"}


# Bodies.


@pytest.mark.parametrize("name", BODIES)
def test_example_is_accepted(name: str) -> None:
    assert is_well_formed(name, BODIES[name])


@pytest.mark.parametrize("name", SENT)
def test_messages_of_nodes_are_accepted(name: str) -> None:
    check_sent(message("n1", "n2", BODIES[name]))


@pytest.mark.parametrize("name", REQUESTS)
def test_nodes_send_no_requests(name: str) -> None:
    with pytest.raises(SchemaError, match=rf"^\$\.body\.type: '{name}' fits none"):
        check_sent(message("n1", "n2", BODIES[name]))


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_missing_field_or_wrong_type_is_rejected(name: str, field: str) -> None:
    body = BODIES[name]
    without = {key: body[key] for key in body if key != field}
    assert is_well_formed(name, without) == ((name, field) in FREE)
    any_value = {"no field": "is an object"}
    assert is_well_formed(name, {**body, field: any_value}) == (field == "value")


@pytest.mark.parametrize("name", BODIES)
def test_body_that_is_no_object_is_rejected(name: str) -> None:
    for body in (None, name, [name], 1):
        assert not is_well_formed(name, body)


@pytest.mark.parametrize("name", BODIES)
def test_only_requests_may_have_additional_fields(name: str) -> None:
    assert is_well_formed(name, {**BODIES[name], "more_than_that": 1}) == (name in REQUESTS)


NO_INTEGERS = [True, 1.0, 1.5, "1", None, [1]]
WITH_SLOT = [name for name in BODIES if "slot" in BODIES[name]]
WITH_BALLOT = [name for name in BODIES if "ballot" in BODIES[name]]
WITH_KNOWN = [name for name in BODIES if "known" in BODIES[name]]


@pytest.mark.parametrize("name", WITH_SLOT)
def test_slot_is_within_bounds(name: str) -> None:
    for slot in (0, 1, 2**63 - 1):
        assert is_well_formed(name, {**BODIES[name], "slot": slot})
    for slot in (-1, 2**63, 10**100, *NO_INTEGERS):
        assert not is_well_formed(name, {**BODIES[name], "slot": slot})


@pytest.mark.parametrize("name", WITH_BALLOT)
def test_ballot_is_within_bounds(name: str) -> None:
    assert is_well_formed(name, {**BODIES[name], "ballot": 1})
    for ballot in (0, -1, *NO_INTEGERS):
        assert not is_well_formed(name, {**BODIES[name], "ballot": ballot})


@pytest.mark.parametrize("name", WITH_KNOWN)
def test_ranges_are_ordered_pairs(name: str) -> None:
    for known in ([], [[0, 0]], [[0, 0], [2, 9]], [[0, 2**63 - 1]]):
        assert is_well_formed(name, {**BODIES[name], "known": known})
    shapeless = [{}, [1], ["ab"], [[]], [[1]], [[1, 2, 3]], [{"0": 1}], [[1, True]], [[0.0, 1]]]
    beyond = [[[-1, 0]], [[0, 2**63]]]
    disordered = [[[2, 1]], [[4, 5], [1, 2]], [[1, 3], [3, 5]], [[1, 2], [3, 4]], [[1, 1], [1, 1]]]
    for known in (*shapeless, *beyond, *disordered):
        assert not is_well_formed(name, {**BODIES[name], "known": known}), known


@pytest.mark.parametrize(
    ("name", "field"),
    [("promise", "accepted"), ("learned", "decided"), ("multi_paxos_log_ok", "log")],
)
def test_entries_have_slot_and_value(name: str, field: str) -> None:
    low, high = BODIES[name][field]
    for entries in ([], [low], [low, high]):
        assert is_well_formed(name, {**BODIES[name], field: entries})
    without = [{key: low[key] for key in low if key != missing} for missing in low]
    wrong = [{**low, "slot": slot} for slot in (-1, 2**63, *NO_INTEGERS)]
    for entry in (*without, *wrong, {**low, "extra": 1}, [1, 2], 5):
        assert not is_well_formed(name, {**BODIES[name], field: [entry]}), entry
    for entries in ([high, low], [low, low], {}):
        assert not is_well_formed(name, {**BODIES[name], field: entries})


@pytest.mark.parametrize(
    ("name", "field", "wrong"),
    [
        ("promise", "accepted", [{"slot": 1, "ballot": 0, "value": "x"}]),
        ("multi_paxos_log_ok", "log", [{"slot": 1, "value": "x", "status": "open"}]),
        ("multi_paxos_propose_ok", "phase1_skipped", 0),
        ("multi_paxos_propose_ok", "chosen", 1),
        ("learned", "more", 1),
        ("rejected", "promised", 0),
        ("error", "code", 1),
        ("error", "code", 12.0),
        ("error", "code", False),
        ("error", "text", 12),
        ("init_ok", "msg_id", -1),
        ("init_ok", "in_reply_to", 1.0),
        ("init", "node_ids", []),
        ("init", "node_ids", ["n1", "n1"]),
        ("init", "node_ids", ["n1", 2]),
        ("init", "msg_id", True),
    ],
)
def test_malformed_body_is_rejected(name: str, field: str, wrong: Any) -> None:
    assert not is_well_formed(name, {**BODIES[name], field: wrong})


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_come_in_an_envelope(name: str) -> None:
    body = {**BODIES[name], "input": "is what a client may call something, too"}
    assert is_well_formed("request_message", {**message("c1", "n1", body), "id": 5})
    assert not is_well_formed("request_message", message("c1", "n1", BODIES["prepare"]))


@pytest.mark.parametrize("code", [0, 10, 11, 12, 13, 14])
def test_error_has_a_defined_code(code: int) -> None:
    assert is_well_formed("error", {**BODIES["error"], "code": code})


@pytest.mark.parametrize(
    "altered",
    [
        {"src": 1},
        {"dest": None},
        {"body": "prepare"},
        {"body": {}},
        {"body": {"type": ["prepare"]}},
        {"id": 1},
    ],
)
def test_malformed_envelope_is_rejected(altered: dict[str, Any]) -> None:
    sent = message("n1", "n2", BODIES["prepare"])
    for wrong in ({**sent, **altered}, {key: sent[key] for key in sent if key not in altered}):
        if wrong != sent:
            with pytest.raises(SchemaError):
                check_sent(wrong)


def test_line_is_a_message_or_an_event() -> None:
    lines = ["crash", message("c1", "n1", BODIES["init"]), message("n1", "n2", BODIES["learn"])]
    for line in (*lines, message("n1", "c1", BODIES["error"])):
        check(line, "urn:multipaxos:schema:messages")
    for line in ("tick", None, 5, {}, message("c1", "n1", {"type": "tick"})):
        with pytest.raises(SchemaError):
            check(line, "urn:multipaxos:schema:messages")


# Records.


@pytest.mark.parametrize("name", RECORDS)
def test_record_with_its_action_or_none_is_accepted(name: str) -> None:
    record = RECORDS[name]
    assert record["action"] == name
    check_record(record)
    check_record({key: record[key] for key in record if key != "action"})
    assert is_refusal(record) == (name == "Refuse")


@pytest.mark.parametrize("name", RECORDS)
def test_action_of_another_record_is_rejected(name: str) -> None:
    for other in {*RECORDS, "receive_prepare", ""} - {name}:
        assert rejection({**RECORDS[name], "action": other}) == f"$.action: {name!r} was expected"


MESSAGE_FIELDS = [
    (name, field)
    for name, record in RECORDS.items()
    if is_message(record["input"])
    for field in (record["input"]["body"] if name != "Refuse" else ["msg_id"])
]


@pytest.mark.parametrize(("name", "field"), MESSAGE_FIELDS)
def test_record_of_a_malformed_message_is_rejected(name: str, field: str) -> None:
    record = copy.deepcopy(RECORDS[name])
    record["input"]["body"][field] = {"no field": "is this object"}
    if field != "value":
        assert rejection(record).startswith("$.input")
    del record["input"]["body"][field]
    if (record["input"]["body"]["type"] if field != "type" else "", field) not in FREE:
        assert rejection(record).startswith("$.input")


@pytest.mark.parametrize("name", RECORDS)
def test_record_with_missing_or_extra_field_is_rejected(name: str) -> None:
    record = RECORDS[name]
    for missing in ("node", "input", "output"):
        assert rejection({key: record[key] for key in record if key != missing})
    assert rejection({**record, "more": 1}).startswith("$: Additional properties")
    assert rejection({**record, "node": 1}).startswith("$.node: ")
    assert rejection([record]).startswith("$: ")


@pytest.mark.parametrize("key", ["src", "dest", "body"])
def test_record_without_an_envelope_is_rejected(key: str) -> None:
    for name in ("Init", "ReceivePrepare", "Refuse"):
        record = copy.deepcopy(RECORDS[name])
        del record["input"][key]
        assert rejection(record).startswith("$.input")


@pytest.mark.parametrize("name", STEPS)
def test_only_a_single_error_is_a_refusal(name: str) -> None:
    for output in ([], REFUSAL["output"] * 2, [message("n1", "c1", BODIES["init_ok"])]):
        check_record({**STEPS[name], "output": output})
        assert not is_refusal({**STEPS[name], "output": output})


def test_schema_error_names_the_wrong_field() -> None:
    record = copy.deepcopy(STEPS["ReceivePromise"])
    record["input"]["body"]["accepted"][1]["slot"] = True
    assert rejection(record) == "$.input.body.accepted[1].slot: True is not of type 'integer'"


@pytest.mark.parametrize(
    "taken",
    [None, 7, "tick", "Timeout", [], {}, {"body": {}}, message("c1", "n1", {"type": "tick"})],
)
def test_no_step_takes_an_unknown_input(taken: Any) -> None:
    assert rejection({**STEPS["Timeout"], "input": taken}).startswith("$.input: ")


def test_no_step_takes_a_reply() -> None:
    taken = message("n2", "n1", BODIES["init_ok"])
    assert rejection({**STEPS["Timeout"], "input": taken}).endswith("fits none of the definitions")


def test_envelope_may_have_additional_fields() -> None:
    record = copy.deepcopy(STEPS["ReceivePrepare"])
    record["input"]["id"] = 17
    check_record(record)
    record["input"]["body"]["id"] = 17
    assert rejection(record).startswith("$.input.body: Additional properties")


def test_malformed_output_is_rejected() -> None:
    for output in (None, {}, [5], [message("n1", "n2", BODIES["multi_paxos_log"])]):
        assert rejection({**STEPS["Timeout"], "output": output}).startswith("$.output")


def test_event_with_an_error_in_its_output_is_a_step() -> None:
    record = {**STEPS["Timeout"], "output": REFUSAL["output"]}
    check_record(record)
    assert not is_refusal(record)


@pytest.mark.parametrize(
    ("place", "wrong", "path"),
    [
        (("node",), "n2", "$.input.dest"),
        (("input", "src"), "c2", "$.output[0].dest"),
        (("input", "dest"), "n2", "$.input.dest"),
        (("input", "body"), "no object", "$.input.body"),
        (("input", "body", "msg_id"), 5, "$.output[0].body.in_reply_to"),
        (("input", "body", "msg_id"), 4.0, "$.input.body.msg_id"),
        (("output", 0, "src"), "n2", "$.output[0].src"),
        (("output", 0, "dest"), "c2", "$.output[0].dest"),
        (("output", 0, "body", "in_reply_to"), 5, "$.output[0].body.in_reply_to"),
    ],
)
def test_refusal_answers_the_sender(place: tuple[Any, ...], wrong: Any, path: str) -> None:
    assert rejection(altered(REFUSAL, place, wrong)).startswith(f"{path}: ")


def test_refusal_has_no_other_output() -> None:
    for output in ([], REFUSAL["output"] * 2, [message("n1", "c1", BODIES["init_ok"])]):
        assert rejection({**REFUSAL, "output": output}).startswith("$.input: ")
        taken = {**REFUSAL, "input": STEPS["ReceiveLearn"]["input"], "output": output}
        assert rejection(taken).startswith("$.action: ")


def test_long_reason_is_cut_in_the_middle() -> None:
    reason = rejection({**STEPS["Timeout"], "action": 5, "node": ["long"] * 1000})
    assert len(reason) < 300
    assert reason.startswith("$.") and reason.endswith("is not of type 'string'")


def test_long_record_is_checked_like_a_short_one() -> None:
    record = copy.deepcopy(STEPS["ReceiveAccept"])
    record["input"]["body"]["value"] = "x" * 10_000
    check_record(record)
    record["input"]["body"]["slot"] = -1
    assert rejection(record).startswith("$.input.body.slot: ")


# The schemas mean the same to any validator that asserts formats and is strict about integers.


def altered(part: Any, place: tuple[Any, ...], wrong: Any) -> Any:
    part = copy.deepcopy(part)
    inner = part
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = wrong
    return part


def places(part: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if place:
        yield place
    if isinstance(part, (dict, list)):
        for key, child in part.items() if isinstance(part, dict) else enumerate(part):
            yield from places(child, (*place, key))


def plain_validator() -> Draft202012Validator:
    formats = FormatChecker(formats=())
    for name, holds in FORMATS.items():
        formats.checks(name, raises=(LookupError, TypeError, ValueError))(holds)
    integers = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, x: type(x) is int)
    strict = extend(Draft202012Validator, type_checker=integers)
    # A $schema would make the validator at a reference the one of the dialect, which is not strict.
    schemas = [{key: each[key] for key in each if key != "$schema"} for each in SCHEMAS.values()]
    registry = map(DRAFT202012.create_resource, schemas) @ Registry()
    record = {"$ref": SCHEMAS["record"]["$id"]}
    return strict(record, registry=registry, format_checker=formats)


@pytest.mark.parametrize("name", RECORDS)
def test_other_validators_give_the_same_verdict(name: str) -> None:
    plain, rejected = plain_validator(), 0
    record = {**RECORDS[name], "output": RECORDS[name]["output"][:1]}
    for place in places(record):
        for wrong in (None, True, -1, [[3, 1]], "crash"):
            variant = json.loads(json.dumps(altered(record, place, wrong)))
            try:
                check(variant, SCHEMAS["record"]["$id"])
                accepted = True
            except SchemaError:
                accepted = False
            assert accepted == plain.is_valid(variant), variant
            rejected += not accepted
    assert rejected
