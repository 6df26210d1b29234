"""The page of a run: it is complete, escapes everything from the log, and works in a browser.

The browser is CHROMIUM, or the first of its usual names that is found.  Without one, the tests in
a browser are skipped.
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
from tests.support.processes import PATIENCE
from tests.support.runs import PING, PONG, STRANGE, message, run

NAMES = ("chromium", "chromium-browser", "chromium-headless-shell", "google-chrome")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
in_a_browser = pytest.mark.skipif(
    BROWSER is None,
    reason=f"no browser: none of {', '.join(NAMES)}, and CHROMIUM is not set; install the package "
    "chromium (apt-get install chromium), or set CHROMIUM to the path of one",
)

HOSTILE_TEXTS = [
    "</script><script>document.title = 'broken'</script>",
    "<!--<script>",
    "]]>",
    "\u2028",
    "<img src=x onerror=\"document.title = 'broken'\">",
    "@DATA@ @STYLE@ @SCRIPT@",
    "@@DATA@@ @@STYLE@@ @@SCRIPT@@",
    "&lt;b&gt;",
    "</SCRIPT >",
    "javascript:alert(1)",
    "${broken} `",
    "'\"",
    "__proto__",
    "constructor",
]


def page_of(records: list[Record], *marks: Mark, states: States | None = None) -> str:
    return page.html("A run <b>", causality.arrange(records), states, marks)


def hostile_records() -> list[Record]:
    """Return records with hostile texts in every field that a client or node can choose."""
    log = []
    for text in HOSTILE_TEXTS:
        ask = message(text, "a", "multi_paxos_propose", msg_id=1, slot=1, value={text: [text]})
        refused = message(text, "a", text, **{"msg_id": 1, text: None})
        error = message("a", text, "error", in_reply_to=1, code=12, text=text)
        log += [("a", ask, [PING, PONG]), ("a", refused, [error]), (text, "timeout", [])]
    log += [("a", message("c", "a", kind, msg_id=1), []) for kind in ("promise", "learned")]
    values = [*STRANGE, float("nan"), float("inf")]
    strange = message("c", "a", "multi_paxos_propose", msg_id=1, slot=2**62, value=values)
    return run(*log, ("a", strange, []), path="</title><script>broken</script>")


def openings(text: str) -> list[str]:
    """Return everything that may begin or end an element, or begin a comment."""
    return re.findall(r"<[A-Za-z/!?][^\s>]*", text)


def data(text: str) -> Any:
    """Return the data in the page, parsed as strictly as a browser does."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    [found] = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    assert "<" not in found
    return json.loads(found, parse_constant=refuse)


def test_page_has_every_record() -> None:
    records = logs.read(OK)
    shown = data(page_of(records))
    assert [(each["node"], each["action"], each["place"]) for each in shown["records"]] == [
        (record.node, record.action, record.place) for record in records
    ]
    for each, record in zip(shown["records"], records, strict=True):
        taken = each["input"]
        assert (taken if isinstance(taken, str) else shown["messages"][taken]) == record.input
        assert [shown["messages"][number] for number in each["output"]] == record.output
    assert shown["nodes"] == shown["members"] == ["n1", "n2", "n3"]


def test_text_of_a_log_is_escaped() -> None:
    records = hostile_records()
    marks = [
        Mark(each.place, text, [text], [text])
        for each, text in zip(records, HOSTILE_TEXTS, strict=False)
    ]
    found = openings(page_of(records, *marks))
    assert found == openings(page_of(logs.read(OK))) and found.count("<script") == 2


def test_page_loads_no_resources() -> None:
    text = page_of(logs.read(OK))
    assert "default-src 'none'" in text and not re.search(r"\b(?:src|href)=", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}


def test_numbers_that_a_browser_rounds_are_strings() -> None:
    shown = data(page_of(hostile_records()))
    asked = shown["messages"][shown["records"][-1]["input"]]["body"]
    assert asked["slot"] == {"#number": str(2**62)}
    assert asked["value"][1] == {"#number": "1.5"} and asked["value"][3] == {"#number": str(2**70)}


def test_first_of_two_marks_is_shown() -> None:
    records = logs.read(BAD)
    place = records[10].place
    shown = data(page_of(records, Mark(place, "one", None, []), Mark(place, "two", None, [])))
    assert [each["mark"][0] for each in shown["records"] if "mark" in each] == ["one"]


# In a browser.


