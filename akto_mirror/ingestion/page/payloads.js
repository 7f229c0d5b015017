/* Payloads laid out for reading. */

const MAX_KEYS = 3000;

function pretty(text, form) {
  if (form === "json") return prettyJson(text);
  if (form === "form") return text.split("&").flatMap((pair, n) => [...(n ? ["\n"] : []), ...decodePair(pair)]);
  if (form === "xml") return foreign(prettyXml(text), true);
  return foreign(text, true);
}

function decodePair(pair) {
  const [name, ...value] = pair.split("=").map((part) => {
    try { return decodeURIComponent(part.replaceAll("+", " ")); } catch { return part; }
  });
  return [...foreign(name), " = ", ...foreign(value.join("="))];
}

/* Only white space between tokens is changed: parsing and printing would alter long numbers and repeated keys, and
   could not show what was cut off. */
function prettyJson(text) {
  const parts = [];
  let plain = "";
  let depth = 0;
  let keys = 0;
  const line = () => "\n" + "  ".repeat(Math.min(depth, 40));
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\[^])*(?:"\s*:|"|\\?$)|[[{]\s*[\]}]|[[\]{},:]|[^\s"[\]{},:]+/g)) {
    if (token === "{" || token === "[") { depth++; plain += token + line(); }
    else if (token === "}" || token === "]") { depth = Math.max(0, depth - 1); plain += line() + token; }
    else if (token === ",") plain += token + line();
    else if (token === ":") plain += ": ";
    else if (token[0] === '"' && token.endsWith(":") && keys++ < MAX_KEYS) {
      parts.push(...foreign(plain, true), el("span", { class: "key" }, ...foreign(token.slice(0, -1).trimEnd(), true)));
      plain = ": ";
    } else plain += token.endsWith(":") && token[0] === '"' ? token + " " : token.replace(/^([[{])\s+/, "$1");
  }
  return [...parts, ...foreign(plain, true)];
}

function prettyXml(text) {
  let depth = 0;
  return text.replace(/>\s*</g, ">\n<").split("\n").map((line) => {
    const closing = /^<\//.test(line);
    if (closing) depth = Math.max(0, depth - 1);
    const shown = "  ".repeat(Math.min(depth, 40)) + line;
    if (/^<[^!?/][^>]*[^/]>$|^<[^!?/]>$/.test(line)) depth++;
    return shown;
  }).join("\n");
}
