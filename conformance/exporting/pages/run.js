// The run: what the page was given, and what follows from it.  Nothing here is drawn.

const run = JSON.parse(document.getElementById("data").textContent);
const records = run.records;
const logged = new Set(run.nodes);
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
  record.taken = typeof record.input === "number" ? run.messages[record.input] : null;
  record.said = record.output.map((index) => run.messages[index]);
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

// An arrow goes from a record that sent a message to the one that took it.  One end is null where
// the other side has no log, where the message was lost, and where nobody sent it.
function findArrows() {
  const found = [];
  const newest = new Map();
  for (const record of records) {
    if (!record.taken) continue;
    const arrow = { message: record.taken, from: null, to: record, kind: "" };
    if (record.sent && record.sent[0] >= 0) {
      arrow.from = records[record.sent[0]];
      const receipts = arrow.from.received[record.sent[1]];
      arrow.kind = receipts.length ? "again" : overtaken(record, newest) ? "late" : "";
      receipts.push(record);
    } else if (!record.sent && logged.has(record.taken.src)) {
      arrow.kind = "unsent";
    }
    found.push(arrow);
  }
  for (const record of records) {
    record.said.forEach((message, index) => {
      if (record.received[index].length) return;
      const kind = logged.has(message.dest) ? "lost" : "";
      found.push({ message, from: record, to: null, kind });
    });
  }
  return found;
}

// Whether a message that was sent later, from the same node to the same node, came sooner.
function overtaken(record, newest) {
  const channel = JSON.stringify([record.taken.src, record.taken.dest]);
  const [step, index] = record.sent;
  const [newestStep, newestIndex] = newest.get(channel) ?? [-1, -1];
  if (step < newestStep || (step === newestStep && index < newestIndex)) return true;
  newest.set(channel, record.sent);
  return false;
}

// The record that sent what this one took, if it is here.
function sender(record) {
  return record.sent && records[record.sent[0]];
}

function count(kind) {
  return arrows.filter((arrow) => arrow.kind === kind).length;
}