def render(text: str, folder: Path, *, script: str = "", place: str = "") -> dict[str, str]:
    """Return the data attributes of the page's root element after a browser has rendered it.

    The script, if any, runs in the page.
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
        timeout=PATIENCE,
        check=True,
    )
    (folder / "dom.html").write_text(done.stdout, "utf-8")
    root = re.search(r"<html[^>]*>", done.stdout)
    assert root, done.stderr
    found = dict(re.findall(r'data-([\w-]+)="([^"]*)"', root[0]))
    assert "records" in found, f"the page did not finish: {done.stderr}"
    return {name: html.unescape(item) for name, item in found.items()}


@in_a_browser
def test_browser_shows_the_run(tmp_path: Path) -> None:
    found = export.make_run(
        "takeover", logs.read(BAD), 1, export.RECORDS_WITH_STATES, lambda text: None
    )
    shown = render(page.html(found.title, found.steps, found.states, found.marks), tmp_path)
    # Three nodes, three clients; each message sent once, but for those that clients sent.
    sent = sum(len(step.record.output) for step in found.steps)
    asked = sum(
        is_message(step.record.input) and step.record.input["src"][0] == "c" for step in found.steps
    )
    assert (shown["records"], shown["lanes"], shown["marked"]) == ("18", "6", "1")
    assert shown["arrows"] == str(sent + asked) and shown["unsent"] == shown["duplicate"] == "0"
    assert shown["drawn-rows"] == "18" and shown["drawn-arrows"] == shown["arrows"]
    dom = (tmp_path / "dom.html").read_text("utf-8")
    assert "the specification requires another output here" in dom
    assert '<td>[0].body.value</td><td>"set x=1"</td><td>"set x=2"</td>' in dom
    assert "State of n2 before this record" in dom and "leads, votes s1" in dom


@in_a_browser
def test_lost_late_repeated_and_unsent_messages_are_counted(tmp_path: Path) -> None:
    sooner, later, lost = (message("a", "b", "decided", slot=i, value=i) for i in (1, 2, 3))
    shown = render(
        page_of(
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
    counts = {kind: shown[kind] for kind in ("lost", "overtaken", "duplicate", "unsent", "arrows")}
    assert counts == {"lost": "1", "overtaken": "1", "duplicate": "1", "unsent": "1", "arrows": "5"}


@in_a_browser
def test_part_of_a_run_is_shown(tmp_path: Path) -> None:
    steps = causality.arrange(
        run(
            ("a", "timeout", [PING]),
            ("b", "timeout", [PONG]),
            ("a", PONG, []),
            ("b", PING, []),
            ("a", "timeout", []),
        )
    )
    shown = render(page.html("A part", steps, None, [], range(1, 4)), tmp_path)
    assert (shown["records"], shown["arrows"], shown["unsent"], shown["lost"]) == (
        "3",
        "2",
        "0",
        "0",
    )
    assert "5 records" in (dom := (tmp_path / "dom.html").read_text("utf-8"))
    assert "showing 2 to 4" in dom


@in_a_browser
def test_hostile_texts_are_shown_as_text(tmp_path: Path) -> None:
    records = hostile_records()
    shown = render(
        page_of(records),
        tmp_path,
        script=PRESS
        + """
      let most = 0;
      for (let i = 0; i < 60; i++) {
        press("ArrowDown");
        most = Math.max(most, document.querySelectorAll("b, img, script").length);
      }
      const shown = {title: document.title, chosen: location.hash, most};
      Object.assign(document.documentElement.dataset, shown);
    """,
    )
    assert shown["title"] == "A run <b>" and shown["records"] == str(len(records))
    assert shown["chosen"] == f"#{len(records)}", "every record was chosen once"
    assert shown["most"] == "3", "the data, the page's own script and this one"


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
def test_keys_and_filter_select_records(tmp_path: Path) -> None:
    records = logs.read(BAD)
    script = (
        PRESS
        + """
      const log = [chosen()];
      for (const key of ["Home", "End", "ArrowUp", "s", "r", "ArrowLeft", "d"]) {
        press(key);
        log.push(chosen());
      }
      log.push(write("slot:2"), write("n3 prepare"), write("is:lost"), write("is:marked"));
      press("Escape");
      log.push(document.getElementById("count").textContent);
      document.documentElement.dataset.log = JSON.stringify(log);
    """
    )
    mark = Mark(records[10].place, "wrong", None, [])
    log = json.loads(render(page_of(records, mark), tmp_path, script=script)["log"])
    places = [text.split(" · ")[0] for text in log[:8]]
    # Marked, first, last, previous, sender, receiver, previous of its node, marked.
    assert places == ["11", "1", "18", "17", "13", "14", "12", "11"]
    assert log[8:] == [*(f"{number} of 18 records" for number in (1, 2, 6, 1)), ""]


@in_a_browser
def test_page_of_ten_thousand_messages_draws_visible_rows(
    tmp_path: Path, record_property: Any
) -> None:
    """Only visible rows are drawn.  The time is reported, and not checked."""
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
      document.documentElement.dataset.count = write("slot:4321");
    """
    )
    shown = render(page_of(run(*log)), tmp_path, script=script, place="#7000")
    assert (shown["records"], shown["arrows"]) == ("15000", "10000")
    assert shown["count"] == "3 of 15,000 records" and shown["drawn-rows"] == "3"
    record_property("milliseconds to render", shown["milliseconds"])
    record_property("milliseconds to scroll a page, median", shown["page"])
    print(f"10,000 messages: {shown['milliseconds']} ms to render, {shown['page']} ms a page")
