"use strict";

/* How texts of entries get into the document. Every one goes through here: never is markup made of it, what cannot be
   seen is shown as an escape, and what is written from right to left is isolated, so that it turns nothing else round. */

const MAX_PARTS = 3000;
/* Control and format characters, those that turn text round or take no room, blanks that look like nothing, halves of
   pairs. Line breaks and tabs are left where there is room for them. */
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\u{e0000}-\u{e0fff}]/u;
const RTL = "\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufefc\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}";
/* What is not plain text: something unseen, or a run from one letter written from right to left to the last one before
   a mark that gives the text around its structure. */
const SPECIAL = new RegExp(`(${UNSEEN.source})|[${RTL}](?:[^<>"'{}\\[\\]&=/:\\n]*[${RTL}])?`, "gu");
const SIMPLE = /^[\n -~]*$/;

function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function escaped(char) {
  const code = char.codePointAt(0);
  return code > 0xffff ? "\\u{" + code.toString(16) + "}" : "\\u" + code.toString(16).padStart(4, "0");
}

/* Returns the nodes for an untrusted text. `lines`: whether line breaks and tabs are kept. */
function foreign(value, lines = false) {
  const text = String(value);
  if (SIMPLE.test(text) && (lines || !text.includes("\n"))) return [text];
  const parts = [];
  let at = 0;
  let plain = "";
  for (const found of text.matchAll(SPECIAL)) {
    plain += text.slice(at, found.index);
    at = found.index + found[0].length;
    if (lines && (found[0] === "\n" || found[0] === "\t")) { plain += found[0]; continue; }
    if (parts.length >= MAX_PARTS) { plain += found[1] === undefined ? found[0] : escaped(found[0]); continue; }
    if (plain) parts.push(plain);
    plain = "";
    parts.push(found[1] === undefined ? el("bdi", {}, ...unseen(found[0])) : el("span", { class: "escape" }, escaped(found[0])));
  }
  return plain + text.slice(at) ? [...parts, plain + text.slice(at)] : parts;
}

/* The same inside a run that is isolated as a whole. */
function unseen(text) {
  const each = new RegExp(UNSEEN.source, "gu");
  return [text.replace(each, (char) => (char === "\n" || char === "\t" ? char : escaped(char)))];
}

/* An untrusted text where no elements are possible: in a tooltip or in the option of a list. */
function flat(value) {
  const text = String(value).replace(new RegExp(UNSEEN.source, "gu"), escaped);
  return new RegExp(`[${RTL}]`, "u").test(text) ? "\u2068" + text + "\u2069" : text;
}

function count(number, one, many) {
  return number.toLocaleString("en") + " " + (number === 1 ? one : many);
}

function ago(time) {
  if (!time) return "–";
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - time));
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (seconds >= size) return Math.floor(seconds / size) + " " + unit + " ago";
  return seconds < 5 ? "now" : seconds + " s ago";
}

function tick() {
  for (const element of document.querySelectorAll(".when")) {
    const time = Number(element.dataset.time);
    setText(element, ago(time));
    if (time && element.title === "") element.title = new Date(time * 1000).toLocaleString();
  }
}

async function copy(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    /* Without TLS, beyond this machine, there is only the old way. */
    const area = el("textarea", { "aria-hidden": "true" });
    area.value = text;
    button.after(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  setText(button, "Copied");
  setTimeout(() => setText(button, label), 1200);
}

function copier(label, text) {
  const button = el("button", { class: "plain", type: "button" }, label);
  button.addEventListener("click", () => copy(text(), button));
  return button;
}
