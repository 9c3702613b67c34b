// The members, what is wrong with them, and charts of this replica.
import { may } from "./api.js";
import { Chart } from "./charts.js";
import { bytes, coarse, duration, h, number, put, s, setAttr, setText } from "./dom.js";
import { facts, section } from "./parts.js";
import { T } from "./strings.js";
import { nameOf, troubles } from "./troubles.js";

const text = T.cluster;
const SPOKE = 92;

export class ClusterView {
  constructor({ link }) {
    Object.assign(this, { link, title: text.title });
    this.count = h("span", { class: "count" });
    this.wrong = h("ul", { class: "troubles" });
    this.picture = s("svg", { viewBox: "-190 -148 380 270", role: "img", class: "picture", "aria-label": text.picture });
    this.members = h("tbody");
    this.facts = h("div");
    const ms = (x) => x === null ? null : x * 1000;
    this.charts = [
      [new Chart(text.writes, text.perSecond, (x) => x.writes)],
      [new Chart(text.reads, text.perSecond, (x) => x.reads)],
      [new Chart(text.latency, text.p99, (x) => ms(x.commit)), text.onlyLeader],
      [new Chart(text.loop, text.p99, (x) => ms(x.loop))],
    ];
    const columns = ["member", "role", "heard", "index", "lag", "version", "level", "space", "address"];
    this.element = h("div", { class: "page" },
      h("div", { class: "heading" }, h("h1", {}, text.title), this.count),
      may("status") ? null : h("p", { class: "quiet" }, text.forbidden),
      section(text.wrong, this.wrong),
      h("div", { class: "columns" },
        section(text.picture, this.picture, h("p", { class: "quiet" }, text.asHeard)),
        section(text.state, this.facts)),
      may("status") ? section(text.members, h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": text.members }, h("table", {}, h("thead", {}, h("tr", {}, columns.map((name) => h("th", { scope: "col", class: ["index", "lag"].includes(name) ? "num" : null }, text.columns[name])))), this.members))) : null,
      may("metrics") ? section(text.charts, h("div", { class: "charts" }, this.charts.map(([chart]) => chart.element))) : null);
  }

  close() {}

  tick() {
    this.update();
  }

  update() {
    const { link } = this;
    if (this.drawnHealth !== link.health || this.drawnCluster !== link.cluster) {
      this.drawnHealth = link.health;
      this.drawnCluster = link.cluster;
      this.drawTroubles(troubles(link));
      if (link.cluster) this.drawMembers(link.cluster);
      this.drawFacts(link);
    }
    if (this.drawnMetrics !== link.metrics) {
      this.drawnMetrics = link.metrics;
      for (const [chart, none] of this.charts) chart.draw(link.samples, none);
    }
  }

  drawTroubles(list) {
    const key = JSON.stringify(list);
    if (this.wrong.dataset.key === key) return;
    this.wrong.dataset.key = key;
    put(this.wrong, list.length ? list.map(([tone, sentence]) => h("li", { class: `${tone} ext` }, sentence)) : h("li", { class: "good" }, text.fine));
  }

  drawMembers({ members, leader }) {
    const self = members.find((x) => x.self);
    setText(this.count, self ? `${nameOf(self)} · ${leader === self.id ? text.leader : text[self.role] || self.role}` : "");
    put(this.members, members.map((x) => h("tr", {},
      h("th", { scope: "row", class: "ext" }, nameOf(x), x.self ? h("span", { class: "quiet" }, ` ${text.self}`) : null),
      h("td", {}, x.leader ? h("span", { class: "chip strong" }, text.leader) : text[x.role] || x.role),
      h("td", {}, x.self ? "–" : x.last_heard === null ? T.never : T.ago(duration(x.last_heard))),
      h("td", { class: "num" }, number(x.applied_index)),
      h("td", { class: "num" }, number(x.behind)),
      h("td", {}, x.version || "–"),
      h("td", {}, x.level_max ? text.levels(x.level_min, x.level_max) : "–"),
      h("td", {}, x.has_space ? text.has : h("span", { class: "mark critical" }, text.full)),
      h("td", { class: "ext" }, x.http || "–"))));
    this.drawPicture(members, self);
  }

  drawPicture(members, self) {
    const key = JSON.stringify(members.map((x) => [x.id, x.name, x.role, x.leader, x.reachable, x.trouble]));
    if (this.pictureKey === key) return;
    this.pictureKey = key;
    const at = members.map((_, i) => {
      const turn = -Math.PI / 2 + (2 * Math.PI * i) / members.length;
      return [Math.cos(turn) * SPOKE * (members.length > 1 ? 1.15 : 0), Math.sin(turn) * SPOKE * (members.length > 1 ? 0.9 : 0)];
    });
    const center = at[members.indexOf(self)] || [0, 0];
    const lines = members.map((x, i) => x.self ? null : s("line", { x1: center[0], y1: center[1], x2: at[i][0], y2: at[i][1], class: x.reachable ? "wire" : "wire broken" }, s("title", {}, x.reachable ? text.hears(nameOf(x)) : text.deaf(nameOf(x), x.trouble))));
    const nodes = members.map((x, i) => s("g", { transform: `translate(${at[i][0].toFixed(1)} ${at[i][1].toFixed(1)})`, class: `node ${x.self || x.reachable ? "" : "away"} ${x.leader ? "leads" : ""} ${x.role}` },
      s("circle", { r: 24 }), s("text", { y: 5, class: "id" }, String(x.id)), s("text", { y: at[i][1] < -20 ? -46 : 42 }, nameOf(x)), s("text", { y: at[i][1] < -20 ? -32 : 56, class: "role" }, x.leader ? text.leader : text[x.role] || x.role)));
    put(this.picture, lines, nodes);
    const words = members.map((x) => x.self ? null : x.reachable ? text.hears(nameOf(x)) : text.deaf(nameOf(x), x.trouble)).filter(Boolean);
    setAttr(this.picture, "aria-label", `${text.picture}. ${words.join(". ")}`);
  }

  drawFacts({ health, cluster, metrics }) {
    const m = (name) => metrics?.get(name);
    const used = health?.state;
    const known = (value, show) => value === undefined || value === null ? null : show(value);
    put(this.facts,
      used ? h("div", { class: "meter" }, h("span", { class: "fillup" }), h("span", { class: "quiet" }, used.bytes_max ? text.stateOf(bytes(used.bytes), bytes(used.bytes_max)) : text.unbounded(bytes(used.bytes)))) : null,
      facts([
        [text.term, known(health?.term, number)], [text.commit, known(health?.commit_index, number)], [text.level, known(cluster?.level, String)],
        [text.disk, known(health?.disk?.free_bytes, bytes)], [text.memory, known(m("resident_memory_bytes"), bytes)],
        [text.connections, known(m("http_connections"), number)], [text.streams, known(m("streams"), number)], [text.uptime, known(health?.uptime, coarse)],
      ]));
    const bar = this.facts.querySelector(".fillup");
    if (bar && used.bytes_max) bar.style.width = `${Math.min(100, (used.bytes / used.bytes_max) * 100)}%`;
  }
}
