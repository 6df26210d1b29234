// Short labels for messages, events and changes, and values as JSON.

const FAMILY = new Map([
  ["prepare", "first"],
  ["promise", "first"],
  ["accept", "second"],
  ["accepted", "second"],
  ["decided", "learning"],
  ["poll", "learning"],
  ["learn", "learning"],
  ["learned", "learning"],
  ["rejected", "refusing"],
  ["error", "refusing"],
]);

function family(message) {
  return FAMILY.get(message.body.type) ?? "client";
}

// A value as JSON on one line, spaced as the logs are.
function show(value) {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (isNumber(value)) return value["#number"];
  const pairs = Object.entries(value).map(
    ([name, item]) => `${JSON.stringify(name)}: ${show(item)}`,
  );
  return `{${pairs.join(", ")}}`;
}

// A number that a browser cannot represent exactly is given as its text (see page.py).
function isNumber(value) {
  return value !== null && typeof value === "object" && typeof value["#number"] === "string";
}

function inShort(value) {
  const text = typeof value === "string" ? value : show(value);
  return text.length > 24 ? `${text.slice(0, 23)}…` : text;
}

function plural(number, what) {
  return `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
}

function messageLabel(message) {
  const body = message.body;
  const ballot = "ballot" in body ? ` b${inShort(body.ballot)}` : "";
  const slot = "slot" in body ? ` s${inShort(body.slot)}` : "";
  const value = "value" in body ? ` = ${inShort(body.value)}` : "";
  switch (body.type) {
    case "promise":
      return `promise${ballot}${many(body.accepted, "vote")}`;
    case "rejected":
      return `rejected for b${inShort(body.promised)}`;
    case "learned":
      return `learned${many(body.decided, "slot")}`;
    case "multi_paxos_propose":
      return `propose${slot}${value}`;
    case "multi_paxos_propose_ok":
      return `chosen${slot}${value}`;
    case "error":
      return `error ${inShort(body.code)}`;
    default:
      return `${inShort(body.type).replace("multi_paxos_", "")}${ballot}${slot}${value}`;
  }
}

// A refused message may have any shape.
function many(list, what) {
  return Array.isArray(list) && list.length ? ` ${plural(list.length, what)}` : "";
}

function inputLabel(record) {
  if (record.message) return messageLabel(record.message);
  const { input } = record;
  return typeof input === "string" ? input : `${input.event}${many(input.slots, "range")}`;
}

// What a record changed in the state of its node.
function effects(record) {
  const change = record.change,
    found = [];
  if (!change || record.input === "crash") return found;
  const before = roleAt(record.node, record.at - 1),
    now = roleAt(record.node, record.at);
  if ("promised" in change) found.push(`promises b${inShort(change.promised)}`);
  if (now === "leads" && before !== "leads") found.push("leads");
  if (now === "follows" && (before === "leads" || before === "runs")) found.push("stops leading");
  const voted = change.accepted?.[0].map((entry) => entry.slot) ?? [];
  if (voted.length) found.push(`votes ${slots(voted)}`);
  const decided = change.decided?.[0].map((entry) => entry.slot) ?? [];
  if (decided.length) found.push(`decides ${slots(decided)}`);
  return found;
}

function slots(found) {
  return found.length > 3
    ? plural(found.length, "slot")
    : found.map((slot) => `s${inShort(slot)}`).join(" ");
}

// The paths at which two values differ, each with both values.
function differences(expected, found, path = "") {
  if (show(expected ?? null) === show(found ?? null)) return [];
  const nested = (value) => value !== null && typeof value === "object" && !isNumber(value);
  if (!nested(expected) || !nested(found) || Array.isArray(expected) !== Array.isArray(found)) {
    return [{ path, expected, found }];
  }
  const names = new Set([...Object.keys(expected), ...Object.keys(found)]);
  return [...names].flatMap((name) =>
    differences(
      expected[name],
      found[name],
      Array.isArray(expected) ? `${path}[${name}]` : path ? `${path}.${name}` : name,
    ),
  );
}
