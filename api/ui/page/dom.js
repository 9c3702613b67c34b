// Elements from data. Text from outside becomes text nodes and attributes alone: nothing here parses HTML.
import { T } from "./strings.js";

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

export function add(element, children) {
  for (const child of [children].flat(3)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

export function put(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

// Writes only what differs, so that a selection and the accessibility tree stay as they are.
export function setText(element, text) {
  const value = String(text);
  if (element.textContent !== value) element.textContent = value;
}

export function setAttr(element, name, value) {
  if (value === null || value === undefined) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

// Says it to a screen reader.
export function say(text) {
  const said = document.getElementById("said");
  if (said) said.textContent = text;
}

// --- numbers and times ---

let skewMs = 0; // the replica's clock less ours

export function noteDate(header, sentMs) {
  const at = Date.parse(header || "");
  if (!Number.isFinite(at)) return;
  const skew = at + 500 - (sentMs + Date.now()) / 2;
  skewMs = Math.abs(skew) < 1500 ? 0 : skew;
}

export const nowMs = () => Date.now() + skewMs;

export function duration(seconds) {
  const x = Math.max(0, seconds);
  if (x < 0.95) return `${Math.round(x * 1000)} ms`;
  if (x < 9.95) return `${x.toFixed(1)} s`;
  if (x < 99.5) return `${Math.round(x)} s`;
  if (x < 5400) return `${Math.round(x / 60)} min`;
  if (x < 129600) return `${Math.round(x / 3600)} h`;
  return `${Math.round(x / 86400)} d`;
}

// For what changes each second.
export function coarse(seconds) {
  return seconds < 60 ? `${Math.max(0, Math.round(seconds))} s` : duration(seconds);
}

export function ago(ms) {
  const seconds = (nowMs() - ms) / 1000;
  return seconds < 1.5 ? T.now : T.ago(coarse(seconds));
}

export function bytes(count) {
  let value = count;
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (value < 1000 || unit === "TiB") return `${value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1024;
  }
  return "";
}

export const number = (value) => value < 1000 ? String(value) : value.toLocaleString("en");

// Made when first wanted: that takes longer than all the rest of the first picture.
let day = null;
const two = (value, digits = 2) => String(value).padStart(digits, "0");

export function clockText(ms) {
  const at = new Date(ms);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${two(at.getMilliseconds(), 3)}`;
}

export function dayText(ms) {
  day ||= new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return day.format(ms);
}

// A time as it is now, with the absolute one behind it; `absolute` shows both.
export function timeOf(ms, absolute) {
  const text = h("span", {}, ago(ms));
  text.dataset.ago = ms;
  return h("time", { datetime: new Date(ms).toISOString(), title: dayText(ms) }, absolute ? [dayText(ms), " · ", text] : text);
}

// Once a second.
export function refreshTimes(root) {
  for (const element of root.querySelectorAll("[data-ago]")) setText(element, ago(Number(element.dataset.ago)));
}

export function debounce(wait, call) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), wait);
  };
}
