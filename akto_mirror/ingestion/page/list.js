/* The list: of all lines, those that are seen are asked for and drawn. */

const list = $("list");
const scroller = document.querySelector("main");
const body = list.tBodies[0];
const narrow = matchMedia("(max-width: 900px)");
/* Lines above and below those that are seen, so that there is something when one scrolls. */
const BEYOND = 25;
/* Kinds of sensitive values in one line; the panel has all of them. */
const MAX_KINDS = 4;
const rows = new Map();
let lines = 0;
let drawn = { of: "", start: 0, page: [] };
/* The line that keys move from; `id` finds it again when the list has changed. */
const cursor = { line: -1, id: null, wanted: false, step: 1 };
const above = el("tr", { class: "pad", "aria-hidden": "true" }, el("td", { colspan: "6" }));
const below = el("tr", { class: "pad", "aria-hidden": "true" }, el("td", { colspan: "6" }));

function rowHeight() {
  return narrow.matches ? 54 : 34;
}

function seenRange() {
  const first = Math.floor(scroller.scrollTop / rowHeight());
  return [first, first + Math.ceil((scroller.clientHeight || innerHeight) / rowHeight())];
}

function wantedRange() {
  const at = Math.max(0, Math.min(lines - 1, cursor.line));
  const [first, last] = cursor.wanted ? [at, at + 1] : seenRange();
  const room = Math.ceil(innerHeight / rowHeight());
  const start = Math.max(0, first - BEYOND - (cursor.wanted ? room : 0));
  /* In steps, so that not every movement is another question. */
  const from = start - (start % 10);
  return { start: from, limit: Math.min(500, last - from + BEYOND + (cursor.wanted ? room : 0) + 10) };
}

