// The frame: which view is shown, how the page hangs on its replica, who is signed in.
import { get, heard, linkTo, loadAccess, may, session } from "./api.js";
import { coarse, h, put, refreshTimes, s, setAttr, setText } from "./dom.js";
import { arrive, Link } from "./link.js";
import { ask, button, input, notice, select } from "./parts.js";
import { Store } from "./store.js";
import { T } from "./strings.js";
import { troubles } from "./troubles.js";
import { ServicesView } from "./view_services.js";

const THEME = "muster-theme";
// The first one comes with the frame, the others when they are wanted.
const VIEWS = {
  services: async () => ServicesView,
  events: async () => (await import("./view_events.js")).EventsView,
  cluster: async () => (await import("./view_cluster.js")).ClusterView,
  tokens: async () => (await import("./view_tokens.js")).TokensView,
};
const ONE = {
  services: async () => (await import("./view_service.js")).ServiceView,
  instances: async () => (await import("./view_instance.js")).InstanceView,
};
const main = document.getElementById("main");
const bar = document.getElementById("bar");

let store = null;
let link = null;
let view = null;
let brought = null; // of the replica before

// --- views ---

function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { name: parts[0] || "services", parts: parts.slice(1), query: new URLSearchParams(query || "") };
}

function setQuery(query) {
  const path = location.hash.split("?")[0] || "#/services";
  const text = query.toString();
  history.replaceState(null, "", text ? `${path}?${text}` : path);
}

function viewOf({ name, parts }) {
  if (parts.length === 1) return ONE[name];
  return parts.length === 0 && (name !== "tokens" || may("operator_read")) ? VIEWS[name] : undefined;
}

const nothing = () => ({ title: T.notFound, element: h("div", { class: "page empty" }, h("h1", {}, T.notFound), h("a", { href: "#/services" }, T.back)), update() {}, tick() {}, close() {} });

let shows = 0;

// False when another view is wanted before this one was there.
async function show() {
  const turn = ++shows;
  const at = route();
  drawNav(at.name === "instances" ? "services" : at.name);
  const View = await viewOf(at)?.().catch(() => undefined);
  if (turn !== shows) return false;
  view?.close();
  view = View ? new View({ store, link, parts: at.parts, query: at.query, setQuery }) : nothing();
  document.title = `${view.title} · ${T.title}`;
  put(main, view.element);
  view.update();
  return true;
}

// --- the bar ---

const state = h("span", { class: "state" }, h("span", { class: "lamp" }), h("span", { class: "words" }), h("span", { class: "age" }));
const nav = h("nav", { "aria-label": T.nav.label });
const account = h("span", { class: "account" });
const space = h("span");

function drawNav(current) {
  const names = Object.keys(VIEWS).filter((name) => name !== "tokens" || may("operator_read"));
  put(nav, names.map((name) => h("a", { href: linkTo(name), "aria-current": name === current ? "page" : null, class: name }, T.nav[name])));
  drawState();
}

let drawn = ""; // the state of the link that the bar shows

function drawState() {
  drawn = link.state;
  const name = link.name();
  const age = link.staleness();
  const isBehind = link.state === "live" && age > 3;
  const words = { connecting: T.link.connecting, live: isBehind ? T.link.behind(name, coarse(age)) : T.link.live(name), lost: T.link.lost(coarse((Date.now() - link.lostAt) / 1000)), denied: T.access.signIn }[link.state];
  state.className = `state ${isBehind ? "behind" : link.state}`;
  setText(state.children[1], words);
  setText(state.children[2], link.state === "live" && heard.at ? T.link.stale(age < 1 ? `${age.toFixed(1)} s` : coarse(age)) : "");
  setAttr(state, "title", T.link.label);
  document.body.classList.toggle("old", link.state === "lost" || isBehind);
  const worst = troubles(link)[0];
  const tab = nav.querySelector(".cluster");
  if (tab) {
    tab.classList.toggle("troubled", worst?.[0] === "bad");
    setAttr(tab, "title", worst?.[0] === "bad" ? worst[1] : null);
  }
}

function drawAccount() {
  const { access } = session;
  if (session.token && access?.credentials === "valid") put(account, h("span", { class: "who ext" }, T.access.signedIn(access.principal)), button(T.access.signOut, signOut, "plain"));
  else if (access && !(access.operator_write && access.credentials === "none")) put(account, button(T.access.signIn, askToken, "plain"));
  else put(account);
}

