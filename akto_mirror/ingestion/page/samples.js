/* The latest samples of an endpoint, and what differs between two of them. */

function renderSamples(data) {
  const head = el("h3", {}, "Latest samples", el("span", { class: "soft" }, data.samples.length ? "" : "no longer kept"));
  renderSamples.newest = data.samples.length ? data.samples[0].number : "";
  $("samples").replaceChildren(head, ...data.samples.map((sample, n) => sampleOf(sample, n === 0)));
}

function offerSamples(data) {
  if (!data.samples.length || data.samples[0].number === renderSamples.newest || $("newer")) return;
  const button = el("button", { id: "newer", class: "plain", type: "button" }, "Show newer");
  button.addEventListener("click", () => {
    if (shownDetail) { renderSamples(shownDetail); renderCompare(shownDetail); }
    tick();
  });
  $("samples").querySelector("h3").append(button);
}

function sampleOf(sample, open) {
  const inside = el("div");
  const summary = el("summary", {}, el("span", { class: "mono" }, statusOf(sample.statusCode), " ", ...foreign(sample.path)), " ", el("span", { class: "soft when", "data-time": sample.time }));
  const made = el("details", { class: "sample" }, summary, inside);
  const fill = () => { if (!inside.firstChild) inside.append(...partsOf(sample)); };
  made.addEventListener("toggle", fill);
  made.open = open;
  if (open) fill();
  return made;
}

function partsOf(sample) {
  const actions = [copier("Copy as curl", () => sample.curl), copier("Copy path", () => sample.path)];
  if (sample.requestPayload) actions.push(copier("Copy request", () => sample.requestPayload));
  if (sample.responsePayload) actions.push(copier("Copy response", () => sample.responsePayload));
  return [
    el("p", { class: "facts" }, ...foreign("from " + (sample.ip || "an unknown address") + (sample.status ? ", answered " + sample.statusCode + " " + sample.status : ""))),
    el("div", { class: "actions" }, ...actions),
    headersOf("Request headers", sample.requestHeaders),
    ...payloadOf("Request payload", sample.requestPayload, sample.requestForm, sample.requestFrames),
    headersOf("Response headers", sample.responseHeaders),
    ...payloadOf("Response payload", sample.responsePayload, sample.responseForm, sample.responseFrames),
  ];
}

function headersOf(title, text) {
  let headers = null;
  try { headers = JSON.parse(text); } catch { /* Shown as it is. */ }
  const known = headers && typeof headers === "object" && !Array.isArray(headers);
  const lines = known ? Object.entries(headers).map(([name, value]) => el("tr", {}, el("td", {}, ...foreign(name)), el("td", {}, ...foreign(value)))) : [];
  const shown = known ? el("table", { class: "headers" }, el("tbody", {}, ...lines)) : block([...foreign(text || "(none)", true)]);
  return el("details", {}, el("summary", {}, title + (known ? " (" + lines.length + ")" : "")), shown);
}

/* What can be scrolled can be reached by keys. */
function block(parts) {
  return el("pre", { tabindex: "0" }, ...parts);
}

function payloadOf(title, text, form, frames) {
  if (!text) return [el("h4", {}, title + ": empty")];
  const messages = frames ? ": " + count(frames.messages, "message", "messages") + ", " + count(frames.size, "byte", "bytes") + (frames.compressed ? ", compressed" : "") + (frames.cut ? ", cut off" : "") + ", as base64" : "";
  return [el("h4", {}, title + messages), block(pretty(text, form))];
}

const PLACES = { path: "path", query: "query", request: "request", response: "response", status: "status", "request headers": "request header", "response headers": "response header" };

function renderCompare(data) {
  const at = $("differences");
  at.replaceChildren();
  if (data.samples.length < 2) return;
  const [newer, older] = [picker(data, "Newer sample", 0), picker(data, "Older sample", 1)];
  const shown = el("div", { "aria-live": "polite" });
  const compare = async () => {
    try {
      const found = await ask("/api/inventory/differences", { id: data.id, older: older.value, newer: newer.value });
      if (shown.isConnected) shown.replaceChildren(differenceTable(found.differences));
    } catch (error) {
      shown.replaceChildren(el("p", { class: "facts" }, error.status ? error.message : "The sink does not answer."));
    }
  };
  for (const select of [newer, older]) select.addEventListener("change", compare);
  at.append(el("h3", {}, "Differences"), el("div", { class: "compare" }, older, "→", newer), shown);
  compare();
}

function picker(data, label, chosen) {
  const options = data.samples.map((sample, n) => el("option", { value: sample.number }, "#" + sample.number + (n ? "" : " latest") + ", " + flat(sample.statusCode) + ", " + ago(Number(sample.time) || 0)));
  const made = el("select", { "aria-label": label }, ...options);
  made.selectedIndex = chosen;
  return made;
}

function differenceTable(found) {
  if (!found.length) return el("p", { class: "facts" }, "The two are the same.");
  const head = el("tr", {}, ...["Where", "Older", "Newer"].map((name) => el("th", { scope: "col" }, name)));
  return el("table", { class: "differences" }, el("thead", {}, head), el("tbody", {}, ...found.map((each) => el("tr", {},
    el("td", {}, el("span", { class: "place" }, PLACES[each.place] || each.place), " ", ...foreign(each.name)),
    sideOf(each.before, "before"), sideOf(each.after, "after")))));
}

function sideOf(text, side) {
  return text === null ? el("td", { class: "absent" }, "not there") : el("td", { class: side }, ...foreign(text, true));
}
