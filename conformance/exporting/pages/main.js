// The controls: select a record, filter, move between records.

const filter = document.getElementById("filter");
const COUNTED = {
  lost: "lost",
  overtaken: "overtaken",
  duplicate: "received again",
  unsent: "never sent",
};

const KEYS = {
  ArrowDown: ["↓", "next record", () => step(1)],
  ArrowUp: ["↑", "previous record", () => step(-1)],
  PageDown: ["PgDn", "next screen", () => step(screen())],
  PageUp: ["PgUp", "previous screen", () => step(-screen())],
  Home: ["Home", "first record", () => step(-Infinity)],
  End: ["End", "last record", () => step(Infinity)],
  ArrowRight: ["→", "next record of the same node", () => stepInNode(1)],
  ArrowLeft: ["←", "previous record of the same node", () => stepInNode(-1)],
  s: ["s", "where the input was sent", () => go(sender(view.chosen))],
  r: ["r", "where an output is received; press again for the next one", () => go(nextReceipt())],
  d: ["d", "next marked record", () => go(nextMark())],
  "/": ["/", "edit the filter", () => filter.focus()],
  Escape: ["Esc", "clear the filter", () => setFilter("")],
  "?": ["?", "show or hide this list", toggleLegend],
};

function choose(record, scroll) {
  if (!record) return;
  if (view.rowOf[record.at] < 0) setFilter("");
  view.chosen = record;
  history.replaceState(null, "", `#${record.at + 1}`);
  if (scroll) reveal(record);
  draw();
  showPanel(record);
}

function reveal(record) {
  const y = view.rowOf[record.at] * ROW,
    height = chart.clientHeight - HEAD - ROW;
  if (y < chart.scrollTop + ROW || y > chart.scrollTop + height - ROW) chart.scrollTop = y - height / 2;
  const x = across(record.node);
  if (x < chart.scrollLeft || x + LEAST_LANE > chart.scrollLeft + chart.clientWidth) {
    chart.scrollLeft = x - GUTTER;
  }
}

const go = (record) => choose(record, true);
const screen = () => Math.max(1, Math.floor((chart.clientHeight - HEAD) / ROW) - 2);

function step(rows) {
  const last = view.rows.length - 1;
  go(view.rows[Math.max(0, Math.min(last, view.rowOf[view.chosen.at] + rows))]);
}

function stepInNode(by) {
  const steps = stepsOf.get(view.chosen.node);
  go(steps[stepsUntil(view.chosen.node, view.chosen.at) - 1 + by]);
}

// Go through the receipts of a record's outputs, one after the other.
let cycle = null;
function nextReceipt() {
  const from = cycle?.receipts.includes(view.chosen) ? cycle.record : view.chosen;
  const receipts = from.received.flat().sort((one, other) => one.at - other.at);
  cycle = { record: from, receipts };
  return receipts[(receipts.indexOf(view.chosen) + 1) % Math.max(1, receipts.length)];
}

function nextMark() {
  return marked.find((record) => record.at > view.chosen.at) ?? marked[0];
}

function setFilter(text) {
  filter.value = text;
  const terms = text.split(/\s+/).filter(Boolean);
  setRows(terms.length ? records.filter((record) => matches(record, terms)) : records);
  document.getElementById("count").textContent = terms.length
    ? `${view.rows.length.toLocaleString("en")} of ${plural(records.length, "record")}`
    : "";
  if (view.chosen && view.rowOf[view.chosen.at] >= 0) reveal(view.chosen);
  else chart.scrollTop = 0;
  draw();
}

function toggleLegend() {
  const legend = document.getElementById("legend");
  legend.hidden = !legend.hidden;
  document.getElementById("help").setAttribute("aria-expanded", String(!legend.hidden));
  layOut();
  draw();
}

function fillLegend() {
  const line = (sign, text, kind = "sign") =>
    el("div", {}, el(kind === "kbd" ? "kbd" : "span", { class: kind }, sign), text);
  document
    .getElementById("legend")
    .append(
      ...Object.values(KEYS).map(([sign, text]) => line(sign, text, "kbd")),
      line("slot:5", "filter: messages with this slot"),
      line("ballot:7", "filter: messages with this ballot"),
      line("is:lost", "filter; also overtaken, duplicate, unsent, marked, changed"),
      line("×", "sent, but not received in these logs"),
      line("— —", "overtaken by a message that was sent later"),
      line("· · ·", "received again"),
      line("thick", "a node that leads (green) or is in Phase 1 (yellow)"),
      line("dotted", "a node that is down; dashed: its state is unknown from here on"),
      line(
        "colours",
        "violet Phase 1, blue Phase 2, green learning, orange refusals, grey clients",
      ),
    );
}

function facts() {
  const parts = [
    plural(run.length, "record"),
    plural(run.nodes.length, "node"),
    plural(arrows.length, "message"),
  ];
  for (const [kind, text] of Object.entries(COUNTED))
    if (count(kind)) parts.push(`${count(kind).toLocaleString("en")} ${text}`);
  const ended = run.nodes.filter((node) => knownOf.get(node) < stepsOf.get(node).length);
  if (records.length < run.length) {
    parts.push(`showing ${numberOf(records[0])} to ${numberOf(records.at(-1))}`);
  }
  if (!run.fresh) parts.push("without states");
  else if (ended.length) parts.push(`states unknown from ${ended.map(unknownFrom).join(", ")} on`);
  return parts.join(" · ");
}

function unknownFrom(node) {
  return `${numberOf(stepsOf.get(node)[knownOf.get(node)])} (${node})`;
}

function begin(started) {
  document.title = run.title;
  document.getElementById("title").textContent = run.title;
  document.getElementById("facts").textContent = facts();
  fillLegend();
  document.getElementById("marks").append(
    ...marked.slice(0, 5).map((record) => {
      const button = el(
        "button",
        { type: "button" },
        `${record.place}: ${record.node}: ${record.mark[0]}`,
      );
      button.addEventListener("click", () => go(record));
      return button;
    }),
  );
  layOut();
  setRows(records);
  const asked = records[Number(location.hash.slice(1)) - 1];
  go(asked ?? marked[0] ?? records[0]);
  listen();
  Object.assign(document.documentElement.dataset, {
    records: records.length,
    lanes: lanes.length,
    arrows: arrows.length,
    marked: marked.length,
    lost: count("lost"),
    overtaken: count("overtaken"),
    duplicate: count("duplicate"),
    unsent: count("unsent"),
    milliseconds: Math.round(performance.now() - started),
  });
}

function listen() {
  let asked = false;
  const later = () => {
    if (!asked)
      requestAnimationFrame(() => {
        asked = false;
        draw();
        drawOverview();
      });
    asked = true;
  };
  chart.addEventListener("scroll", later);
  new ResizeObserver(() => {
    layOut();
    draw();
    drawOverview();
  }).observe(chart);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later);
  filter.addEventListener("input", () => setFilter(filter.value));
  document.getElementById("help").addEventListener("click", toggleLegend);
  document.getElementById("overview").addEventListener("click", (event) => {
    const row = Math.floor((event.offsetY / event.target.clientHeight) * view.rows.length);
    go(view.rows[Math.min(row, view.rows.length - 1)]);
  });
  window.addEventListener("hashchange", () => go(records[Number(location.hash.slice(1)) - 1]));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === filter && event.key !== "Escape") {
      if (event.key === "Enter" || event.key === "ArrowDown") chart.focus();
      return;
    }
    const key = KEYS[event.key];
    if (!key) return;
    event.preventDefault();
    key[2]();
  });
}

begin(performance.now());
