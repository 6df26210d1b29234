"""The stage in real time: a cluster that is cut off, paused and, as far as it can be, killed.

What the router saw is the evidence.  A node's own log is compared with it before the specification
judges the log, so that a node cannot log one thing and say another.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import report
from ..formats import logs
from ..running import inject
from ..running.cluster import NodeError
from ..validation import explanation, history_checker
from ..validation.evidence import Evidence, find_contradiction
from ..validation.observed import find_explanations
from .plan import Plan
from .results import Failure, Stage, stage
from .stages import BATCH, Options, protocol_failures

Json = Any

# The size of the cluster, and how many messages of each node are to be explained.
NODES, MOST_SAID = 3, 500

# The rules of the judge of histories, the worst to break first.
RULES = ("agreement", "durability", "validity", "refusals", "answers", "quiescence")


def faults(plan: Plan, command: Sequence[str], options: Options) -> Stage:
    """A case is a rule for what clients saw, or what one node said: its log, or as it was seen."""
    # No large values, for whether a slow node is done with them in time says nothing of it; that it
    # takes them is seen in the stage `feeding`.
    begun = time.monotonic()
    taken = [option for option in inject.OPTIONS if not options[option]]
    kills = plan.kills if "--data" in taken else None
    lost = ["" if kills else "nobody was killed, for it takes no --data"]
    given = [*command, *([] if options["--batch"] else ["--batch", str(BATCH)])]
    folder = plan.folder("endured")
    try:
        with report.Line(f"{NODES} nodes in real time, seed {plan.seed}") as line:
            endured = inject.inject(
                folder,
                given,
                nodes=NODES,
                kills=kills,
                seconds=plan.seconds,
                seed=plan.seed,
                options=taken,
                large=False,
                on_progress=line.update,
            )
        cases = _history_failures(folder, endured)
        if "--data" in taken:
            cases.append(_second_process_failure(endured))
        if "--log" in taken:
            cases += _log_failures(endured)
        else:
            if kills:
                lost.append(
                    "after its first kill only what clients saw of a node was judged, for "
                    "it takes no --log"
                )
            cases += _unexplained(folder, endured.evidence, lost)
    except (NodeError, logs.LogError) as error:
        return stage("faults", [Failure("a cluster in real time", str(error))], begun, *lost)
    lost += [f"too little happened to tell: {missing}" for missing in endured.missing]
    if endured.missing and not any(cases):
        # What little happened was right, which shows nothing.
        cases = []
    return stage("faults", cases, begun, *lost)


def _second_process_failure(endured: inject.Endured) -> Failure | None:
    found = endured.unrefused
    return Failure("a second process on --data", found[0]) if found else None


def _log_failures(endured: inject.Endured) -> list[Failure | None]:
    """A case for each node's log against what the router saw, and one against the specification."""
    [cluster] = logs.read_clusters([endured.logs])
    records = logs.by_node(cluster)
    against = [
        find_contradiction(node, records.get(node, []), lives)
        for node, lives in endured.evidence.items()
    ]
    cases = [
        each and Failure(f"the log of {each.node} and what it said", str(each)) for each in against
    ]
    return cases + protocol_failures([cluster])


def _history_failures(folder: Path, endured: inject.Endured) -> list[Failure | None]:
    """What clients saw, held to one rule after the other."""
    settled = endured.settled is not None
    found = history_checker.check_history(endured.history, quiescent=settled)
    where = folder / logs.HISTORY
    cases: list[Failure | None] = []
    for rule in RULES:
        first = next((each for each in found if each.rule == rule), None)
        cases.append(first and Failure(rule, explanation.format_finding(first)))
    answered = endured.happened["acknowledged"]
    cases.append(None if answered else Failure("progress", f"{where}: nothing was decided"))
    late = f"{where}: {inject.PEACE:g} s of peace were too short for every node to know all"
    cases.append(None if settled else Failure("recovery", late))
    return cases


def _unexplained(
    folder: Path, evidence: Mapping[str, Sequence[Evidence]], lost: list[str]
) -> list[Failure | None]:
    """Whether the specification can explain what each node said in its first life.

    Adds to `lost` what is open.
    """
    seen = {node: lives[0].observation() for node, lives in evidence.items()}
    for node, each in seen.items():
        text = "".join(f"{line}\n" for line in each.lines())
        (folder / f"{node}.seen.ndjson").write_text(text, "utf-8")
    judged = [(node, each.prefix(MOST_SAID)) for node, each in seen.items()]
    with report.Line(f"explaining what {len(seen)} nodes said") as line:
        found = find_explanations(list(seen), judged, BATCH, line.update)
    cases: list[Failure | None] = []
    for (node, said), each in zip(judged, found, strict=True):
        if each.whole is None:
            lost.append(f"what {node} said was explained up to message {each.outputs} only")
            continue
        reason = (
            f"{folder / node}.seen.ndjson: the specification explains {each.outputs:,} messages "
            "that the node said, and the next one never"
        )
        rest = said.outputs[each.outputs : each.outputs + 1]
        cases.append(None if each.whole else Failure(f"what {node} said", reason, found=rest))
    return cases