function renderList(data, now) {
  lines = data.lines;
  const page = [...data.page, ...data.groups].sort((a, b) => a.line - b.line);
  drawn = { of: listed(now), start: data.start, page };
  const several = data.hosts > 1 && !now.host && now.order !== "path";
  const wanted = page.map((line) => ("group" in line ? groupRow(line) : rowOf(line, several)));
  pad(above, Math.min(data.start, data.lines));
  pad(below, Math.max(0, data.lines - data.start - page.length));
  place(body, [above, ...wanted, below]);
  for (const [id, row] of rows) if (!row.tr.isConnected) rows.delete(id);
  list.setAttribute("aria-rowcount", String(data.lines + 1));
  for (const head of list.querySelectorAll("th[data-order]")) {
    if (head.dataset.order === now.order) head.setAttribute("aria-sort", now.order === "path" ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  }
  renderCursor();
}

function pad(row, number) {
  row.firstChild.style.height = number * rowHeight() + "px";
  row.hidden = number === 0;
}

/* Rows stay in place, so that focus and selection do too. */
function place(parent, wanted) {
  let at = parent.firstChild;
  for (const child of wanted) {
    if (child === at) at = at.nextSibling;
    else parent.insertBefore(child, at);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function groupRow(line) {
  const key = "group " + line.group;
  const row = rows.get(key) || { tr: el("tr", { class: "host" }, el("td", { colspan: "6", title: flat(line.group) }, ...foreign(line.group), el("span", { class: "soft" }))) };
  rows.set(key, row);
  setText(row.tr.firstChild.lastChild, count(line.endpoints, "endpoint", "endpoints"));
  return row.tr;
}

function rowOf(endpoint, withHost) {
  let row = rows.get(endpoint.id);
  if (!row) {
    row = makeRow(endpoint);
    rows.set(endpoint.id, row);
  } else if (row.seen !== endpoint.seen) {
    row.tr.classList.add("fresh");
    setTimeout(() => row.tr.classList.remove("fresh"), 300);
  }
  row.line = endpoint.line;
  row.tr.setAttribute("aria-rowindex", String(endpoint.line + 2));
  row.link.href = hashOf({ open: String(endpoint.id) });
  row.of.replaceChildren(...(withHost ? foreign(endpoint.host) : []));
  if (row.seen === endpoint.seen) return row.tr;
  row.seen = endpoint.seen;
  row.auth.replaceChildren(...endpoint.auth.flatMap((kind, n) => [n ? ", " : "", el("span", kind === "none" ? { class: "none" } : {}, kind)]));
  row.statuses.replaceChildren(...endpoint.statuses.map(([status]) => statusOf(status)));
  setText(row.count, endpoint.count.toLocaleString("en"));
  row.last.dataset.time = endpoint.last;
  row.last.title = "";
  row.more.replaceChildren(...marksOf(endpoint), ...askedOf(endpoint));
  return row.tr;
}

function makeRow(endpoint) {
  const row = {
    seen: 0, id: endpoint.id, of: el("span", { class: "of" }), more: el("span", { class: "more" }), auth: el("td"),
    statuses: el("td", { class: "mono" }), count: el("td", { class: "number" }), last: el("td", { class: "number soft when" }),
  };
  row.link = el("a", { title: flat(endpoint.path), tabindex: "-1" }, row.of, ...pathOf(endpoint.path));
  const where = el("div", { class: "where mono" }, row.link, row.more);
  row.tr = el("tr", { class: "row" }, el("td", {}, methodOf(endpoint.method)), el("td", {}, where), row.auth, row.statuses, row.count, row.last);
  row.tr.addEventListener("click", (event) => {
    setCursor(row);
    /* A click of the keyboard has no position: focus goes on to what it opens. */
    panelTakesFocus = event.detail === 0;
    if (!event.target.closest("a") && !String(getSelection())) location.hash = row.link.hash;
  });
  row.link.addEventListener("focus", () => setCursor(row));
  return row;
}

function methodOf(method) {
  const made = el("span", { class: "method mono" }, ...foreign(method || "(none)"));
  if (/^[A-Z]+$/.test(method)) made.classList.add(method);
  return made;
}

function pathOf(path) {
  return (path || "(no path)").split(/({id})/).flatMap((part) => (part === "{id}" ? [el("span", { class: "id" }, part)] : foreign(part)));
}

function statusOf(status, times) {
  const label = status || "none";
  return el("span", { class: "status s" + (/^[1-5]/.test(label) ? label[0] : "0") }, ...foreign(label), ...(times ? [" × " + times.toLocaleString("en")] : []));
}

function marksOf(endpoint) {
  return [
    ...endpoint.marks.map((mark) => el("span", { class: "mark" }, ...foreign(mark))),
    ...endpoint.concerns.map((kind) => el("span", { class: "mark concern" }, ...foreign(kind))),
    ...endpoint.sensitive.slice(0, MAX_KINDS).map((kind) => el("span", { class: "mark sensitive", title: "Sensitive values: " + endpoint.sensitive.join(", ") }, kind)),
  ].flatMap((mark) => [mark, " "]);
}

function askedOf(endpoint) {
  const names = endpoint.operations.map(([name]) => name);
  if (endpoint.more) names.push("+ " + endpoint.more + " more");
  return names.length ? [el("span", { class: "asked" }, ...foreign(names.join(", ")))] : [];
}

function markChosen(open) {
  for (const row of rows.values()) if (row.link) row.tr.classList.toggle("chosen", String(row.id) === open);
}

function setCursor(row) {
  cursor.line = row.line;
  cursor.id = row.id;
  for (const each of rows.values()) each.link?.setAttribute("tabindex", each === row ? "0" : "-1");
}

/* Exactly one link is reached by Tab: that of the cursor or, while it is not drawn, the first one. */
function renderCursor() {
  const known = rows.get(cursor.id);
  if (known && !cursor.wanted) cursor.line = known.line;
  if (cursor.wanted) { focusCursor(); return; }
  const held = known || [...rows.values()].find((row) => row.link);
  for (const row of rows.values()) row.link?.setAttribute("tabindex", row === held ? "0" : "-1");
}

function move(steps) {
  const open = [...rows.values()].find((row) => row.link && String(row.id) === view().open);
  const from = cursor.line >= 0 ? cursor.line : open ? open.line : seenRange()[0] - (steps > 0 ? 1 : 0);
  moveTo(from + steps, Math.sign(steps));
}

function moveTo(line, step) {
  Object.assign(cursor, { line, step, wanted: true });
  /* While another list is awaited, it is that one which is meant. */
  if (drawn.of === listed(view())) focusCursor();
  else refresh();
}

/* Which list a view shows, whatever part of it. */
function listed(now) {
  return JSON.stringify([now.q, now.host, now.order]);
}

/* Focus the cursor's row; a host's name is passed over, in the direction of the movement. */
function focusCursor() {
  cursor.line = Math.max(0, Math.min(lines - 1, cursor.line));
  if (!lines) { cursor.wanted = false; return; }
  const found = drawn.page[cursor.line - drawn.start];
  if (!found) { refresh(); return; }
  if ("group" in found) {
    const step = cursor.line === 0 ? 1 : cursor.step;
    moveTo(cursor.line + step, step);
    return;
  }
  cursor.wanted = false;
  const row = rows.get(found.id);
  reveal(cursor.line);
  row.link.focus({ preventScroll: true });
  setCursor(row);
  if (view().open && view().open !== String(found.id)) go({ open: String(found.id) }, { replace: true });
}

function reveal(line) {
  const top = line * rowHeight();
  const head = list.tHead.offsetHeight;
  const bottom = scroller.scrollTop + scroller.clientHeight - head - rowHeight();
  if (top < scroller.scrollTop) scroller.scrollTop = top - (line ? rowHeight() : 0);
  else if (top > bottom) scroller.scrollTop = top - scroller.clientHeight + head + 2 * rowHeight();
}

let scrolled = false;
scroller.addEventListener("scroll", () => {
  if (scrolled) return;
  scrolled = true;
  requestAnimationFrame(() => {
    scrolled = false;
    const [first, last] = seenRange();
    const end = drawn.start + drawn.page.length;
    if (first < drawn.start || (last > end && end < lines)) refresh();
  });
}, { passive: true });
narrow.addEventListener("change", () => refresh());
addEventListener("resize", () => refresh());
