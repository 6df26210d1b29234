"""Judges what clients saw, and that alone: no log of a node, no specification, no order but theirs.

A history tells everything that was proposed, so each rule here is a function of a history that
yields what contradicts it; reading one and showing what was found belong elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from ..formats.canonical import canonical
from ..formats.history import Entry, Question
from .verdict import Finding

Json = Any

Decision = tuple[int, str]
"""A slot and the value decided in it, as text: to Python true equals 1 and 1.0."""

# Errors that claim that nothing came of a request and nothing will; 0 and 13 claim nothing.
DEFINITE = (10, 11, 12, 14)


class Facts:
    """A history, and what every rule wants to know of it."""

    def __init__(self, history: Sequence[Entry]) -> None:
        self.history = history
        self.answers = [entry for entry in history if entry.kind == "answer"]
        self.asked: dict[Question, list[Entry]] = defaultdict(list)
        self.proposed: dict[Decision, list[Entry]] = defaultdict(list)
        for entry in history:
            if entry.kind == "ask":
                self.asked[entry.question].append(entry)
                for decision in _decisions(entry, "multi_paxos_propose"):
                    self.proposed[decision].append(entry)
        self.told = {entry.line: dict(told(entry)) for entry in self.answers}
        self.first: dict[Decision, Entry] = {}
        for entry in self.answers:
            for decision in self.told[entry.line].items():
                self.first.setdefault(decision, entry)

    def asked_for(self, answer: Entry) -> Entry | None:
        """The first time that this was asked, if it was before it was answered."""
        first = next(iter(self.asked.get(answer.question, ())), None)
        return first if first is not None and first.line < answer.line else None

    def logs(self) -> Iterator[tuple[Entry, Entry]]:
        """Each answer that tells a log, with the first time that it was asked for."""
        for answer in self.answers:
            ask = self.asked_for(answer)
            if answer.type == "multi_paxos_log_ok" and ask and ask.type == "multi_paxos_log":
                yield ask, answer


def told(answer: Entry) -> Iterator[Decision]:
    """What an answer tells to be decided."""
    yield from _decisions(answer, "multi_paxos_propose_ok")
    if answer.type == "multi_paxos_log_ok":
        for decided in answer.message["body"]["log"]:
            yield decided["slot"], canonical(decided["value"])


def _decisions(entry: Entry, kind: str) -> Iterator[Decision]:
    if entry.type == kind:
        yield entry.message["body"]["slot"], canonical(entry.message["body"]["value"])


def judge(history: Sequence[Entry], settled: bool = False) -> list[Finding]:
    """What is wrong with a history, in the order in which it was seen.

    `settled` says that the history ends in peace: the last whole log that each node was asked for
    then tells everything that any node ever told to be decided.
    """
    facts = Facts(history)
    rules = [answers, agreement, validity, refusals, durability, *([peace] if settled else [])]
    found = [finding for rule in rules for finding in rule(facts)]
    return sorted(found, key=lambda finding: finding.entry.line)


def answers(facts: Facts) -> Iterator[Finding]:
    """A node answers what it was asked before, and not more often than it was asked."""
    answered: dict[Question, list[Entry]] = defaultdict(list)
    for answer in facts.answers:
        ask = facts.asked_for(answer)
        earlier = answered[answer.question]
        asks = [each for each in facts.asked.get(answer.question, ()) if each.line < answer.line]
        if ask is None:
            yield Finding("answers", answer, None, "nothing like this was asked before")
        elif len(earlier) >= len(asks):
            reason = f"answered {len(earlier) + 1} times and asked {len(asks)} times"
            yield Finding("answers", answer, earlier[-1], reason)
        elif reason := _no_answer_to(ask, answer):
            yield Finding("answers", answer, ask, reason)
        earlier.append(answer)


def _no_answer_to(ask: Entry, answer: Entry) -> str | None:
    asked, said = ask.message["body"], answer.message["body"]
    if answer.type == "error":
        return None
    if answer.type != f"{ask.type}_ok":
        return f"{ask.type} is answered by {answer.type}"
    if answer.type == "multi_paxos_propose_ok":
        if said["slot"] != asked["slot"]:
            return f"slot {said['slot']} instead of slot {asked['slot']} is answered for"
        return None if said["chosen"] else "ok says that nothing is chosen"
    if answer.type == "multi_paxos_log_ok":
        slots = [decided["slot"] for decided in said["log"]]
        if slots and slots[0] < asked.get("from", 0):
            return f"slot {slots[0]} is told, below the first one that was asked for"
        if len(slots) > asked.get("limit", len(slots)):
            return f"{len(slots)} slots are told and {asked['limit']} were asked for"
    return None


def agreement(facts: Facts) -> Iterator[Finding]:
    """All that is told of a slot is one value, whoever tells it and however."""
    holds: dict[int, str] = {}
    for (slot, value), entry in facts.first.items():
        decided = holds.setdefault(slot, value)
        if decided != value:
            other = facts.first[slot, decided]
            reason = f"slot {slot} holds {_short(value)} here and {_short(decided)} there"
            yield Finding("agreement", entry, other, reason)


def validity(facts: Facts) -> Iterator[Finding]:
    """What is decided in a slot was proposed for it before."""
    for (slot, value), entry in facts.first.items():
        proposed = next(iter(facts.proposed.get((slot, value), ())), None)
        if proposed is None or proposed.line > entry.line:
            when = "ever" if proposed is None else "before"
            reason = f"nobody {when} proposed {_short(value)} for slot {slot}"
            yield Finding("validity", entry, proposed, reason)


def refusals(facts: Facts) -> Iterator[Finding]:
    """What was refused, each time that it was proposed, is never decided.

    A question is answered once for each time that it is asked, so as many definite errors as
    proposals leave none of them that the decision could come from.
    """
    refused: dict[Decision, list[Entry]] = defaultdict(list)
    for answer in facts.answers:
        ask = facts.asked_for(answer)
        if ask and answer.type == "error" and answer.message["body"]["code"] in DEFINITE:
            for decision in _decisions(ask, "multi_paxos_propose"):
                refused[decision].append(answer)
    for (slot, value), errors in refused.items():
        entry = facts.first.get((slot, value))
        if entry and len(errors) >= len(facts.proposed[slot, value]):
            code = errors[-1].message["body"]["code"]
            reason = f"slot {slot} holds {_short(value)}, which error {code} said it never would"
            yield Finding("refusals", entry, errors[-1], reason)


def durability(facts: Facts) -> Iterator[Finding]:
    """Whatever a node told to be decided is in every log that it is asked for afterwards."""
    known: dict[str, dict[int, Entry]] = defaultdict(dict)
    for answer in facts.answers:
        for slot in facts.told[answer.line]:
            known[answer.node].setdefault(slot, answer)
    for ask, answer in facts.logs():
        before = {s: entry for s, entry in known[answer.node].items() if entry.line < ask.line}
        yield from _missing(facts, ask, answer, before, "durability")


def peace(facts: Facts) -> Iterator[Finding]:
    """The last whole log of every node tells whatever any node told to be decided."""
    known: dict[int, Entry] = {}
    for (slot, _), entry in facts.first.items():
        known.setdefault(slot, entry)
    whole = {answer.node: (ask, answer) for ask, answer in facts.logs() if _is_whole(ask, answer)}
    asked = {entry.node: entry for entry in facts.history if entry.kind == "ask"}
    for node, last in asked.items():
        if node in whole:
            yield from _missing(facts, *whole[node], known, "peace")
        else:
            yield Finding("peace", last, None, f"{node} never told its whole log")


def _missing(
    facts: Facts, ask: Entry, answer: Entry, known: dict[int, Entry], rule: str
) -> Iterator[Finding]:
    """One finding if a log lacks what it must tell: the first such slot stands for all."""
    lacking = [
        slot for slot in known if _covers(ask, answer, slot) and slot not in facts.told[answer.line]
    ]
    if lacking:
        slot = lacking[0]
        others = f" and {len(lacking) - 1} others" if lacking[1:] else ""
        reason = f"slot {slot}{others} is missing in the log of {answer.node}"
        yield Finding(rule, answer, known[slot], reason)


def _covers(ask: Entry, answer: Entry, slot: int) -> bool:
    """Whether a log that was asked for in part has to tell a slot if it is decided.

    An answer that is as long as was allowed goes as far as its last slot, any other to the end.
    """
    asked, log = ask.message["body"], answer.message["body"]["log"]
    if slot < asked.get("from", 0):
        return False
    if len(log) < asked.get("limit", len(log) + 1):
        return True
    return bool(log) and slot <= log[-1]["slot"]


def _is_whole(ask: Entry, answer: Entry) -> bool:
    asked, log = ask.message["body"], answer.message["body"]["log"]
    return asked.get("from", 0) == 0 and len(log) < asked.get("limit", len(log) + 1)


def _short(value: str) -> str:
    return value if len(value) <= 40 else f"{value[:40]}..."
