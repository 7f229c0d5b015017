/* Downloads, clearing, help and keys. */

const KEYS = [
  ["↓ ↑ or j k", "next and previous endpoint"], ["Home End", "first and last endpoint"], ["Enter", "open the endpoint"],
  ["Esc", "close it, back to the list"], ["/", "filter"], ["?", "this help"],
];
const CONDITIONS = [
  ["orders", "the word in host, method, path, fields, operations, marks or statuses"], ["-orders", "not the word; - goes before any condition"],
  ["method:POST", "or several: method:PUT,PATCH"], ["status:4xx", "or 404"], ["host:shop path:/v2", "part of the host, of the path"],
  ["auth:none", "or bearer, jwt, basic, api-key, cookie"], ["kind:graphql", "or grpc, mcp, websocket, json-rpc"],
  ["concern:any", "or a part of its name"], ["sensitive:any", "or a kind of values: sensitive:card,email,password"], ["format:email", "a field of this format: uuid, date-time, uri, ipv4"],
  ["new:1h", "first seen within the last hour; m, h, d"], ["seen:1d", "last seen within the last day"],
];

function definitions(pairs) {
  return el("dl", {}, ...pairs.flatMap(([term, meaning]) => [el("dt", {}, term), el("dd", {}, meaning)]));
}

function help() {
  const close = el("button", { class: "plain", type: "button" }, "Close");
  close.addEventListener("click", () => $("help").close());
  $("help").replaceChildren(el("h2", { id: "help-title" }, "Keys and filters"), definitions(KEYS), definitions(CONDITIONS), el("div", { class: "actions" }, close));
  $("help").showModal();
}

function confirmClear() {
  const [keep, clear] = [el("button", { class: "plain", type: "button" }, "Keep"), el("button", { class: "plain danger", type: "button" }, "Clear")];
  keep.addEventListener("click", () => $("confirm").close());
  clear.addEventListener("click", async () => {
    $("confirm").close();
    try { await request("/api/entries", { method: "DELETE" }); } catch (error) { fail(error); return; }
    go({ open: "", host: "", q: "" }, { replace: true });
  });
  $("confirm").replaceChildren(el("h2", { id: "confirm-title" }, "Clear the inventory?"), el("p", {}, "The sink forgets all entries that it keeps. A file that it writes (--out) stays as it is."), el("div", { class: "actions" }, keep, clear));
  $("confirm").showModal();
}

/* By a request of its own, as a link could not carry the token. */
async function download(path, name) {
  const host = view().host;
  try {
    const answer = await request(path + (host ? "?" + new URLSearchParams({ host }) : ""));
    const link = el("a", { href: URL.createObjectURL(await answer.blob()), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    fail(error);
  }
}

const menu = $("menu");
menu.addEventListener("toggle", () => $("scope").replaceChildren(...foreign(view().host ? "Of " + view().host : "Of all hosts")));
for (const button of menu.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    menu.open = false;
    menu.querySelector("summary").focus();
    download(button.dataset.get, button.dataset.as);
  });
}
document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
$("ask").addEventListener("click", help);
$("clear").addEventListener("click", confirmClear);

function chosen() {
  const now = view();
  if ($("search").value !== now.q) $("search").value = now.q;
  const asked = listed(now);
  if (chosen.asked !== undefined && chosen.asked !== asked) { scroller.scrollTop = 0; cursor.line = -1; cursor.id = null; }
  chosen.asked = asked;
  refresh();
}

$("search").addEventListener("input", () => go({ q: $("search").value }, { replace: true }));
$("hostpick").addEventListener("change", () => go({ host: $("hostpick").value }));
$("sort").addEventListener("change", () => go({ order: $("sort").value }));
for (const head of list.querySelectorAll("th[data-order]")) {
  head.firstChild.addEventListener("click", () => go({ order: head.dataset.order }));
}

function back() {
  if (menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
  else if (view().open) go({ open: "" });
}

const MOVES = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") return back();
  const at = event.target;
  const typing = at.closest("input, select, textarea");
  if (at === $("search") && event.key === "ArrowDown") { event.preventDefault(); cursor.line = -1; return moveTo(0, 1); }
  if (typing) return;
  if (event.key === "/") { event.preventDefault(); $("search").focus(); $("search").select(); }
  if (event.key === "?") { event.preventDefault(); help(); }
  const steps = MOVES[event.key];
  /* Elsewhere arrows scroll, as they do everywhere. */
  if (!steps || (event.key.length > 1 && at.closest("aside, nav, #menu, #bar"))) return;
  event.preventDefault();
  if (Number.isFinite(steps)) move(steps);
  else moveTo(steps > 0 ? Infinity : 0, steps > 0 ? -1 : 1);
});
addEventListener("hashchange", chosen);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
setInterval(() => { if (!document.hidden) refresh(); }, POLL_MS);
chosen();