async function drawSpaces() {
  if (!may("operator_read")) {
    if (!session.space) put(space);
    return;
  }
  try {
    const { namespaces } = await get("/namespaces");
    const names = [...new Set(["default", session.space || "default", ...namespaces.map((x) => x.name)])].sort();
    if (names.length > 1) put(space, select(T.namespace, names.map((x) => [x, x]), session.space || "default", (value) => {
      session.setSpace(value === "default" ? "" : value);
      location.hash = "#/services";
      begin();
    }));
  } catch { /* one namespace, then */ }
}

function themeButton() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const toggle = h("button", { type: "button", class: "plain icon", onclick: () => set(isDark() ? "light" : "dark") },
    s("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" }, s("circle", { cx: 8, cy: 8, r: 6.2, fill: "none", stroke: "currentColor", "stroke-width": 1.5 }), s("path", { d: "M8 2a6 6 0 0 1 0 12z", fill: "currentColor" })));
  const label = () => setAttr(toggle, "aria-label", isDark() ? T.theme.light : T.theme.dark);
  const set = (theme) => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(THEME, theme);
    label();
  };
  const saved = localStorage.getItem(THEME);
  if (saved === "dark" || saved === "light") document.documentElement.dataset.theme = saved;
  dark.addEventListener("change", label);
  label();
  return toggle;
}

// --- who is signed in ---

function askToken() {
  const field = input(T.access.token, { type: "password", required: true });
  ask({
    title: T.access.signIn, text: T.access.hint, verb: T.access.signIn, fields: field,
    work: async () => {
      const before = session.token;
      session.token = field.lastChild.value.trim();
      const access = await loadAccess().catch((error) => {
        session.token = before;
        throw error;
      });
      if (access.credentials !== "valid") {
        session.token = before;
        await loadAccess();
        throw new Error(T.access.bad);
      }
    },
    done: () => {
      session.setToken(session.token);
      notice("access", "");
      notice("denied", "");
      begin();
    },
  });
}

function signOut() {
  session.setToken("");
  begin();
}

let retry = 0;

async function loadRights() {
  clearTimeout(retry);
  try {
    await loadAccess();
    if (session.token && session.access.credentials !== "valid") {
      session.setToken("");
      notice("access", T.access.bad);
      await loadAccess();
    }
  } catch {
    retry = setTimeout(begin, 1000);
  }
}

// --- begin ---

async function begin() {
  link?.close();
  store?.close();
  store = new Store();
  store.since = brought?.since || "";
  store.sincePosition = brought?.position || "";
  link = new Link(store);
  link.onNotice = (key, text) => notice(key, text);
  link.onDenied = () => notice("denied", T.access.needed);
  store.subscribe(drawView);
  const mine = store;
  const rights = loadRights();
  const listing = store.load(); // at the same time: most may read
  await rights;
  drawAccount();
  await listing;
  await show();
  if (!may("read") && session.access) link.take("denied");
  // All else is to come after the first picture.
  requestAnimationFrame(() => setTimeout(() => {
    if (mine !== store) return;
    store.start();
    link.start();
    drawSpaces();
  }, 0));
}

function drawView() {
  if (link.state !== drawn) drawState();
  view?.update();
  if (brought && link.state === "live" && link.health && store.reloads > 0) welcome();
}

// Says where the page comes from, once it is there.
function welcome() {
  const sentence = store.hasGap ? T.link.movedGap : T.link.moved;
  notice("moved", sentence(brought.from, link.name()), !store.hasGap);
  if (brought.needsToken) notice("access", T.access.again);
  brought = null;
}

function tick() {
  if (!link || document.hidden) return;
  drawState();
  view?.tick();
  refreshTimes(main);
}

let unseen = 0;

document.addEventListener("visibilitychange", () => {
  clearTimeout(unseen);
  if (document.hidden) unseen = setTimeout(() => store?.sleep(), 30000);
  else store?.wakeUp();
});

setText(document.querySelector(".skip"), T.skip);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // what is behind # is the view
  main.focus();
});

addEventListener("hashchange", () => {
  show().then((isShown) => isShown && main.focus({ preventScroll: true }));
});

addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName);
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
    const search = document.querySelector("#main input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
  if (event.key === "Escape" && document.activeElement?.type === "search") document.activeElement.blur();
});

put(bar, h("a", { class: "brand", href: "#/services" }, h("img", { src: "/ui/icon.svg", width: 24, height: 24, alt: "" }), T.title), nav, state, space, account, themeButton());
setInterval(tick, 500);
brought = await arrive();
begin();
