"""Gives a node lines that are mostly wrong: it must stand them, and be none the wiser for any.

    python -m tests.fuzzing --lines 1000000 --seed 1

`line_mutations` makes the lines.  Here are the node, which is busy, and what must be
true after every line: it still runs, it has printed messages alone, and if it refused or dropped
the line then it knows what it knew.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from random import Random

import click
import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from multipaxos.clock import Clock
from multipaxos.node import Node
from multipaxos.process import PIPE_BYTES, Lines

from conformance import report
from conformance.formats.schema import check_record, check_sent
from tests.fuzzing.line_mutations import mutated, parsed
from tests.simulation import trial
from tests.simulation.disk import Disk
from tests.simulation.faults import draw
from tests.simulation.lives import PACE
from tests.support.node_lines import FIELDS, JSON, TYPES, line, state
from tests.support.node_process import init

WORLDS = 8
"""How many simulations the real lines are taken from."""

LIFE = 1000
"""So many wrong lines after so many right ones; then the node is started anew on its disk."""

GENERATED = 50
"""One line of so many is made up by Hypothesis, which takes much longer than to alter one."""

LONG = 1000
"""One line of so many is longer than a pipe, up to as long as its value may be."""

LOOKED_AT = 100
"""One line of so many is looked up in the node's log."""

LEAST = ("dropped", "refused", "taken", "printed")
"""What must have become of some line, or it was shown nothing."""

CLUSTER = ("n1", ("n1", "n2", "n3"))
INIT = init(*CLUSTER[1]).encode()


class Wrong(Exception):
    """A node did what it must not; the text says what."""


class Pipe:
    """Carries lines to a node as a process does: in pieces, which it has to put together."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"{seed} pieces")
        source, self.sink = os.pipe()
        self.lines = Lines(source)

    def carry(self, given: bytes) -> None:
        """Have a line read; raises Wrong if it does not come out as it was put in."""
        rest = given + b"\n"
        while rest:
            most = (
                self.rng.choice((1, 10, 1000, PIPE_BYTES)) if len(rest) < PIPE_BYTES else PIPE_BYTES
            )
            rest = rest[os.write(self.sink, rest[: self.rng.randint(1, most)]) :]
            self.lines.read()
        found, self.lines.given = self.lines.given, []
        if found != given.split(b"\n"):
            raise Wrong(f"it reads {[each[:80] for each in found[:3]]}")

    def close(self) -> None:
        os.close(self.sink)
        os.close(self.lines.source)


class Subject:
    """A busy node of three, on a disk, with a clock and a log."""

    def __init__(self, right: list[bytes], seed: int) -> None:
        self.right = right
        self.rng = Random(f"{seed} subject")
        self.counted: Counter[str] = Counter()
        self.begin()

    def begin(self) -> None:
        """A new node, which mostly has done some work."""
        self.disk = Disk("n1")
        self.now = 0.0
        self.start()
        if self.rng.random() < 0.9:
            self.node.turn([INIT], self.now)
            first = self.rng.randrange(len(self.right))
            for given in self.right[first : first + LIFE]:
                self.pass_time()
                self.node.turn([given], self.now)

    def start(self) -> None:
        self.complaints = 0
        self.records: list[bytes] = []
        self.node = Node(
            batch=3,
            storage=self.disk.mount(),
            on_dropped=self.on_dropped,
            log=self,
            clock=lambda replica, now: Clock(replica, PACE, Random(self.rng.random()), now),
        )

    def end_life(self) -> None:
        """Let the node go on with what is on its disk, or be another one."""
        self.check_disk()
        if self.disk.cluster == CLUSTER and self.rng.random() < 0.5:
            self.start()
            self.node.turn([INIT], self.now)
        else:
            self.begin()

    def on_dropped(self, reason: str, given: bytes) -> None:
        self.complaints += 1

    def write(self, record: bytes) -> None:
        """The node's log is kept until the next line."""
        self.records.append(record)

    def flush(self) -> None:
        pass

    def tell(self) -> int:
        return 0

    def pass_time(self) -> None:
        """What is due by now happens, and with the line that comes next nothing happens but it."""
        self.now += self.rng.choice((0.0, 0.001, 0.02, 0.2))
        self.node.turn([], self.now)
        self.node.save()
        self.records.clear()

    def take(self, given: bytes) -> None:
        """Give it a line; raises Wrong."""
        self.pass_time()
        before, complaints = self.remembered(), self.complaints
        try:
            printed = self.node.turn([given], self.now).splitlines()
        except Exception as error:
            raise Wrong(f"it stops: {error!r}") from error
        bodies = [self.sent(text) for text in printed]
        what = self.kind(bodies, self.complaints - complaints)
        self.counted[what] += 1
        self.counted["printed"] += len(bodies)
        if what in ("refused", "dropped") and self.remembered() != before:
            raise Wrong(f"it {what} the line, and is another one since")
        if self.rng.randrange(LOOKED_AT) == 0:
            self.check_log()

    def remembered(self) -> tuple:
        node = self.node
        return state(node), list(node.deferred), list(node.clock.deadlines if node.clock else ())

    def sent(self, text: bytes) -> dict:
        try:
            message = json.loads(text)
            check_sent(message)
        except (ValueError, RecursionError) as error:
            raise Wrong(f"it printed {text[:200]!r}: {error}") from error
        return message["body"]

    def kind(self, bodies: list[dict], complaints: int) -> str:
        """What became of the line."""
        if complaints:
            if bodies or self.records or complaints > 1:
                raise Wrong("it dropped the line, and did something about it")
            return "dropped"
        errors = [body for body in bodies if body["type"] == "error"]
        if errors and len(bodies) > 1:
            raise Wrong("it refused the line, and did something about it")
        return "refused" if errors else "taken"

    def check_log(self) -> None:
        for record in self.records:
            try:
                check_record(json.loads(record))
            except (ValueError, RecursionError) as error:
                raise Wrong(f"it logged {record[:200]!r}: {error}") from error

    def check_disk(self) -> None:
        """What a restart finds is what the node knew."""
        if self.node.replica is None:
            return
        # As at the end of its input: what it said nothing about may not be there yet.
        self.node.save()
        before = vars(self.node.replica.acceptor)
        found = vars(self.disk.mount().acceptor)
        for field in "promised", "accepted", "decided":
            if found[field] != before[field]:
                raise Wrong(f"{field} is {before[field]}, and on the disk {found[field]}")


