// A small chart of the last minutes: one line, its newest value in words.
import { h, s, setAttr, setText } from "./dom.js";
import { T } from "./strings.js";

const WIDE = 300;
const HIGH = 56;
const SPAN_MS = 15 * 60000;

export class Chart {
  constructor(title, unit, pick) {
    this.pick = pick;
    this.unit = unit;
    this.value = h("strong", {}, T.cluster.collecting);
    this.top = h("span", { class: "top" });
    this.area = s("path", { class: "area" });
    this.line = s("path", { class: "line" });
    this.dot = s("circle", { r: 3, class: "dot" });
    this.svg = s("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": title }, this.area, this.line);
    this.title = title;
    this.element = h("div", { class: "chart" }, h("div", { class: "charthead" }, h("span", {}, title), h("span", {}, this.value, " ", h("span", { class: "unit" }, unit))), h("div", { class: "plot" }, this.svg, this.top));
  }

  draw(samples, none) {
    const now = Date.now();
    const points = samples.map((x) => [x.at, this.pick(x)]).filter(([, y]) => y !== null && Number.isFinite(y));
    if (points.length === 0) {
      setText(this.value, samples.length > 2 && none ? none : T.cluster.collecting);
      this.value.classList.toggle("quiet", true);
      [this.line, this.area].forEach((path) => setAttr(path, "d", ""));
      return;
    }
    const most = nice(Math.max(...points.map(([, y]) => y)));
    const at = ([t, y]) => `${(WIDE - ((now - t) / SPAN_MS) * WIDE).toFixed(1)} ${(HIGH - 2 - (y / most) * (HIGH - 8)).toFixed(1)}`;
    const path = points.map(at).join("L");
    const first = at(points[0]).split(" ")[0];
    const last = at(points[points.length - 1]).split(" ")[0];
    setAttr(this.line, "d", `M${path}`);
    setAttr(this.area, "d", `M${first} ${HIGH}L${path}L${last} ${HIGH}Z`);
    const newest = points[points.length - 1][1];
    this.value.classList.toggle("quiet", false);
    setText(this.value, short(newest));
    setText(this.top, short(most));
    setAttr(this.svg, "aria-label", `${this.title}: ${short(newest)} ${this.unit}`);
  }
}

function nice(value) {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((x) => x * unit >= value) * unit;
}

const short = (value) => value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(1) : value === 0 ? "0" : String(Number(value.toPrecision(2)));
