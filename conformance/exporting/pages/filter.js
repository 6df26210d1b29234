// The filter.

// Whether a record matches every term of the filter.
function matches(record, terms) {
  return terms.every((term) => {
    const [name, ...rest] = term.split(":"),
      wanted = rest.join(":");
    if (name === "slot" && wanted) return mentions(record, wanted);
    if (name === "ballot" && wanted)
      return messagesOf(record).some((m) =>
        [m.body.ballot, m.body.promised].some((b) => same(b, wanted)),
      );
    if (name === "is" && wanted) return isKind(record, wanted);
    if (logged.has(term)) return record.node === term;
    return textOf(record).includes(term.toLowerCase());
  });
}

const same = (item, text) => item !== undefined && show(item) === text;
const messagesOf = (record) => [record.message, ...record.messages].filter(Boolean);

function mentions(record, slot) {
  return messagesOf(record).some(
    ({ body }) =>
      same(body.slot, slot) ||
      [body.accepted, body.decided, body.log].some(
        (list) => Array.isArray(list) && list.some((entry) => same(entry?.slot, slot)),
      ),
  );
}

function isKind(record, kind) {
  if (kind === "marked") return Boolean(record.mark);
  if (kind === "changed") return Object.keys(record.change ?? {}).length > 0;
  return kinds.get(record)?.has(kind) ?? false;
}

const kinds = new Map();
for (const { from, to, kind } of arrows) {
  if (!kind) continue;
  for (const record of [from, to].filter(Boolean)) {
    if (!kinds.has(record)) kinds.set(record, new Set());
    kinds.get(record).add(kind);
  }
}

function textOf(record) {
  record.text ??= [record.action, record.place, inputLabel(record), ...messagesOf(record).map(show)]
    .join(" ")
    .toLowerCase();
  return record.text;
}
