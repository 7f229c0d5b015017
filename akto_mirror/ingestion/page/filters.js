/* Hosts, the chips of the filter, and what it hides. */

const NAMES = { "auth:none": "no auth" };
/* Where the values of a key could be taken for something else, the chip says which key they are of. */
const PREFIXES = { sensitive: "sensitive: ", auth: "", method: "", status: "", kind: "", concern: "" };

function renderHosts(data, now) {
  const many = data.hosts > 1;
  $("body").classList.toggle("hosts", many);
  $("hosts").hidden = !many;
  $("hostpick").parentElement.hidden = !many;
  if (!many) return;
  const rest = data.hostsFound - data.byHost.length;
  const more = rest > 0 ? [el("p", {}, count(rest, "more host", "more hosts") + ": filter for one")] : [];
  keepFocus($("hosts"), () => $("hosts").replaceChildren(
    hostLink("", "All hosts", data.everywhere, now),
    ...data.byHost.map(([name, endpoints]) => hostLink(name, name, endpoints, now)), ...more));
  renderHostPick(data, now);
}

function hostLink(host, label, endpoints, now) {
  const link = el("a", { href: hashOf({ host }), title: flat(label), "data-focus": host }, el("span", {}, ...foreign(label)), el("span", {}, endpoints.toLocaleString("en")));
  if (host.startsWith("no host name (")) link.title = "Entries without a host name: Akto puts them into the collection of this number";
  if (host === now.host) link.setAttribute("aria-current", "true");
  return link;
}

/* On narrow screens a list to choose from stands in for the column of hosts. */
function renderHostPick(data, now) {
  const pick = $("hostpick");
  const names = ["", ...data.byHost.map(([name]) => name)];
  if (now.host && !names.includes(now.host)) names.push(now.host);
  if (JSON.stringify(names) !== pick.dataset.names) {
    pick.dataset.names = JSON.stringify(names);
    pick.replaceChildren(...names.map((name) => el("option", { value: name }, name ? flat(name) : "all hosts")));
  }
  pick.value = now.host;
}

/* What had the focus has it again after its surroundings were redrawn. */
function keepFocus(parent, draw) {
  const held = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  draw();
  if (held === undefined) return;
  [...parent.children].find((child) => child.dataset.focus === held)?.focus({ preventScroll: true });
}

function renderBar(data, now) {
  $("bar").hidden = data.entries === 0;
  $("sort").value = now.order;
  const drawn = JSON.stringify([data.terms, data.facets, data.found]);
  if (drawn !== renderBar.drawn) {
    renderBar.drawn = drawn;
    keepFocus($("chips"), () => $("chips").replaceChildren(...data.terms.map(termChip), ...facetChips(data)));
  }
  setText($("mistakes"), data.terms.filter((term) => term.mistake).map((term) => term.mistake).join(". "));
  renderHidden(data, now);
}

function renderHidden(data, now) {
  const away = data.endpoints - data.found;
  if (!away && !data.beyond) { $("hidden").replaceChildren(); return; }
  const parts = [];
  if (away) {
    const all = el("button", { type: "button", class: "chip", "data-focus": "all" }, "Show all");
    all.addEventListener("click", () => { go({ q: "", host: "" }); $("search").focus(); });
    parts.push(count(away, "endpoint", "endpoints") + " hidden ", all);
  }
  if (data.beyond) parts.push(" " + count(data.beyond, "entry", "entries") + " of further endpoints came when the inventory was full");
  const drawn = JSON.stringify([away, data.beyond, now.q, now.host]);
  if (drawn === renderHidden.drawn && $("hidden").firstChild) return;
  renderHidden.drawn = drawn;
  keepFocus($("hidden"), () => $("hidden").replaceChildren(...parts));
}

function termChip(term) {
  const chip = el("button", { type: "button", class: "chip on" + (term.mistake ? " mistaken" : ""), "data-focus": "-" + term.text, title: flat(term.mistake || "Remove " + term.text) }, ...foreign(term.text), " ✕");
  chip.setAttribute("aria-label", flat("Remove the filter " + term.text));
  chip.addEventListener("click", () => {
    filterBy(termsOf($("search").value).filter((each) => each !== term.text).join(" "));
    $("search").focus();
  });
  return chip;
}

/* The same grammar as the sink's, so that a chip removes what it stands for. */
function termsOf(text) {
  return (text.match(/-?(?:[a-z]{1,20}:)?(?:"[^"]*"?|[^\s"]+)|"/gi) || []).map((term) => term.slice(0, 100));
}

function facetChips(data) {
  const active = new Set(data.terms.map((term) => term.text.toLowerCase()));
  return Object.entries(data.facets).flatMap(([key, values]) => values
    .filter(([value, times]) => value && times < data.found && !active.has(termOf(key, value).toLowerCase()))
    .map(([value, times]) => facetChip(key, value, times)));
}

function termOf(key, value) {
  return /^[^\s"]+$/.test(value) ? key + ":" + value : key + ':"' + value.replaceAll('"', "") + '"';
}

function facetChip(key, value, times) {
  const term = termOf(key, value);
  const chip = el("button", { type: "button", class: "chip", "data-focus": term, title: flat(term) }, ...foreign(NAMES[term] || PREFIXES[key] + value), el("span", { class: "times" }, times.toLocaleString("en")));
  chip.addEventListener("click", () => filterBy([...termsOf($("search").value), term].join(" ")));
  return chip;
}

function filterBy(text) {
  go({ q: text });
}
