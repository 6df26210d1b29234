// The panel: the selected record, and the states of all nodes after it.

const panel = document.getElementById("panel");
const DURABLE = ["promised", "accepted", "decided"];

function el(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, item] of Object.entries(attributes)) made.setAttribute(key, item);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function showPanel(record) {
  panel.replaceChildren(
    el("h2", {}, `${numberOf(record)} · ${record.node} · ${record.action}`),
    el("p", { class: "faint" }, record.place),
    ...problem(record.mark),
    ...input(record),
    ...output(record),
    ...nodesAfter(record),
    ...wholeState(record),
  );
  panel.scrollTop = 0;
}

function link(record) {
  const made = el("a", { href: `#${record.at + 1}` }, `${numberOf(record)} of ${record.node}`);
  made.addEventListener("click", (event) => {
    event.preventDefault();
    choose(record, true);
  });
  return made;
}

function problem(mark) {
  if (!mark) return [];
  const [reason, expected, found] = mark;
  const parts = [el("p", { class: "wrong" }, reason)];
  if (expected === undefined || expected === null) return parts;
  const lines = differences(expected, found).map((each) =>
    el(
      "tr",
      {},
      el("td", {}, each.path || "all"),
      el("td", {}, show(each.expected)),
      el("td", {}, show(each.found)),
    ),
  );
  parts.push(
    el(
      "table",
      { class: "differences" },
      el("tr", {}, el("th", {}, "where"), el("th", {}, "expected"), el("th", {}, "found")),
      ...lines,
    ),
  );
  for (const [title, messages] of [
    ["Expected", expected],
    ["Found", found],
  ]) {
    parts.push(el("h3", {}, title), el("pre", {}, messages.map(show).join("\n") || "nothing"));
  }
  return parts;
}

function input(record) {
  if (!record.message) return [el("h3", {}, "Input"), el("pre", {}, show(record.input))];
  const from = [`from ${record.message.src}`];
  if (sender(record)) from.push(", sent at ", link(sender(record)));
  else if (record.sent) from.push(", sent before this page begins");
  else if (begun.has(record.message.src)) from.push(", which may have sent it earlier");
  else if (logged.has(record.message.src)) from.push(", which never sent it");
  return [el("h3", {}, "Input"), el("p", {}, ...from), el("pre", {}, show(record.message.body))];
}

function output(record) {
  if (!record.messages.length)
    return [el("h3", {}, "Output"), el("p", { class: "faint" }, "nothing")];
  return [
    el("h3", {}, "Output"),
    ...record.messages.flatMap((message, index) => {
      const receipts = record.received[index],
        parts = [`to ${message.dest}`];
      receipts.forEach((receipt, number) =>
        parts.push(number ? ", again at " : ", received at ", link(receipt)),
      );
      if (!receipts.length && logged.has(message.dest)) parts.push(", never received");
      return [el("p", {}, ...parts), el("pre", {}, show(message.body))];
    }),
  ];
}

const ROLES = { leads: "leader", runs: "Phase 1", down: "down", follows: "follower" };

function nodesAfter(record) {
  if (!run.fresh)
    return [el("h3", {}, "States"), el("p", { class: "faint" }, "not included in this page")];
  const rows = run.nodes.map((node) => {
    const acting = node === record.node ? "acting" : "";
    const before = acting && stateBefore(record),
      state = before || stateAt(node, record.at);
    const cell = (name, text) =>
      el("td", { class: acting && name in (record.change ?? {}) ? "changed" : "" }, text);
    if (!state)
      return el(
        "tr",
        { class: acting },
        el("td", {}, node),
        el("td", { colspan: 6, class: "faint" }, "unknown from here on"),
      );
    const now = role(state);
    return el(
      "tr",
      { class: acting },
      el("td", {}, before ? `${node}, before` : node),
      el("td", { class: `${now}-word` }, ROLES[now]),
      cell("promised", show(state.promised)),
      cell("ballot", state.ballot ? show(state.ballot) : "–"),
      cell("accepted", String(state.accepted.size)),
      cell("decided", String(state.decided.size)),
      cell("waiting", String(state.waiting.length)),
    );
  });
  const heads = ["node", "role", "promised", "ballot", "votes", "decided", "waiting"];
  return [
    el("h3", {}, "States after this record, computed by the specification"),
    el(
      "table",
      { class: "states" },
      el("tr", {}, ...heads.map((name) => el("th", {}, name))),
      ...rows,
    ),
  ];
}

function wholeState(record) {
  const before = stateBefore(record),
    state = before ?? stateAt(record.node, record.at);
  if (!state) return [];
  const names = [
    ...DURABLE,
    ...Object.keys(state)
      .filter((name) => !DURABLE.includes(name))
      .sort(),
  ];
  return [
    el("h3", {}, `State of ${record.node} ${before ? "before" : "after"} this record`),
    el(
      "table",
      { class: "whole" },
      ...names.map((name) =>
        el(
          "tr",
          {},
          el("td", { class: name in (record.change ?? {}) ? "changed" : "" }, name),
          el("td", {}, ...wholeField(name, state[name])),
        ),
      ),
    ),
  ];
}

function wholeField(name, item) {
  const entries = item instanceof Map ? [...item.values()] : Array.isArray(item) ? item : null;
  if (!entries) return [show(item)];
  if (!entries.length) return ["–"];
  if (!(item instanceof Map) && name !== "waiting") return [show(item)];
  const text = entries.map(show).join("\n");
  if (entries.length <= 3) return [el("pre", {}, text)];
  return [
    el(
      "details",
      {},
      el("summary", {}, plural(entries.length, name === "waiting" ? "request" : "slot")),
      el("pre", {}, text),
    ),
  ];
}
