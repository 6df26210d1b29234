// The run: the data of the page, and what follows from it.  Nothing is drawn here.

const run = JSON.parse(document.getElementById("data").textContent);
const records = run.records;
const logged = new Set(run.nodes);
// Nodes whose logs begin with a state: they may have sent something before.
const begun = new Set(records.filter((each) => each.action === "State").map((each) => each.node));
const peers = run.members.filter((node) => !logged.has(node));
const clients = findClients();
const MOST_CLIENT_LANES = 3;
const together = clients.length > MOST_CLIENT_LANES;

// A lane for each node, for each member without a log, and for the clients.
const lanes = [...run.nodes, ...peers, ...(together ? [`${clients.length} clients`] : clients)];
const laneOf = new Map(lanes.map((name, lane) => [name, lane]));
if (together) for (const client of clients) laneOf.set(client, lanes.length - 1);

records.forEach((record, at) => {
  record.at = at;
  record.message = typeof record.input === "number" ? run.messages[record.input] : null;
  record.messages = record.output.map((index) => run.messages[index]);
  record.received = record.output.map(() => []);
});
const arrows = findArrows();
const marked = records.filter((record) => record.mark);

function findClients() {
  const found = new Set();
  for (const message of run.messages) {
    for (const name of [message.src, message.dest]) {
      if (!logged.has(name) && !run.members.includes(name)) found.add(name);
    }
  }
  return [...found].sort();
}

// An arrow goes from the record that sent a message to the one that received it.  One end is null if
// the other side has no log, if the message was lost, or if it was never sent.
function findArrows() {
  const found = [];
  const newest = new Map();
  for (const record of records) {
    if (!record.message) continue;
    const arrow = { message: record.message, from: null, to: record, kind: "" };
    if (record.sent && record.sent[0] >= 0) {
      arrow.from = records[record.sent[0]];
      const receipts = arrow.from.received[record.sent[1]];
      arrow.kind = receipts.length ? "duplicate" : overtaken(record, newest) ? "overtaken" : "";
      receipts.push(record);
    } else if (!record.sent && logged.has(arrow.message.src) && !begun.has(arrow.message.src)) {
      arrow.kind = "unsent";
    }
    found.push(arrow);
  }
  for (const record of records) {
    record.messages.forEach((message, index) => {
      if (record.received[index].length) return;
      const kind = logged.has(message.dest) ? "lost" : "";
      found.push({ message, from: record, to: null, kind });
    });
  }
  return found;
}

// Whether a message that the same node sent later to the same node was received earlier.
function overtaken(record, newest) {
  const channel = JSON.stringify([record.message.src, record.message.dest]);
  const [step, index] = record.sent;
  const [newestStep, newestIndex] = newest.get(channel) ?? [-1, -1];
  if (step < newestStep || (step === newestStep && index < newestIndex)) return true;
  newest.set(channel, record.sent);
  return false;
}

// The record that sent the message of this one, if it is on this page.
function sender(record) {
  return record.sent && records[record.sent[0]];
}

function count(kind) {
  return arrows.filter((arrow) => arrow.kind === kind).length;
}
