"""The verdict on vote logs: for each rejection the line that is wrong, and why, in a sentence.

TLC finds what is wrong (`vote_checker`); this module selects the line to show, and words the
reason.  In a slot it is the first wrong vote of the lowest ballot with one, for what is above may
follow from it, and a decision only if all votes are right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from ..formats.canonical import canonical
from ..formats.vote_logs import Ballot, Line, Slot, VoteLogs, order
from ..report import shortened
from .slot_shapes import Wrong
from .vote_checker import Found, check_votes

Json = Any

# How many votes of a node in one slot are shown.
MOST_VOTES = 5


@dataclass(frozen=True)
class VoteRejection:
    """A line that is wrong, and why.

    `rule` is the operator of the specification that it violates: KeepsPromises, OneValuePerBallot,
    MayVote, MayBeChosen or IsAgreed.  `slot` is the slot to show, if it is about one.
    """

    line: Line
    rule: str
    reason: str
    slot: Slot | None = None


@dataclass(frozen=True)
class VoteVerdict:
    """The verdict on the vote logs of one cluster."""

    cluster: VoteLogs
    rejections: list[VoteRejection] = field(default_factory=list)

    @property
    def missing_quorum(self) -> bool:
        """Whether so many logs are missing that those nodes alone can choose anything."""
        return self.cluster.quorums.include(set(self.cluster.missing))


def validate_votes(
    clusters: Sequence[VoteLogs], on_progress: Callable[[str], None] = lambda text: None
) -> list[VoteVerdict]:
    """Return the verdict on the vote logs of each cluster; raises `ToolError`."""
    founds = check_votes(clusters, on_progress)
    return [
        VoteVerdict(cluster, list(_rejections(cluster, found)))
        for cluster, found in zip(clusters, founds, strict=True)
    ]


def _rejections(cluster: VoteLogs, found: Found) -> Iterator[VoteRejection]:
    """Yield the first line below a promise of each node, and then what is wrong with each slot."""
    below: dict[str, tuple[Line, Line]] = {}
    for before, line in found.below:
        if line.node not in below or line.line < below[line.node][1].line:
            below[line.node] = before, line
    for node in cluster.logs:
        if node in below:
            yield _below(cluster, *below[node])
    for wrong in found.wrong:
        yield _rejection(cluster, wrong)


def name(ballot: Ballot) -> str:
    """Return the text of a ballot."""
    return json.dumps(ballot)


def voted(vote: Line) -> str:
    value = shortened(json.dumps(vote.value))
    return f"voted {value} in slot {vote.slot}, ballot {name(vote.ballot)}"


def chosen_in(cluster: VoteLogs, slot: Slot) -> list[Line]:
    """Return one vote for each value that a quorum voted for in one ballot, lowest ballot first."""
    found = []
    for votes in _by_ballot_and_value(slot.votes):
        if cluster.quorums.include({vote.node for vote in votes}):
            found.append(votes[0])
    return found


def _by_ballot_and_value(votes: Iterable[Line]) -> list[list[Line]]:
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for vote in sorted(votes, key=lambda vote: order(vote.ballot)):
        groups.setdefault((order(vote.ballot), canonical(vote.value)), []).append(vote)
    return list(groups.values())


# Which line is wrong, and why.


def _below(cluster: VoteLogs, before: Line, line: Line) -> VoteRejection:
    what = f"promised ballot {name(line.ballot)}" if line.kind == "promise" else voted(line)
    kind = "vote" if before.kind == "vote" else "promise"
    reason = f"{line.node} {what}, below its {kind} in ballot {name(before.ballot)}"
    reason += f" ({before.place})"
    log = cluster.logs[line.node]
    between = log[log.index(before) + 1 : log.index(line)]
    if restart := next((each for each in between if each.kind in ("restart", "members")), None):
        reason += f"; it restarted in between ({restart.place})"
    slot = cluster.slots[line.slot] if line.kind == "vote" else None
    return VoteRejection(line, "KeepsPromises", reason, slot)


def _rejection(cluster: VoteLogs, wrong: Wrong) -> VoteRejection:
    bad = [*wrong.two_values, *wrong.not_shown]
    if bad:
        lowest = min(order(vote.ballot) for vote in bad)
        split = [vote for vote in wrong.two_values if order(vote.ballot) == lowest]
        if split:
            line = next(v for v in split if canonical(v.value) != canonical(split[0].value))
            rule, reason = "OneValuePerBallot", _other_value(split[0], line)
        else:
            line = next(vote for vote in wrong.not_shown if order(vote.ballot) == lowest)
            rule, reason = "MayVote", _not_shown(cluster, wrong.slot, line)
    elif wrong.not_chosen:
        line = wrong.not_chosen[0]
        rule, reason = "MayBeChosen", _not_chosen(cluster, wrong.slot, line)
    else:
        rule, (line, reason) = "IsAgreed", _disagreement(cluster, wrong.slot)
    return VoteRejection(line, rule, reason, wrong.slot)


def _other_value(first: Line, line: Line) -> str:
    return (
        f"{line.node} {voted(line)}; {first.node} voted {shortened(json.dumps(first.value))} in "
        f"the same ballot ({first.place})"
    )


def _not_shown(cluster: VoteLogs, slot: Slot, line: Line) -> str:
    """Return why no quorum shows a vote to be safe: too few promised, or they voted otherwise."""
    promises = cluster.promised
    bound = {
        node
        for node, ballot in promises.items()
        if node == line.node or (ballot is not None and order(ballot) >= order(line.ballot))
    }
    head = f"{line.node} {voted(line)}; "
    if not cluster.quorums.include(bound | set(cluster.missing)):
        return f"{head}no quorum promised it: only {listed(bound, cluster)} did"
    reports = [
        f"{vote.node}, which voted {shortened(json.dumps(vote.value))} in ballot "
        f"{name(vote.ballot)}"
        for vote in _highest_below(slot, line, bound)
        if canonical(vote.value) != canonical(line.value)
    ]
    return f"{head}every quorum that promised it contains {', or '.join(reports)}"


def _highest_below(slot: Slot, line: Line, bound: Set[str]) -> Iterator[Line]:
    """Yield the last vote below a ballot of each node that promised it and voted there."""
    last: dict[str, Line] = {}
    for vote in sorted(slot.votes, key=lambda vote: order(vote.ballot)):
        if vote.node in bound and order(vote.ballot) < order(line.ballot):
            last[vote.node] = vote
    yield from last.values()


def _not_chosen(cluster: VoteLogs, slot: Slot, line: Line) -> str:
    head = f"{line.node} decided {shortened(json.dumps(line.value))} in slot {line.slot}"
    groups = [
        votes
        for votes in _by_ballot_and_value(slot.votes)
        if canonical(votes[0].value) == canonical(line.value)
    ]
    if not groups:
        return f"{head}, which no node voted for"
    most = max(groups, key=len)
    return (
        f"{head}, which no quorum voted for: in ballot {name(most[0].ballot)} only "
        f"{listed({vote.node for vote in most}, cluster)} did"
    )


def _disagreement(cluster: VoteLogs, slot: Slot) -> tuple[Line, str]:
    """Return a decision that differs from what was chosen or decided, and say from what."""
    first, *_ = [*chosen_in(cluster, slot), *slot.decided]
    line = next(
        each
        for each in [*slot.decided, *chosen_in(cluster, slot)]
        if canonical(each.value) != canonical(first.value)
    )
    what = "was chosen" if first.kind == "vote" else f"is decided by {first.node} ({first.place})"
    verb = "decided" if line.kind == "decide" else "voted"
    return line, (
        f"{line.node} {verb} {shortened(json.dumps(line.value))} in slot {line.slot}, where "
        f"{shortened(json.dumps(first.value))} {what}"
    )


def listed(nodes: Set[str], cluster: VoteLogs) -> str:
    """Return the names of some members, in the order of the cluster."""
    named = [node for node in cluster.members if node in nodes]
    return " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]]))


# For people.


def format_rejection(cluster: VoteLogs, found: VoteRejection) -> str:
    """Return what is wrong, and the promises and votes of its slot as a small table."""
    lines = [f"{found.line.place}: {found.reason} ({found.rule})"]
    if found.slot is not None:
        lines += _table(cluster, found.slot)
    return "\n".join(lines)


def _table(cluster: VoteLogs, slot: Slot) -> Iterator[str]:
    promises = cluster.promised
    rows = [(f"slot {slot.number}", "promised", "votes")]
    for node in cluster.members:
        if node not in promises:
            rows.append((node, "no log", ""))
        else:
            promised = "" if promises[node] is None else name(promises[node])
            rows.append((node, promised, ", ".join(_votes_of(slot, node))))
    widths = [max(len(row[at]) for row in rows) for at in (0, 1)]
    for first, second, third in rows:
        yield f"  {first:{widths[0]}}  {second:{widths[1]}}  {third}".rstrip()
    chosen = [f"{json.dumps(v.value)} in ballot {name(v.ballot)}" for v in chosen_in(cluster, slot)]
    yield f"  chosen: {', '.join(map(shortened, chosen)) or 'nothing'}"


def _votes_of(slot: Slot, node: str) -> Sequence[str]:
    votes = sorted((v for v in slot.votes if v.node == node), key=lambda v: order(v.ballot))
    shown = [f"{shortened(json.dumps(v.value))} in {name(v.ballot)}" for v in votes[-MOST_VOTES:]]
    return [f"{len(votes) - MOST_VOTES:,} more"] * (len(votes) > MOST_VOTES) + shown


def format_missing(verdict: VoteVerdict) -> str:
    """Return which logs are missing and what is assumed, empty if none is."""
    missing = verdict.cluster.missing
    if not missing:
        return ""
    names = listed(set(missing), verdict.cluster)
    return f"no log of {names}: assumed to have promised and voted whatever the others need"
