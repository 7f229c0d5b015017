/* What is known of one endpoint. */

let shownDetail = null;
let panelTakesFocus = false;

async function loadDetail(open) {
  const known = shownDetail && String(shownDetail.id) === open ? shownDetail.version : "";
  let data = null;
  try {
    if (open) data = await ask("/api/inventory/endpoint", { id: open, version: known });
  } catch (error) {
    if (error.status !== 404) throw error;
    open = "";
  }
  if (open && !data) return;
  $("body").classList.toggle("open", Boolean(open));
  $("detail").hidden = !open;
  if (!open) { closePanel(); return; }
  const fresh = !shownDetail || shownDetail.id !== data.id;
  shownDetail = data;
  renderDetail(data, fresh);
  if (panelTakesFocus) $("detail").focus({ preventScroll: true });
  panelTakesFocus = false;
}

/* Focus goes back to the row from which the panel was opened. */
function closePanel() {
  if (!shownDetail) return;
  const held = !document.activeElement || document.activeElement === document.body || $("detail").contains(document.activeElement);
  const row = rows.get(shownDetail.id);
  shownDetail = null;
  $("detail").replaceChildren();
  if (held && row) { reveal(row.line); row.link.focus({ preventScroll: true }); }
}

/* What has been read stays: samples change only when they are asked for. */
function renderDetail(data, fresh) {
  const panel = $("detail");
  if (fresh) {
    const close = el("button", { class: "plain", type: "button", "aria-label": "Close" }, "✕");
    close.addEventListener("click", () => go({ open: "" }));
    const copyPath = copier("Copy path", () => data.path);
    panel.replaceChildren(
      el("div", { class: "top" }, el("h2", {}, methodOf(data.method), ...pathOf(data.path)), el("span", {}, copyPath, " ", close)),
      el("div", { id: "facts" }), el("div", { id: "fields" }), el("div", { id: "samples" }), el("div", { id: "differences" }));
    panel.setAttribute("aria-label", "Endpoint");
    panel.scrollTop = 0;
  }
  $("facts").replaceChildren(...factsOf(data));
  $("fields").replaceChildren(...data.places.flatMap((place) => fieldsOf(place, data)), ...(data.full ? [el("p", { class: "facts" }, "Further fields are left out.")] : []));
  if (fresh) { renderSamples(data); renderCompare(data); }
  else offerSamples(data);
}

function factsOf(data) {
  const statuses = data.statuses.flatMap(([status, times]) => [statusOf(status, times), " "]);
  const facts = [
    el("p", { class: "facts" }, ...foreign(data.host), " · ", count(data.count, "entry", "entries"), data.leftOut ? " (sampling left out " + data.leftOut.toLocaleString("en") + " more)" : "", " · first seen ", when(data.first), " · last seen ", when(data.last)),
    el("p", { class: "facts" }, ...data.marks.flatMap((mark) => [el("span", { class: "mark" }, ...foreign(mark)), " "]), ...statuses),
  ];
  if (data.raised.length) {
    facts.push(el("ul", { class: "concerns", "aria-label": "Concerns" }, ...data.raised.map(([kind, sentence, times]) =>
      el("li", {}, el("b", {}, ...foreign(kind)), " × " + times.toLocaleString("en") + ". ", ...foreign(sentence)))));
  }
  if (data.found.length) {
    facts.push(el("h3", {}, "Sensitive values", el("span", { class: "soft" }, "entries")), fieldTable(data.found.map(([kind, place, name, times]) =>
      [[el("span", { class: "mark sensitive" }, kind)], foreign(place + (name ? ": " + name : "")), times.toLocaleString("en")])));
  }
  facts.push(el("h3", {}, "Authentication"), fieldTable(data.ways.map(([ways, times]) => [foreign(ways.join(" and ")), null, times.toLocaleString("en")])));
  if (data.operations.length) {
    facts.push(el("h3", {}, "Operations", el("span", { class: "soft" }, String(data.operations.length))),
      fieldTable(data.operations.map(([name, times]) => [foreign(name), null, times.toLocaleString("en")])));
  }
  return facts;
}

function when(time) {
  return el("span", { class: "when", "data-time": time });
}

const FORMS = { json: "JSON", form: "form", xml: "XML", events: "event stream", multipart: "multipart", grpc: "gRPC, by field number", text: "not read" };

function fieldsOf(place) {
  const form = FORMS[place.form] || place.form;
  const about = [form, place.media && place.form !== "json" ? place.media : ""].filter(Boolean).join(", ");
  const named = place.fields.map((field) => [
    foreign(field.name || "(the whole)"), typesOf(field),
    field.count < field.of ? field.count.toLocaleString("en") + " of " + field.of.toLocaleString("en") : "",
  ]);
  return [el("h3", {}, ...foreign(place.title), el("span", { class: "soft" }, ...foreign(about))), fieldTable(named)];
}

function typesOf(field) {
  const types = field.types.join(" | ");
  if (field.format) return [types + " ", el("span", { class: "format" }, field.format)];
  if (field.choices.length) return [types + " ", el("span", { class: "format" }, ...foreign(field.choices.join(", ")))];
  return [types];
}

function fieldTable(lines) {
  return el("table", { class: "fields" }, el("tbody", {}, ...lines.map(([name, types, times]) =>
    el("tr", {}, el("td", { class: "mono" }, ...name), ...(types === null ? [] : [el("td", {}, ...types)]), el("td", { class: "number" }, times)))));
}
