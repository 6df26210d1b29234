"""The history checker: check what clients saw against agreement, validity, durability and others.

It uses neither logs of nodes nor the specification, so it checks any system.  A history contains
every proposal, so each rule is a function of the history that yields the entries which break it.

A proposal without a slot is an *append*: the system picks the slot, and its reply names it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ..formats.canonical import canonical
from ..formats.history import Entry, RequestId
from .verdict import Finding

Json = Any

Decision = tuple[int, str]
"""A slot and the value decided in it, as text: in Python, true equals 1 and 1.0."""

Proposal = tuple[int | None, str]
"""A proposed slot, None for an append, and the value."""

# Errors that are definite: the request has no effect, now or later.  0 and 13 are indefinite.
DEFINITE = (10, 11, 12, 14)


class Facts:
    """A history, indexed for the rules."""

    def __init__(self, history: Sequence[Entry]) -> None:
        self.history = history
        self.answers = [entry for entry in history if entry.kind == "answer"]
        self.requests: dict[RequestId, list[Entry]] = defaultdict(list)
        self.proposed: dict[Proposal, list[Entry]] = defaultdict(list)
        for entry in history:
            if entry.kind == "ask":
                self.requests[entry.request_id].append(entry)
                for proposal in _proposal(entry):
                    self.proposed[proposal].append(entry)
        # The decisions in each answer, by its line, and the first answer with each decision.
        self.decisions = {entry.line: dict(decisions_in(entry)) for entry in self.answers}
        self.first: dict[Decision, Entry] = {}
        for entry in self.answers:
            for decision in self.decisions[entry.line].items():
                self.first.setdefault(decision, entry)

    def request_of(self, answer: Entry) -> Entry | None:
        """Return the first request that this answers, None if there is none before the answer."""
        first = next(iter(self.requests.get(answer.request_id, ())), None)
        return first if first is not None and first.line < answer.line else None

    def proposals_of(self, decision: Decision) -> list[Entry]:
        """Return the requests that a decision can come from, in the order of the history."""
        slot, value = decision
        found = [*self.proposed.get((slot, value), ()), *self.proposed.get((None, value), ())]
        return sorted(found, key=lambda entry: entry.line)

    def appends(self) -> Iterator[tuple[Entry, Entry]]:
        """Yield the first request of each append that was acknowledged, with each answer."""
        for answer in self.answers:
            ask = self.request_of(answer)
            if answer.type == "multi_paxos_propose_ok" and ask and is_append(ask):
                yield ask, answer

    def logs(self) -> Iterator[tuple[Entry, Entry]]:
        """Yield each request for a log, with its answer."""
        for answer in self.answers:
            ask = self.request_of(answer)
            if answer.type == "multi_paxos_log_ok" and ask and ask.type == "multi_paxos_log":
                yield ask, answer


def is_append(ask: Entry) -> bool:
    """Return whether a request leaves the slot to the system."""
    return ask.type == "multi_paxos_propose" and "slot" not in ask.message["body"]


def decisions_in(answer: Entry) -> Iterator[Decision]:
    """Yield the decisions that an answer reports."""
    body = answer.message["body"]
    if answer.type == "multi_paxos_propose_ok":
        yield body["slot"], canonical(body["value"])
    elif answer.type == "multi_paxos_log_ok":
        for decided in body["log"]:
            yield decided["slot"], canonical(decided["value"])


def _proposal(ask: Entry) -> Iterator[Proposal]:
    if ask.type == "multi_paxos_propose":
        body = ask.message["body"]
        yield body.get("slot"), canonical(body["value"])


def check_history(history: Sequence[Entry], quiescent: bool = False) -> list[Finding]:
    """Return the entries of a history that break a rule, in the order of the history.

    `quiescent`: the history ends with a fault-free period, so the last whole log of each node must
    contain every decision that any node reported.
    """
    facts = Facts(history)
    rules = [answers, agreement, validity, refusals, durability, order]
    if quiescent:
        rules.append(quiescence)
    found = [finding for rule in rules for finding in rule(facts)]
    return sorted(found, key=lambda finding: finding.entry.line)


def answers(facts: Facts) -> Iterator[Finding]:
    """A node answers only requests that were sent before, each at most as often as it was sent."""
    answered: dict[RequestId, list[Entry]] = defaultdict(list)
    for answer in facts.answers:
        ask = facts.request_of(answer)
        earlier = answered[answer.request_id]
        requests = facts.requests.get(answer.request_id, ())
        sent = [each for each in requests if each.line < answer.line]
        reason: str | None
        if ask is None:
            yield Finding("answers", answer, None, "no such request was sent before")
        elif len(earlier) >= len(sent):
            reason = f"answered {len(earlier) + 1} times, but sent {len(sent)} times"
            yield Finding("answers", answer, earlier[-1], reason)
        elif reason := _mismatch(ask, answer):
            yield Finding("answers", answer, ask, reason)
        earlier.append(answer)


def _mismatch(ask: Entry, answer: Entry) -> str | None:
    """Return why this cannot be the answer to a request, or None."""
    request, reply = ask.message["body"], answer.message["body"]
    if answer.type == "error":
        return None
    if answer.type != f"{ask.type}_ok":
        return f"{ask.type} is answered by {answer.type}"
    if answer.type == "multi_paxos_propose_ok":
        slot = request.get("slot", reply["slot"])
        if reply["slot"] != slot:
            return f"the answer is for slot {reply['slot']} instead of slot {slot}"
        if is_append(ask) and canonical(reply["value"]) != canonical(request["value"]):
            return "an append is acknowledged with another value than its own"
        chosen = reply.get("chosen", True)
        return None if chosen else "the answer is ok, but its field chosen is false"
    if answer.type == "multi_paxos_log_ok":
        slots = [decided["slot"] for decided in reply["log"]]
        if slots and slots[0] < request.get("from", 0):
            return f"the log has slot {slots[0]}, and {request['from']} is the first one requested"
        if len(slots) > request.get("limit", len(slots)):
            return f"the log has {len(slots)} slots, and the limit is {request['limit']}"
    return None


def agreement(facts: Facts) -> Iterator[Finding]:
    """All answers report the same value for a slot."""
    holds: dict[int, str] = {}
    for (slot, value), entry in facts.first.items():
        decided = holds.setdefault(slot, value)
        if decided != value:
            other = facts.first[slot, decided]
            reason = f"slot {slot} holds {_short(value)} here and {_short(decided)} there"
            yield Finding("agreement", entry, other, reason)


def validity(facts: Facts) -> Iterator[Finding]:
    """A decided value was proposed before, for its slot or for any."""
    for (slot, value), entry in facts.first.items():
        proposed = next(iter(facts.proposals_of((slot, value))), None)
        if proposed is None or proposed.line > entry.line:
            when = "never proposed" if proposed is None else "not proposed before"
            reason = f"{_short(value)} was {when} for slot {slot}"
            yield Finding("validity", entry, proposed, reason)


def refusals(facts: Facts) -> Iterator[Finding]:
    """A value whose proposals were all refused is never decided.

    A request is answered at most as often as it was sent, so if there are as many definite errors
    as proposals, no proposal is left that the decision could come from.
    """
    refused: dict[Proposal, list[Entry]] = defaultdict(list)
    for answer in facts.answers:
        ask = facts.request_of(answer)
        if ask and answer.type == "error" and answer.message["body"]["code"] in DEFINITE:
            for proposal in _proposal(ask):
                refused[proposal].append(answer)
    for (slot, value), entry in facts.first.items():
        errors = [*refused.get((slot, value), ()), *refused.get((None, value), ())]
        if errors and len(errors) >= len(facts.proposals_of((slot, value))):
            last = max(errors, key=lambda error: error.line)
            code = last.message["body"]["code"]
            reason = f"slot {slot} holds {_short(value)}, which was refused with error {code}"
            yield Finding("refusals", entry, last, reason)


def order(facts: Facts) -> Iterator[Finding]:
    """An append that was sent after another one was acknowledged has a higher slot."""
    acknowledged = {answer.line: answer for _, answer in facts.appends()}
    highest: Entry | None = None
    before: dict[int, Entry | None] = {}
    for entry in facts.history:
        before[entry.line] = highest
        if entry.line in acknowledged and (highest is None or _slot(entry) > _slot(highest)):
            highest = entry
    for ask, answer in facts.appends():
        earlier = before[ask.line]
        if earlier is not None and _slot(answer) <= _slot(earlier):
            reason = (
                f"the append has slot {_slot(answer)}, but slot {_slot(earlier)} was "
                "acknowledged before it was sent"
            )
            yield Finding("order", answer, earlier, reason)


def _slot(answer: Entry) -> int:
    return int(answer.message["body"]["slot"])


def durability(facts: Facts) -> Iterator[Finding]:
    """A decision that a node reported is in every log that is requested from it afterwards."""
    known: dict[str, dict[int, Entry]] = defaultdict(dict)
    for answer in facts.answers:
        for slot in facts.decisions[answer.line]:
            known[answer.node].setdefault(slot, answer)
    for ask, answer in facts.logs():
        before = {s: entry for s, entry in known[answer.node].items() if entry.line < ask.line}
        yield from _missing(facts, ask, answer, before, "durability")


def quiescence(facts: Facts) -> Iterator[Finding]:
    """The last whole log of every node has each decision that any node reported."""
    known: dict[int, Entry] = {}
    for (slot, _), entry in facts.first.items():
        known.setdefault(slot, entry)
    whole = {answer.node: (ask, answer) for ask, answer in facts.logs() if _is_whole(ask, answer)}
    asked = {entry.node: entry for entry in facts.history if entry.kind == "ask"}
    for node, last in asked.items():
        if node in whole:
            yield from _missing(facts, *whole[node], known, "quiescence")
        else:
            yield Finding("quiescence", last, None, f"{node} never returned its whole log")


def _missing(
    facts: Facts, ask: Entry, answer: Entry, known: dict[int, Entry], rule: str
) -> Iterator[Finding]:
    """Yield one finding if a log lacks slots that it must have; it names the first such slot."""
    reported = facts.decisions[answer.line]
    lacking = [slot for slot in known if _covers(ask, answer, slot) and slot not in reported]
    if lacking:
        slot = lacking[0]
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        reason = f"the log of {answer.node} lacks slot {slot}{more}"
        yield Finding(rule, answer, known[slot], reason)


def _covers(ask: Entry, answer: Entry, slot: int) -> bool:
    """Return whether the answer to a request for a part of the log must have a decided slot.

    An answer with as many slots as the limit ends at its last slot, any other at the log's end.
    """
    request, log = ask.message["body"], answer.message["body"]["log"]
    if slot < request.get("from", 0):
        return False
    if len(log) < request.get("limit", len(log) + 1):
        return True
    return len(log) > 0 and slot <= int(log[-1]["slot"])


def _is_whole(ask: Entry, answer: Entry) -> bool:
    request, log = ask.message["body"], answer.message["body"]["log"]
    return request.get("from", 0) == 0 and len(log) < int(request.get("limit", len(log) + 1))


def _short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:40]}..."
