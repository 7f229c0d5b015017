/* What is looked at, and the requests for it. */

const POLL_MS = 1000;
const $ = (id) => document.getElementById(id);
let token = "";
try { token = sessionStorage.getItem("token") || ""; } catch { /* Storage is switched off. */ }

/* It is in the address's fragment, so that going back works and nothing of it reaches a server's log. */
function view() {
  const given = new URLSearchParams(location.hash.slice(1));
  return { q: given.get("q") || "", host: given.get("host") || "", order: given.get("order") || "path", open: given.get("open") || "" };
}

function hashOf(changes) {
  const kept = Object.entries({ ...view(), ...changes }).filter(([name, value]) => value && !(name === "order" && value === "path"));
  return "#" + new URLSearchParams(kept.map(([name, value]) => [name, String(value)]));
}

function go(changes, { replace = false } = {}) {
  if (!replace) { location.hash = hashOf(changes); return; }
  history.replaceState(null, "", hashOf(changes));
  chosen();
}

async function request(path, options = {}) {
  const answer = await fetch(path, { headers: token ? { Authorization: token } : {}, cache: "no-store", ...options });
  if (answer.ok) return answer;
  const data = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(data.error || answer.statusText), { status: answer.status });
}

async function ask(path, parameters) {
  const answer = await request(path + "?" + new URLSearchParams(parameters));
  return answer.status === 204 ? null : answer.json();
}

/* One request at a time: the latest view wins, and a slow sink is not asked again meanwhile. */
let busy = false;
let again = false;
async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    do {
      again = false;
      await load();
    } while (again);
    setState("live", "live");
  } catch (error) {
    fail(error);
  } finally {
    busy = false;
  }
}

let version = "";
let run = "";
async function load() {
  const now = view();
  const range = wantedRange();
  const asked = listed(now) + JSON.stringify(range);
  const data = await ask("/api/inventory", {
    q: now.q, host: now.host, order: now.order, ...range, version: asked === load.asked ? version : "",
  });
  if (data) {
    /* Another run, or cleared: numbers of endpoints mean others. */
    if (run && data.run !== run && now.open) { history.replaceState(null, "", hashOf({ open: "" })); now.open = ""; }
    load.asked = asked;
    version = data.version;
    run = data.run;
    renderAll(data, now);
  }
  await loadDetail(now.open);
  markChosen(now.open);
  tick();
}

function fail(error) {
  version = "";
  if (error.status === 401) return askForToken();
  if (error.status) { setState("lost", "refused"); return notice("The sink does not show its inventory here", [error.message + "."]); }
  setState("lost", "no answer; trying again");
}

function setState(is, text) {
  $("state").dataset.is = is;
  setText($("state"), text);
}

function renderAll(data, now) {
  setText($("totals"), [count(data.entries, "entry", "entries"), count(data.endpoints, "endpoint", "endpoints"), count(data.hosts, "host", "hosts")].join(" · "));
  renderHosts(data, now);
  renderBar(data, now);
  $("notice").hidden = true;
  /* Before it is drawn: what is hidden takes no focus. */
  list.hidden = data.found === 0;
  renderList(data, now);
  if (data.entries === 0) empty();
  else if (data.found === 0) notice("Nothing matches", ["Every condition of the filter must be met. Words are looked for in an endpoint's host, method, path, fields, operations, marks and statuses."]);
}

function notice(title, lines, ...more) {
  list.hidden = true;
  $("notice").hidden = false;
  $("notice").replaceChildren(el("h2", {}, title), ...lines.map((line) => el("p", {}, line)), ...more);
}

function command(text) {
  return el("div", { class: "command" }, el("code", {}, text), copier("Copy", () => text));
}

function empty() {
  const setting = " --set akto_url=" + location.origin;
  notice("Nothing has arrived yet", ["Put mitmproxy in front of your API, with entries going to this sink:"],
    command('mitmdump --mode reverse:http://127.0.0.1:3000 -s "$(akto-mirror addon-path)"' + setting),
    el("p", {}, "Then send requests to http://127.0.0.1:8080 instead of the API. Endpoints show up here as they are called."),
    el("p", {}, token ? "This sink has a token: give it to mitmdump in the variable AKTO_API_TOKEN." : "No API at hand? One test entry shows that the way is open:"),
    ...(token ? [] : [command("akto-mirror check --send " + location.origin)]));
}

function askForToken() {
  setState("wait", "token needed");
  if ($("token")) return;
  const input = el("input", { id: "token", type: "password", autocomplete: "off", "aria-label": "Token", required: "" });
  const form = el("form", {}, input, el("button", { class: "plain" }, "Show the inventory"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    token = input.value.trim();
    try { sessionStorage.setItem("token", token); } catch { /* It then lasts until the page is reloaded. */ }
    $("notice").replaceChildren();
    refresh();
  });
  notice(token ? "That is not this sink's token" : "This sink has a token", ["It is what the sink was started with: --token or AKTO_API_TOKEN. It stays in this tab."], form);
  input.focus();
}
