"""The page of a run: everything is in it, nothing in a log can become a part of it, and a real
browser shows it.

The browser is CHROMIUM, or the first of its usual names that is there; without one its tests are
skipped.
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.exporting import causality, export, page
from conformance.exporting.page import Mark
from conformance.exporting.states import States
from conformance.formats import logs
from conformance.formats.logs import Record
from conformance.formats.schema import is_message
from tests.support.paths import BAD, OK
from tests.support.runs import PING, PONG, STRANGE, message, run

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
in_a_browser = pytest.mark.skipif(
    BROWSER is None,
    reason=f"no browser: none of {', '.join(NAMES)}, and CHROMIUM is not set; install the package "
    "chromium (apt-get install chromium), or set CHROMIUM to the path of one",
)

MALICE = [
    "</script><script>document.title = 'broken'</script>",
    "<!--<script>",
    "]]>",
    "\u2028",
    "<img src=x onerror=\"document.title = 'broken'\">",
    "@DATA@ @STYLE@ @SCRIPT@",
    "&lt;b&gt;",
    "</SCRIPT >",
    "javascript:alert(1)",
    "${broken} `",
    "'\"",
    "__proto__",
    "constructor",
]


def made(records: list[Record], *marks: Mark, states: States | None = None) -> str:
    return page.html("A run <b>", causality.arrange(records), states, marks)


def malicious() -> list[Record]:
    """Everything that a log holds and that others have chosen."""
    log = []
    for text in MALICE:
        ask = message(text, "a", "multi_paxos_propose", msg_id=1, slot=1, value={text: [text]})
        refused = message(text, "a", text, **{"msg_id": 1, text: None})
        error = message("a", text, "error", in_reply_to=1, code=12, text=text)
        log += [("a", ask, [PING, PONG]), ("a", refused, [error]), (text, "timeout", [])]
    log += [("a", message("c", "a", kind, msg_id=1), []) for kind in ("promise", "learned")]
    values = [*STRANGE, float("nan"), float("inf")]
    strange = message("c", "a", "multi_paxos_propose", msg_id=1, slot=2**62, value=values)
    return run(*log, ("a", strange, []), path="</title><script>broken</script>")


def openings(text: str) -> list[str]:
    """Whatever may begin an element, end one or begin a comment, wherever it stands."""
    return re.findall(r"<[A-Za-z/!?][^\s>]*", text)


def data(text: str) -> Any:
    """What the page gives the browser, read as strictly as a browser reads it."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    [found] = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    assert "<" not in found
    return json.loads(found, parse_constant=refuse)


def test_every_record_is_in_it() -> None:
    records = logs.read(OK)
    told = data(made(records))
    assert [(each["node"], each["action"], each["place"]) for each in told["records"]] == [
        (record.node, record.action, record.place) for record in records
    ]
    for each, record in zip(told["records"], records, strict=True):
        taken = each["input"]
        assert (taken if isinstance(taken, str) else told["messages"][taken]) == record.input
        assert [told["messages"][number] for number in each["output"]] == record.output
    assert told["nodes"] == told["members"] == ["n1", "n2", "n3"]


def test_nothing_in_a_log_becomes_an_element() -> None:
    records = malicious()
    marks = [
        Mark(each.place, text, [text], [text]) for each, text in zip(records, MALICE, strict=False)
    ]
    found = openings(made(records, *marks))
    assert found == openings(made(logs.read(OK))) and found.count("<script") == 2


def test_page_loads_no_resources() -> None:
    text = made(logs.read(OK))
    assert "default-src 'none'" in text and not re.search(r"\b(?:src|href)=", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}


def test_numbers_that_a_browser_rounds_are_text() -> None:
    told = data(made(malicious()))
    asked = told["messages"][told["records"][-1]["input"]]["body"]
    assert asked["slot"] == {"#number": str(2**62)}
    assert asked["value"][1] == {"#number": "1.5"} and asked["value"][3] == {"#number": str(2**70)}


def test_of_two_marks_at_a_place_the_first_counts() -> None:
    records = logs.read(BAD)
    place = records[10].place
    told = data(made(records, Mark(place, "one", None, []), Mark(place, "two", None, [])))
    assert [each["mark"][0] for each in told["records"] if "mark" in each] == ["one"]


# In a browser.


def seen(text: str, folder: Path, *, script: str = "", place: str = "") -> dict[str, str]:
    """What the page says of itself in the attributes of its root, once a browser has shown it.

    A script is run in the page when it is there.
    """
    path = folder / "run.html"
    path.write_text(text.replace("</html>", f"<script>{script}</script></html>"), "utf-8")
    done = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1400,900",
            f"--user-data-dir={folder / 'profile'}",
            "--dump-dom",
            f"{path.as_uri()}{place}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    (folder / "dom.html").write_text(done.stdout, "utf-8")
    root = re.search(r"<html[^>]*>", done.stdout)
    assert root, done.stderr
    found = dict(re.findall(r'data-([\w-]+)="([^"]*)"', root[0]))
    assert "records" in found, f"the page did not come to its end: {done.stderr}"
    return {name: html.unescape(item) for name, item in found.items()}


