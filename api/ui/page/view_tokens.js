// Tokens: listed, made, revoked; for those who may.
import { call, enc, get, may } from "./api.js";
import { coarse, h, put, timeOf } from "./dom.js";
import { ask, button, code, input, notice, select } from "./parts.js";
import { T } from "./strings.js";

const text = T.tokens;

export class TokensView {
  constructor() {
    this.title = text.title;
    this.rows = h("tbody");
    this.made = h("div");
    this.error = h("p", { class: "error", role: "alert" });
    this.empty = h("div", { class: "empty", hidden: true }, h("p", {}, text.none), code(text.firstHint, "muster token bootstrap"));
    const columns = ["id", "description", "rights", "created", "expires"].map((name) => h("th", { scope: "col" }, text[name]));
    this.table = h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": text.title }, h("table", {}, h("thead", {}, h("tr", {}, columns, may("operator_write") ? h("td") : null)), this.rows));
    this.create = may("operator_write") ? button(text.create, () => this.askCreate(), "primary") : null;
    this.element = h("div", { class: "page" }, h("div", { class: "heading" }, h("h1", {}, text.title), this.create), this.made, this.error, h("div", { class: "card" }, this.table, this.empty));
    this.load();
  }

  close() {
    this.made.replaceChildren();
  }

  update() {}

  tick() {}

  async load() {
    try {
      const { tokens } = await get("/tokens");
      this.table.hidden = tokens.length === 0;
      this.empty.hidden = tokens.length > 0;
      if (this.create) this.create.hidden = tokens.length === 0;
      put(this.rows, tokens.map((token) => this.row(token)));
      this.error.textContent = "";
    } catch (error) {
      this.error.textContent = error.message;
    }
  }

  row(token) {
    const revoke = button(text.revoke, () => this.askRevoke(token), "danger small");
    revoke.setAttribute("aria-label", `${text.revoke} ${token.id}`);
    return h("tr", {}, h("th", { scope: "row" }, h("code", {}, token.id)), h("td", { class: "ext" }, token.description),
      h("td", {}, rightsOf(token).map((right) => h("span", { class: "chip ext" }, right))), h("td", {}, timeOf(Date.parse(token.created))),
      h("td", {}, token.expires_in === null ? text.never : text.expiresIn(coarse(token.expires_in))), may("operator_write") ? h("td", {}, revoke) : null);
  }

  askRevoke(token) {
    ask({
      title: T.confirm.revoke(token.id, token.description), text: T.confirm.revokeWhy, verb: text.revoke, danger: true,
      work: () => call("DELETE", `/tokens/${enc(token.id)}`),
      done: () => {
        notice("done", T.done.revoked(token.id), true);
        this.load();
      },
    });
  }

  askCreate() {
    const chosen = { access: "read", operator: "", ttl: "" };
    const description = input(text.description, { maxlength: 255 });
    const services = input(text.services, { placeholder: text.servicesHint });
    const check = (label) => h("label", { class: "check" }, h("input", { type: "checkbox" }), label);
    const [metrics, events] = [check(text.metrics), check(text.events)];
    ask({
      title: text.create, verb: text.create,
      fields: h("div", { class: "form" }, description, services,
        select(text.access, [["read", text.read], ["write", text.write]], "read", (value) => { chosen.access = value; }),
        select(text.operator, Object.entries(text.operators), "", (value) => { chosen.operator = value; }),
        select(text.ttl, Object.entries(text.ttls).sort((a, b) => Number(a[0]) - Number(b[0])), "", (value) => { chosen.ttl = value; }), metrics, events),
      work: () => call("POST", "/tokens", {
        ...(description.lastChild.value ? { description: description.lastChild.value } : {}),
        ...(services.lastChild.value ? { services: scopesOf(services.lastChild.value, chosen.access) } : {}),
        ...(chosen.operator ? { operator: chosen.operator } : {}), ...(chosen.ttl ? { ttl: Number(chosen.ttl) } : {}),
        ...(metrics.firstChild.checked ? { metrics: true } : {}), ...(events.firstChild.checked ? { events: true } : {}),
      }),
      done: (made) => this.show(made),
    });
  }

  show(made) {
    put(this.made, h("div", { class: "card secret" }, code(text.made, made.token), button(text.madeClose, () => this.made.replaceChildren())));
    this.load();
  }
}

function scopesOf(words, access) {
  return words.split(/[\s,]+/).filter(Boolean).map((word) => word.endsWith("*") ? { prefix: word.slice(0, -1), access } : { name: word, access });
}

function rightsOf(token) {
  const rights = token.services.map((scope) => text.scope(scope.name ?? `${scope.prefix}*`, scope.access === "write"));
  if (token.operator) rights.push(text.operatorRight(token.operator));
  if (token.metrics) rights.push(text.metrics);
  if (token.events) rights.push(text.events);
  if (token.namespace) rights.push(text.namespace(token.namespace));
  return rights;
}