def real_lines() -> list[bytes]:
    """Return the inputs of n1 of three in some simulations, where it had another name."""
    found: list[bytes] = []
    for seed in range(1, WORLDS + 1):
        log = trial.run(draw(seed, 3, 30), logs=True).log
        given = [json.loads(record)["input"] for record in log.split(b"\n")[:-1]]
        found += renamed([each for each in given if isinstance(each, dict) and "body" in each])
    return found


def renamed(given: list[dict]) -> Iterator[bytes]:
    """What the first member was given, with the members called as in CLUSTER, and clients c1, c2
    and so on."""
    members = next(m["body"]["node_ids"] for m in given if m["body"]["type"] == "init")
    clients = dict.fromkeys(m["src"] for m in given if m["src"] not in members)
    called = [*CLUSTER[1], *(f"c{place}" for place in range(1, len(clients) + 1))]
    names = dict(zip([*members, *clients], called, strict=False))
    for message in given:
        if message["dest"] == members[0]:
            body = dict(message["body"])
            if body["type"] == "init":
                body |= {"node_id": CLUSTER[0], "node_ids": list(CLUSTER[1])}
            yield json.dumps(
                {"src": names[message["src"]], "dest": CLUSTER[0], "body": body}
            ).encode()


# Lines that Hypothesis makes up.

MADE_UP = st.lists(
    max_size=40,
    elements=st.one_of(
        st.binary(max_size=30),
        JSON.map(lambda value: json.dumps(value).encode()),
        st.builds(
            lambda src, kind, fields: line({"type": kind, **fields}, src=src),
            st.sampled_from(["c1", "n1", "n2", "n9"]),
            st.sampled_from(TYPES),
            st.dictionaries(st.sampled_from(FIELDS), JSON | st.integers(0, 3)),
        ),
    ),
)


def made_up(number: int, seed: int) -> list[bytes]:
    found: list[bytes] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=number // 4 + 1,
        database=None,
        phases=[Phase.generate],
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(MADE_UP)
    def collect(lines: list[bytes]) -> None:
        if len(found) < number:
            found.extend(lines)

    collect()
    return found[:number]


# The campaign.


def lines(right: list[bytes], number: int, seed: int) -> Iterator[bytes]:
    rng = Random(f"{seed} lines")
    others = made_up(max(1, number // GENERATED), seed)
    for _ in range(number):
        if rng.randrange(LONG) == 0:
            yield long_line(rng)
            continue
        generated = rng.randrange(GENERATED) == 0
        yield rng.choice(others) if generated else mutated(right, rng)


def long_line(rng: Random) -> bytes:
    """A request with a value so large that its line fits no pipe."""
    value = "x" * rng.randint(PIPE_BYTES, 2**20)
    return line({"type": "multi_paxos_propose", "msg_id": 1, "slot": 3, "value": value}).rstrip()


def fuzz(number: int, seed: int, tell: Callable[[int], None] = lambda done: None) -> Counter[str]:
    """Give a node so many lines; raises Wrong."""
    right = real_lines()
    subject = Subject(right, seed)
    with closing(Pipe(seed)) as pipe:
        for done, given in enumerate(lines(right, number, seed)):
            if done % LIFE == 0:
                subject.end_life()
                tell(done)
            try:
                pipe.carry(given)
                subject.take(given)
            except Wrong as error:
                shown = given if len(given) < 2000 else given[:2000] + b" ..."
                raise Wrong(f"line {done + 1} of seed {seed}: {error}\n  {shown!r}") from error
            subject.counted["messages"] += parsed(given) is not None
    return subject.counted


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Example:
  python -m tests.fuzzing --lines 1000000 --seed 1

Exit status: 0 all is well, 1 the node did something wrong, 2 could not be run.""",
)
@click.option("--lines", "number", default=1_000_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True, help="The same seed is the same lines.")
def main(number: int, seed: int) -> None:
    """Fuzz a node: send malformed lines, and check its state after each."""
    begun = time.monotonic()
    try:
        with report.Line(f"fuzzing, seed {seed}") as line:
            counted = fuzz(number, seed, lambda done: line.update(f"{done:,} lines"))
    except Wrong as error:
        report.say(str(error))
        report.say(f"repeat it with: python -m tests.fuzzing --lines {number} --seed {seed}")
        sys.exit(1)
    seconds = time.monotonic() - begun
    report.say(
        f"{number:,} lines, {counted['messages']:,} of them JSON: {counted['dropped']:,} dropped, "
        f"{counted['refused']:,} refused, {counted['taken']:,} taken; {counted['printed']:,} "
        f"messages printed, and nothing else; {seconds:,.0f} seconds"
    )
    if missing := [what for what in LEAST if not counted[what]]:
        report.warn(f"too few events for a verdict: no line was {', '.join(missing)}", style="red")
        sys.exit(2)
