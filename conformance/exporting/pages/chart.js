// The diagram: a row for each record, top to bottom, a lane for each node and for the clients.
// Every scroll draws the visible rows only, so the length of a run does not matter.

const ROW = 24,
  HEAD = 26,
  GUTTER = 62,
  LEAST_LANE = 118,
  LEAST_CLIENT = 70,
  BUCKET = 64;
const chart = document.getElementById("chart");
const space = document.getElementById("space");
const drawing = document.getElementById("drawing");
const view = { rows: records, rowOf: [], buckets: [], lefts: [], width: 0, chosen: null };

function svg(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, item] of Object.entries(attributes)) made.setAttribute(key, item);
  made.append(...children);
  return made;
}

// Show these records, a row each.
function setRows(rows) {
  view.rows = rows;
  view.rowOf = new Array(records.length).fill(-1);
  rows.forEach((record, row) => {
    view.rowOf[record.at] = row;
  });
  view.buckets = [];
  for (const arrow of arrows) {
    const [first, last] = span(arrow);
    if (first < 0) continue;
    for (let bucket = Math.floor(first / BUCKET); bucket <= last / BUCKET; bucket++)
      (view.buckets[bucket] ??= []).push(arrow);
  }
  space.style.height = `${Math.max(rows.length, 1) * ROW + ROW}px`;
  drawOverview();
}

// The first and last row of an arrow; -1 if neither of its ends has a row.
function span(arrow) {
  const ends = [arrow.from, arrow.to].filter(Boolean).map((record) => view.rowOf[record.at]);
  const shown = ends.filter((row) => row >= 0);
  return shown.length ? [Math.min(...shown), Math.max(...shown)] : [-1, -1];
}

function layOut() {
  const narrow = lanes.length - run.nodes.length;
  const width = chart.clientWidth - GUTTER - narrow * LEAST_CLIENT;
  const lane = Math.max(LEAST_LANE, Math.floor(width / Math.max(1, run.nodes.length)));
  view.lefts = lanes.map(
    (_, index) =>
      GUTTER +
      Math.min(index, run.nodes.length) * lane +
      Math.max(0, index - run.nodes.length) * LEAST_CLIENT,
  );
  view.width = GUTTER + run.nodes.length * lane + narrow * LEAST_CLIENT;
  space.style.width = `${view.width}px`;
  const heads = document.getElementById("heads");
  heads.style.width = `${view.width}px`;
  heads.replaceChildren(
    ...lanes.map((name, index) => {
      const head = document.createElement("span");
      head.textContent = name;
      head.title = logged.has(name) ? name : `${name} (no log)`;
      head.style.left = `${view.lefts[index]}px`;
      head.style.maxWidth = `${index < run.nodes.length ? lane - 6 : LEAST_CLIENT - 6}px`;
      head.classList.toggle("nolog", !logged.has(name));
      return head;
    }),
  );
}

const across = (name) => view.lefts[laneOf.get(name)] + 8;
const down = (row) => row * ROW + ROW / 2;

function draw() {
  const height = Math.max(chart.clientHeight - HEAD, ROW);
  const top = Math.min(chart.scrollTop, Math.max(0, view.rows.length * ROW + ROW - height));
  const first = Math.max(0, Math.floor(top / ROW) - 1);
  const last = Math.min(view.rows.length - 1, Math.ceil((top + height) / ROW) + 1);
  drawing.setAttribute("width", view.width);
  drawing.setAttribute("height", height);
  const shown = new Set();
  for (let bucket = Math.floor(first / BUCKET); bucket <= last / BUCKET; bucket++) {
    for (const arrow of view.buckets[bucket] ?? []) {
      const [begin, end] = span(arrow);
      if (end >= first - 1 && begin <= last + 1) shown.add(arrow);
    }
  }
  const rows = view.rows.slice(first, last + 1);
  const moved = svg("g", { transform: `translate(0 ${-top})` });
  moved.append(
    ...rows.map((record, index) => band(record, first + index)),
    ...lanes.flatMap((name) => life(name, first, last)),
    ...[...shown].map(line).filter(Boolean),
    ...rows.flatMap((record, index) => label(record, first + index)),
  );
  drawing.replaceChildren(moved);
  Object.assign(document.documentElement.dataset, {
    rows: view.rows.length,
    drawnRows: rows.length,
    drawnArrows: shown.size,
    firstRow: first,
  });
}

// The background of a row, which selects its record.
function band(record, row) {
  const group = svg(
    "g",
    { class: "row" },
    svg("rect", { x: 0, y: row * ROW, width: view.width, height: ROW }),
  );
  group.classList.toggle("chosen", record === view.chosen);
  group.classList.toggle("wrong", Boolean(record.mark));
  group.addEventListener("click", () => choose(record, false));
  return group;
}

