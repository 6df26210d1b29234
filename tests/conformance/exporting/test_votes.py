"""Vote logs from message logs, and the page of vote logs."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from conformance.exporting import export, outputs, slots_page, votes
from conformance.exporting.outputs import ExportError
from conformance.formats import logs, vote_logs
from conformance.validation.vote_verdict import VoteRejection, VoteVerdict
from tests.support.conformance_command import conformance, not_run
from tests.support.paths import OK
from tests.support.runs import message, run
from tests.support.vote_runs import cluster, decide, promise, vote

# From message logs.


def started(node: str, *members: str) -> tuple[str, Any, list[Any]]:
    given = message("c0", node, "init", msg_id=1, node_id=node, node_ids=list(members))
    return node, given, [message(node, "c0", "init_ok", in_reply_to=1, msg_id=0)]


def asserted(*steps: tuple[str, Any, list[Any]]) -> list[Any]:
    """Return what the steps of node a assert, without its first line and its name."""
    head, *found = votes.lines(run(started("a", "a", "b", "c"), *steps))
    assert head["members"] == ["a", "b", "c"] and all(line.pop("node") == "a" for line in found)
    return found


ACCEPT = message("b", "a", "accept", ballot=2, slot=7, value="x")


def test_each_message_asserts_what_its_sender_did() -> None:
    found = asserted(
        ("a", "timeout", [message("a", "b", "prepare", ballot=1, known=[])]),
        ("a", "timeout", [message("a", "b", "accept", ballot=1, slot=7, value="x")]),
        ("a", message("b", "a", "prepare", ballot=2, known=[]),
         [message("a", "b", "promise", ballot=2, accepted=[], known=[])]),
        ("a", ACCEPT, [message("a", "b", "accepted", ballot=2, slot=7)]),
        ("a", message("c", "a", "prepare", ballot=1, known=[]),
         [message("a", "c", "rejected", promised=2)]),
        ("a", "crash", []),
        ("a", "restart", []),
        ("a", message("b", "a", "decided", slot=7, value="x"), []),
        ("a", message("b", "a", "learned", decided=[{"slot": 8, "value": 1}], more=False), []),
    )  # fmt: skip
    assert found == [
        {"promise": 1},
        {"vote": {"slot": 7, "ballot": 1, "value": "x"}},
        {"promise": 2},
        {"vote": {"slot": 7, "ballot": 2, "value": "x"}},
        {"restart": True},
        {"decide": {"slot": 7, "value": "x"}},
        {"decide": {"slot": 8, "value": 1}},
    ]


def test_replies_to_clients_assert_decisions() -> None:
    entry = {"slot": 2, "value": "y", "status": "chosen"}
    reply = message("a", "c1", "multi_paxos_propose_ok", in_reply_to=1, slot=1, value="x",
                    chosen=True, phase1_skipped=True)  # fmt: skip
    log = message("a", "c1", "multi_paxos_log_ok", in_reply_to=2, log=[entry])
    found = asserted(("a", "timeout", [reply, reply, log]))
    assert found == [{"decide": {"slot": n, "value": v}} for n, v in ((1, "x"), (2, "y"))]


def test_repeated_assertions_are_left_out_but_no_lower_promise() -> None:
    high, low = (message("a", "b", "promise", ballot=b, accepted=[], known=[]) for b in (5, 3))
    voted = message("a", "b", "accepted", ballot=2, slot=7)
    found = asserted(("a", ACCEPT, [voted, voted]), ("a", "timeout", [high, high, low, high]))
    assert [line.get("promise") for line in found] == [None, 5, 3, 5]


@pytest.mark.parametrize("members, reason", [(("a",), "a cluster of one"), ((), "has no init")])
def test_logs_without_votes_are_refused(members: tuple[str, ...], reason: str) -> None:
    steps = [started("a", *members)] if members else [("a", "timeout", [])]
    with pytest.raises(ExportError, match=reason):
        votes.lines(run(*steps))


def test_exported_votes_are_validated_and_shown(tmp_path: Path) -> None:
    path, page = tmp_path / "votes.ndjson", tmp_path / "slots.html"
    done = conformance("export", OK, "--votes", path)
    assert done.returncode == 0, done.stderr
    outputs.check(path, [OK])
    accepted = conformance("validate", "--votes", path)
    assert accepted.returncode == 0 and "0 rejections" in accepted.stdout, accepted.stdout
    not_run(conformance("export", path, "--itf", tmp_path / "run.itf"), "a page only")
    options = export.ExportOptions(page, None, None, 0, False)
    for _ in range(2):
        export.export_votes([path], options)
    assert outputs.MADE_BY in page.read_text()


# The page.


class Page(HTMLParser):
    """The cells of the table by row, and the classes of each text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.classes: dict[str, str] = {}
        self.tags: set[str] = set()
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self.inside = dict(attrs).get("class", "") if tag == "span" else ""
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data
            self.classes[data] = self.inside.strip()