@in_a_browser
def test_a_browser_shows_the_run(tmp_path: Path) -> None:
    found = export.make_run(
        "takeover", logs.read(BAD), 1, export.RECORDS_WITH_STATES, lambda text: None
    )
    told = seen(page.html(found.title, found.steps, found.states, found.marks), tmp_path)
    # Three nodes, three clients; each message sent once, but for those that clients sent.
    sent = sum(len(step.record.output) for step in found.steps)
    asked = sum(
        is_message(step.record.input) and step.record.input["src"][0] == "c" for step in found.steps
    )
    assert (told["records"], told["lanes"], told["marked"]) == ("18", "6", "1")
    assert told["arrows"] == str(sent + asked) and told["unsent"] == told["duplicate"] == "0"
    assert told["drawn-rows"] == "18" and told["drawn-arrows"] == told["arrows"]
    dom = (tmp_path / "dom.html").read_text("utf-8")
    assert "the specification requires another output here" in dom
    assert '<td>[0].body.value</td><td>"set x=1"</td><td>"set x=2"</td>' in dom
    assert "State of n2 before this record" in dom and "leads, votes s1" in dom


@in_a_browser
def test_lost_late_repeated_and_never_sent_messages(tmp_path: Path) -> None:
    sooner, later, lost = (message("a", "b", "decided", slot=i, value=i) for i in (1, 2, 3))
    told = seen(
        made(
            run(
                ("a", "timeout", [sooner, later, lost]),
                ("b", later, []),
                ("b", sooner, []),
                ("b", later, []),
                ("b", PING, []),
            )
        ),
        tmp_path,
    )
    counts = {kind: told[kind] for kind in ("lost", "overtaken", "duplicate", "unsent", "arrows")}
    assert counts == {"lost": "1", "overtaken": "1", "duplicate": "1", "unsent": "1", "arrows": "5"}


@in_a_browser
def test_a_part_of_a_run(tmp_path: Path) -> None:
    steps = causality.arrange(
        run(
            ("a", "timeout", [PING]),
            ("b", "timeout", [PONG]),
            ("a", PONG, []),
            ("b", PING, []),
            ("a", "timeout", []),
        )
    )
    told = seen(page.html("A part", steps, None, [], range(1, 4)), tmp_path)
    assert (told["records"], told["arrows"], told["unsent"], told["lost"]) == ("3", "2", "0", "0")
    assert "5 records" in (dom := (tmp_path / "dom.html").read_text("utf-8"))
    assert "showing 2 to 4" in dom


@in_a_browser
def test_malice_is_shown_as_text(tmp_path: Path) -> None:
    records = malicious()
    told = seen(
        made(records),
        tmp_path,
        script=PRESS
        + """
      let most = 0;
      for (let i = 0; i < 60; i++) {
        press("ArrowDown");
        most = Math.max(most, document.querySelectorAll("b, img, script").length);
      }
      const told = {title: document.title, chosen: location.hash, most};
      Object.assign(document.documentElement.dataset, told);
    """,
    )
    assert told["title"] == "A run <b>" and told["records"] == str(len(records))
    assert told["chosen"] == f"#{len(records)}", "every record was chosen once"
    assert told["most"] == "3", "the data, the page's own script and this one"


PRESS = """
const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
const chosen = () => document.querySelector("#panel h2").textContent;
const write = (text) => {
  document.getElementById("filter").value = text;
  document.getElementById("filter").dispatchEvent(new Event("input"));
  return document.getElementById("count").textContent;
};
"""


@in_a_browser
def test_keys_and_filter(tmp_path: Path) -> None:
    records = logs.read(BAD)
    script = (
        PRESS
        + """
      const said = [chosen()];
      for (const key of ["Home", "End", "ArrowUp", "s", "r", "ArrowLeft", "d"]) {
        press(key);
        said.push(chosen());
      }
      said.push(write("slot:2"), write("n3 prepare"), write("is:lost"), write("is:marked"));
      press("Escape");
      said.push(document.getElementById("count").textContent);
      document.documentElement.dataset.said = JSON.stringify(said);
    """
    )
    mark = Mark(records[10].place, "wrong", None, [])
    said = json.loads(seen(made(records, mark), tmp_path, script=script)["said"])
    places = [text.split(" · ")[0] for text in said[:8]]
    # The mark, the first, the last, the one before, where it was sent, received, back, the mark.
    assert places == ["11", "1", "18", "17", "13", "14", "12", "11"]
    assert said[8:] == [*(f"{number} of 18 records" for number in (1, 2, 6, 1)), ""]


@in_a_browser
def test_ten_thousand_messages(tmp_path: Path, record_property: Any) -> None:
    """Only what can be seen is drawn.  How long it takes is told, and not held against anything."""
    log: list[tuple[str, Any, list[Any]]] = []
    for slot in range(5000):
        there = message("a", "b", "accept", ballot=1, slot=slot, value=slot)
        back = message("b", "a", "accepted", ballot=1, slot=slot)
        log += [("a", "timeout", [there]), ("b", there, [back]), ("a", back, [])]
    script = (
        PRESS
        + """
      const times = [];
      for (let i = 0; i < 50; i++) {
        const begun = performance.now();
        press("PageDown");
        document.getElementById("chart").getBoundingClientRect();
        times.push(performance.now() - begun);
      }
      times.sort((one, other) => one - other);
      document.documentElement.dataset.page = times[25].toFixed(1);
      document.documentElement.dataset.said = write("slot:4321");
    """
    )
    told = seen(made(run(*log)), tmp_path, script=script, place="#7000")
    assert (told["records"], told["arrows"]) == ("15000", "10000")
    assert told["said"] == "3 of 15,000 records" and told["drawn-rows"] == "3"
    record_property("milliseconds to show it", told["milliseconds"])
    record_property("milliseconds for a page further, median", told["page"])
    print(f"10,000 messages: {told['milliseconds']} ms to show, {told['page']} ms a page further")
