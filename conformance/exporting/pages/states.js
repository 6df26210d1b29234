// The state of each node after each record, computed from the change of each record.  A copy is kept
// every KEEP_EVERY records to begin from.

const KEEP_EVERY = 200;
const bySlot = new Set(run.bySlot);
const stepsOf = new Map(run.nodes.map((node) => [node, []]));
const rolesOf = new Map(run.nodes.map((node) => [node, []]));
for (const record of records) stepsOf.get(record.node).push(record);
const kept = new Map(run.nodes.map((node) => [node, [fresh()]]));
const knownOf = new Map(run.nodes.map((node) => [node, known(node)]));
for (const node of run.nodes) findRoles(node);

function fresh() {
  const state = {};
  for (const [name, item] of Object.entries(run.fresh ?? {})) {
    state[name] = bySlot.has(name) ? new Map() : item;
  }
  return state;
}

function change(state, record) {
  for (const [name, item] of Object.entries(record.change ?? {})) {
    if (!bySlot.has(name)) {
      state[name] = item;
      continue;
    }
    const [entries, gone] = item;
    for (const entry of entries) state[name].set(key(entry.slot), entry);
    for (const slot of gone) state[name].delete(key(slot));
  }
}

// A slot that is not a number here is the text of one (see page.py).
function key(slot) {
  return typeof slot === "number" ? slot : slot["#number"];
}

function copy(state) {
  const made = {};
  for (const [name, item] of Object.entries(state)) {
    made[name] = item instanceof Map ? new Map(item) : item;
  }
  return made;
}

// The number of a node's records up to a place in the run.
function stepsUntil(node, at) {
  return bisect(stepsOf.get(node), (record) => record.at > at);
}

// The index of the first item of a sorted list for which a predicate holds.
function bisect(list, holds) {
  let low = 0,
    high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(list[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

// The number of a node's records that the specification allows.  Only steps have a change.
function known(node) {
  const steps = stepsOf.get(node);
  const last = steps.findLastIndex((record) => record.change);
  const next = steps.findIndex((record, step) => step > last && isStep(record));
  return next < 0 ? steps.length : next;
}

function isStep(record) {
  return record.action !== "Init" && record.action !== "Refuse";
}

// A node's state after the record at this place of the run; null if it is unknown.
function stateAt(node, at) {
  const end = stepsUntil(node, at);
  return run.fresh && end <= knownOf.get(node) ? stateAfter(node, end) : null;
}

// A node's state before its first record that the specification does not allow, else null.
function stateBefore(record) {
  const end = knownOf.get(record.node);
  return run.fresh && stepsOf.get(record.node)[end] === record
    ? stateAfter(record.node, end)
    : null;
}

// A node's state after so many of its records.
function stateAfter(node, end) {
  const steps = stepsOf.get(node),
    copies = kept.get(node);
  const begin = Math.min(copies.length - 1, Math.floor(end / KEEP_EVERY));
  const state = copy(copies[begin]);
  for (let step = begin * KEEP_EVERY; step < end;) {
    change(state, steps[step++]);
    if (step % KEEP_EVERY === 0 && step / KEEP_EVERY === copies.length) copies.push(copy(state));
  }
  return state;
}

function role(state) {
  if (!state.up) return "down";
  if (!state.ballot) return "follows";
  return 2 * state.promises.length > run.members.length ? "leads" : "runs";
}

// Find the records at which a node's role changes.
function findRoles(node) {
  const state = { up: true, ballot: 0, promises: [] },
    roles = rolesOf.get(node);
  for (const [index, record] of stepsOf.get(node).entries()) {
    if (record.input === "crash") Object.assign(state, { up: false, ballot: 0, promises: [] });
    if (record.input === "restart") state.up = true;
    for (const name of ["up", "ballot", "promises"]) {
      if (record.change && name in record.change) state[name] = record.change[name];
    }
    const unknown = run.fresh && index >= knownOf.get(node);
    const found = unknown ? "unknown" : role(state);
    if (found !== roles.at(-1)?.role) roles.push({ at: record.at, role: found });
  }
}

function roleAt(node, at) {
  const roles = rolesOf.get(node);
  return roles[bisect(roles, (each) => each.at > at) - 1]?.role ?? "follows";
}