LOGS = cluster(
    [
        *(promise("n1", 1), promise("n2", 1), vote("n1", 1, "x"), vote("n2", 1, "x")),
        *(decide("n1", "x"), vote("n2", 2, "y")),
    ],
    logged=("n1", "n2"),
)


def test_page_shows_slots_by_nodes() -> None:
    rejection = VoteRejection(LOGS.lines[-1], "MayVote", "it is wrong", LOGS.slots[1])
    page = Page(slots_page.html("A run", VoteVerdict(LOGS, [rejection])))
    assert page.rows == [
        ["slot", "n1promised 1", "n2promised 2", "n3no log", "chosen"],
        ["1", '"x" in 1\u2713 "x"', '"x" in 1"y" in 2', "", '"x" in 1'],
    ]
    assert page.classes['"x" in 1'] in ("vote chosen", "")
    assert page.classes['"y" in 2'] == "vote wrong"


def test_text_of_a_vote_log_is_escaped() -> None:
    hostile = "</title><script>broken</script><b title='\"@@ROWS@@"
    found = cluster([vote("n1", 1, hostile), decide("n1", hostile)])
    rejection = VoteRejection(found.lines[-1], hostile, hostile, found.slots[1])
    text = slots_page.html(hostile, VoteVerdict(found, [rejection]))
    plain = slots_page.html("A run", VoteVerdict(LOGS, [rejection]))
    assert Page(text).tags == Page(plain).tags and "script" not in Page(text).tags


def test_part_of_a_long_run_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_page, "MOST_SLOTS", 4)
    found = cluster([vote("n1", 1, "x", slot) for slot in range(1, 11)])
    rejection = VoteRejection(found.lines[-2], "MayVote", "it is wrong", found.slots[9])
    text = slots_page.html("A run", VoteVerdict(found, [rejection]))
    assert [row[0] for row in Page(text).rows[1:]] == ["7", "8", "9", "10"]
    assert "10 slots, showing 7 to 10" in text


def test_first_rejections_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_page, "MOST_REJECTIONS", 2)
    rejections = [VoteRejection(LOGS.lines[0], "MayVote", f"wrong {at}") for at in range(5)]
    text = slots_page.html("A run", VoteVerdict(LOGS, rejections))
    assert "wrong 1" in text and "wrong 2" not in text and "and 3 more" in text


# The command.


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


HEAD = {"members": ["a", "b", "c"]}
VOTE = {"vote": {"slot": 1, "ballot": [1, "a"], "value": "x"}}


def test_rejected_votes_end_with_status_1_and_a_page(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", {"node": "a", **HEAD}, {"node": "a", **VOTE})
    write(tmp_path / "b.ndjson", {"node": "b", **HEAD}, {"node": "b", "restart": True})
    write(tmp_path / "c.ndjson", {"node": "c", **HEAD})
    results = tmp_path / "results.json"
    done = conformance("validate", "--votes", tmp_path, "--json", results)
    assert done.returncode == 1 and f"{path}:2: a voted" in done.stdout
    assert (tmp_path / "votes.html").exists()
    cases = {each["name"]: each for each in json.loads(results.read_text())["cases"]}
    assert [cases[node]["status"] for node in "abc"] == ["fail", "pass", "pass"]
    assert "no quorum promised it: only a did" in cases["a"]["reason"]


def test_missing_logs_are_named_in_the_verdict(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", {"node": "a", **HEAD}, {"node": "a", **VOTE})
    alone = conformance("validate", "--votes", path)
    assert alone.returncode == 2 and "no log of b and c: assumed to have" in alone.stdout


def test_kinds_of_logs_are_not_mixed_up(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", {"node": "a", **HEAD}, {"node": "a", **VOTE})
    with pytest.raises(logs.LogError, match="this is a vote log; validate it with --votes"):
        logs.clusters([path])
    with pytest.raises(logs.LogError, match="this is a message log; export --votes"):
        vote_logs.read([OK])
    assert logs.find([tmp_path], logs.VOTES) == [path]
