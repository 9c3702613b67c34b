// Pieces that several views have in common.
import { linkTo } from "./api.js";
import { add, h, put, s, say, setAttr, setText, timeOf } from "./dom.js";
import { STATES } from "./store.js";
import { T } from "./strings.js";

// --- health ---

const BAR = ["passing", "warning", "critical", "maintenance"];

export function healthBar() {
  const bar = h("span", { class: "bar", role: "img" }, BAR.map((state) => h("span", { class: `part ${state}` })));
  return bar;
}

export function setHealthBar(bar, counts) {
  BAR.forEach((state, i) => {
    const part = bar.children[i];
    part.style.flexGrow = counts[state];
    part.hidden = counts[state] === 0;
  });
  setAttr(bar, "aria-label", T.services.bar(counts));
}

// Form beside colour: a tick, a triangle, a cross, a bar.
const SIGNS = {
  passing: "M3.5 8.5 6.5 11.5 12.5 4.5", warning: "M8 3.5v5.2M8 11.6v.4", critical: "M4.5 4.5l7 7M11.5 4.5l-7 7", maintenance: "M5.8 4.5v7M10.2 4.5v7",
};

export function healthMark() {
  return h("span", { class: "mark" }, s("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" }, s("path", { d: "" })), h("span"));
}

export function setHealthMark(mark, health) {
  const state = STATES.includes(health) ? health : "critical";
  mark.className = `mark ${state}`;
  setAttr(mark.querySelector("path"), "d", SIGNS[state]);
  setText(mark.lastChild, T.health[health] || health);
}

export function healthMarkOf(health) {
  const mark = healthMark();
  setHealthMark(mark, health);
  return mark;
}

// Of an event.
export const kindTone = (event) => ({
  registered: "good", recovered: "good", updated: "plain", deregistered: "dim", reaped: "dim", expired: "bad", maintenance: "held",
  health: { passing: "good", warning: "warn", critical: "bad", maintenance: "held" }[event.instance.health],
}[event.event] || "plain");

export const kindText = (event) => event.event === "health" ? `${T.kinds.health}: ${T.health[event.instance.health] || event.instance.health}` : T.kinds[event.event] || event.event;

function timelineItem(event, named) {
  const { instance } = event;
  const names = named ? h("a", { href: linkTo("instances", instance.id), class: "ext" }, instance.id) : null;
  const note = instance.health === "maintenance" ? instance.reason : instance.note;
  return h("li", { class: kindTone(event) }, h("span", { class: "kind" }, kindText(event)), " ", names,
    note ? h("span", { class: "note ext" }, note) : null, timeOf(Date.parse(event.time)));
}

// The newest first.
export function timeline(list, events, named) {
  put(list, events.slice().reverse().map((event) => timelineItem(event, named)));
}

// --- labels ---

export function chips(parent, texts, most) {
  const key = texts.join("\n") + most;
  if (parent.dataset.chips === key) return;
  parent.dataset.chips = key;
  put(parent, texts.slice(0, most).map((text) => h("span", { class: "chip ext", title: text }, text)), texts.length > most ? h("span", { class: "chip more", title: texts.slice(most, most + 30).join(", ") }, `+${texts.length - most}`) : null);
}

let fields = 0;

// A select with its label; `options` are [value, text].
export function select(label, options, value, onchange) {
  const id = `f${++fields}`;
  const box = h("select", { id, onchange: () => onchange(box.value) });
  setOptions(box, options, value);
  return h("span", { class: "field" }, h("label", { for: id }, label), box);
}

export function setOptions(box, options, value) {
  const key = JSON.stringify(options);
  if (box.dataset.options !== key) {
    box.dataset.options = key;
    put(box, options.map(([v, text]) => h("option", { value: v }, text)));
  }
  if (document.activeElement !== box || box.value !== value) box.value = value;
}

export function input(label, props) {
  const id = `f${++fields}`;
  return h("span", { class: "field" }, h("label", { for: id }, label), h("input", { id, type: "text", autocomplete: "off", spellcheck: "false", ...props }));
}

// --- things to do ---

export function button(text, onclick, className) {
  return h("button", { type: "button", class: className || "", onclick }, text);
}

export function code(title, text) {
  const copy = button(T.service.copy, async () => {
    await copyText(text);
    setText(copy, T.service.copied);
    say(T.service.copied);
    setTimeout(() => setText(copy, T.service.copy), 1500);
  }, "small");
  setAttr(copy, "aria-label", `${T.service.copy}: ${title}`);
  return h("div", { class: "code" }, h("div", { class: "codehead" }, h("span", {}, title), copy), h("pre", { tabindex: 0 }, h("code", {}, text)));
}

// Pages of plain HTTP have no clipboard of their own.
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = h("textarea", { class: "unseen", value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// Asks, and does it; says in the dialog what went wrong. `fields`: elements between the question and the buttons.
export function ask({ title, text, verb, danger, fields: parts, work, done }) {
  const before = document.activeElement;
  const error = h("p", { class: "error", role: "alert" });
  const go = h("button", { type: "submit", class: danger ? "danger" : "primary" }, verb);
  const cancel = button(T.confirm.cancel, () => dialog.close());
  const form = h("form", { method: "dialog", onsubmit: async (e) => {
    e.preventDefault();
    go.disabled = true;
    setText(error, "");
    try {
      const result = await work();
      dialog.close();
      if (done) done(result);
    } catch (problem) {
      setText(error, problem.message);
      go.disabled = false;
    }
  } }, h("h2", { id: "ask", class: "ext" }, title), text ? h("p", {}, text) : null, parts, error, h("div", { class: "buttons" }, cancel, go));
  const dialog = h("dialog", { "aria-labelledby": "ask", onclose: () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  } }, form);
  document.body.append(dialog);
  dialog.showModal();
  (form.querySelector("input, select") || cancel).focus();
  return dialog;
}

// A line above everything. The same key takes the place of the one before; no text takes it away.
export function notice(key, text, isGood) {
  const area = document.getElementById("notices");
  let line = [...area.children].find((child) => child.dataset.key === key);
  if (!text) {
    line?.remove();
    return;
  }
  if (line && line.firstChild.textContent === text) return;
  line?.remove();
  line = h("div", { class: `notice ${isGood ? "good" : ""}` }, h("span", { class: "ext" }, text), button("×", () => line.remove(), "plain"));
  setAttr(line.lastChild, "aria-label", T.dismiss);
  line.dataset.key = key;
  area.append(line);
  if (isGood) setTimeout(() => line.remove(), 15000);
}

export const section = (title, ...children) => h("section", { "aria-label": title, class: "card" }, h("h2", {}, title), children);

export const facts = (rows) => add(h("dl", { class: "facts" }), rows.filter((row) => row && row[1] !== null && row[1] !== undefined).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", { class: "ext" }, value))));