// The vertical line of a node, drawn by its role after each record.
function life(name, first, last) {
  const x = across(name),
    parts = [];
  const bar = (role, from, to) =>
    parts.push(svg("path", { class: `life ${role}`, d: `M${x} ${from}V${to}` }));
  if (!logged.has(name)) {
    bar("nolog", first * ROW, (last + 1) * ROW);
    return parts;
  }
  let begin = first * ROW,
    role = first ? roleAt(name, view.rows[first - 1].at) : "follows";
  for (let row = first; row <= last; row++) {
    const now = roleAt(name, view.rows[row].at);
    if (now === role) continue;
    bar(role, begin, down(row));
    [begin, role] = [down(row), now];
  }
  bar(role, begin, (last + 1) * ROW);
  return parts;
}

// The coordinates of an arrow; null if the filter hides both ends.
function ends(arrow) {
  const { message, from, to, kind } = arrow;
  const near = (record) => (record ? view.rowOf[record.at] : -1);
  const [left, right] = [near(from), near(to)];
  const [x1, x2] = [across(message.src), across(message.dest)];
  if (left >= 0 && right >= 0) return [x1, down(left), x2, down(right)];
  const part = kind === "lost" || (to && from) ? 0.35 : kind === "unsent" ? 0.35 : 1;
  const reach = (x2 - x1) * part,
    drop = ROW * (part < 1 ? 0.8 : 0.42);
  if (left >= 0) return [x1, down(left), x1 + reach, down(left) + drop];
  return right >= 0 ? [x2 - reach, down(right) - drop, x2, down(right)] : null;
}

function line(arrow) {
  const found = ends(arrow);
  if (!found) return null;
  const [x1, y1, x2, y2] = found,
    angle = Math.atan2(y2 - y1, x2 - x1);
  const at = (length, turn) =>
    `${x2 - length * Math.cos(angle + turn)} ${y2 - length * Math.sin(angle + turn)}`;
  const lost = arrow.kind === "lost";
  const tip = lost
    ? `M${x2 - 4} ${y2 - 4}L${x2 + 4} ${y2 + 4}M${x2 - 4} ${y2 + 4}L${x2 + 4} ${y2 - 4}`
    : `M${at(4, 0)}L${at(11, 0.35)}L${at(11, -0.35)}Z`;
  const path = svg("path", {
    class: `arrow ${family(arrow.message)}`,
    d: `M${x1} ${y1}L${lost ? `${x2} ${y2}` : at(6, 0)}${tip}`,
  });
  if (arrow.kind) path.classList.add(arrow.kind);
  const chosen = view.chosen;
  path.classList.toggle("near", chosen !== null && (arrow.from === chosen || arrow.to === chosen));
  return path;
}

function label(record, row) {
  const x = across(record.node),
    y = down(row);
  const text = svg("text", { class: "label", x: x + 10, y: y + 4 }, inputLabel(record));
  const effect = effects(record);
  if (effect.length) text.append(svg("tspan", { class: "effect" }, `  ${effect.join(", ")}`));
  const number = svg("text", { class: "number", x: GUTTER - 10, y: y + 4 }, numberOf(record));
  return [
    number,
    svg("circle", { class: "dot", cx: x, cy: y, r: record.input === "crash" ? 5 : 3.5 }),
    text,
  ];
}

// The number of a record: its line if the run is in one file, else its place in the run.
function numberOf(record) {
  return String(run.files === 1 ? record.line : run.begin + record.at + 1);
}

// The overview: a column for each node, coloured by its role, and the marked records.
function drawOverview() {
  const canvas = document.getElementById("overview"),
    pen = canvas.getContext("2d");
  canvas.width = canvas.clientWidth;
  canvas.height = canvas.clientHeight;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  const tones = { leads: colour("--leads"), runs: colour("--runs"), down: colour("--wrong") };
  const wide = canvas.width / Math.max(1, run.nodes.length),
    tall = canvas.height / Math.max(1, view.rows.length);
  run.nodes.forEach((node, index) => {
    for (let y = 0; y < canvas.height; y++) {
      const record = view.rows[Math.floor(y / tall)];
      const found = record && tones[roleAt(node, record.at)];
      if (!found) continue;
      pen.fillStyle = found;
      pen.fillRect(index * wide + 1, y, wide - 2, 1);
    }
  });
  pen.fillStyle = tones.down;
  for (const record of marked) {
    if (view.rowOf[record.at] >= 0)
      pen.fillRect(0, view.rowOf[record.at] * tall - 1, canvas.width, 3);
  }
  pen.strokeStyle = colour("--ink");
  const seen = [(chart.scrollTop / ROW) * tall, Math.max(2, (chart.clientHeight / ROW) * tall)];
  pen.strokeRect(0.5, seen[0] + 0.5, canvas.width - 1, Math.min(seen[1], canvas.height - 1));
}
