// Calls of the API of the replica that served the page.
import { noteDate } from "./dom.js";
import { T } from "./strings.js";

// The page may be below a path of a proxy.
const ROOT = new URL("../", import.meta.url);
const TOKEN = "muster-token";
const SPACE = "muster-namespace";

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const session = {
  token: sessionStorage.getItem(TOKEN) || "",
  space: sessionStorage.getItem(SPACE) || "",
  access: null, // GET /access
  setToken(token) {
    this.token = token;
    if (token) sessionStorage.setItem(TOKEN, token);
    else sessionStorage.removeItem(TOKEN);
  },
  setSpace(space) {
    this.space = space;
    if (space) sessionStorage.setItem(SPACE, space);
    else sessionStorage.removeItem(SPACE);
  },
};

export function headers(extra) {
  const all = { ...extra };
  if (session.token) all.Authorization = `Bearer ${session.token}`;
  if (session.space) all["X-Muster-Namespace"] = session.space;
  return all;
}

export const target = (path) => new URL(path.replace(/^\//, ""), ROOT);

// Of each answer: how far the replica was from a leader.
export const heard = { stalenessMs: 0, at: 0 };

function note(answer, sentMs) {
  const staleness = answer.headers.get("X-Muster-Staleness-Ms");
  noteDate(answer.headers.get("Date"), sentMs);
  if (staleness !== null) {
    heard.stalenessMs = Number(staleness);
    heard.at = Date.now();
  }
}

async function failure(answer) {
  let body = {};
  try {
    body = await answer.json();
  } catch { /* a proxy's */ }
  const message = body.error === "outcome_unknown" ? T.errors.unknown : body.message || `HTTP ${answer.status}`;
  return new ApiError(answer.status, body.error || "", message);
}

// JSON of an answer; null of 304. Throws ApiError; status 0 when the replica does not answer in time.
export async function call(method, path, body, options = {}) {
  const sentMs = Date.now();
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), options.timeoutMs || 15000);
  const aborted = () => stop.abort();
  options.signal?.addEventListener("abort", aborted);
  try {
    const answer = await fetch(target(path), {
      method, signal: stop.signal, cache: "no-store", credentials: "omit",
      headers: headers({ Accept: options.text ? "text/plain" : "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }) }),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    note(answer, sentMs);
    if (!answer.ok && !(options.anyStatus && answer.status === 503)) throw await failure(answer);
    return options.text ? await answer.text() : await answer.json();
  } catch (error) {
    if (error instanceof ApiError || options.signal?.aborted) throw error;
    throw new ApiError(0, "away", T.errors.away);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", aborted);
  }
}

export const get = (path, options) => call("GET", path, undefined, options);

export async function loadAccess() {
  session.access = await get("/access");
  return session.access;
}

const fits = (scope, name) => scope.name === name || (scope.prefix !== undefined && name.startsWith(scope.prefix));

// A hint for what to show; the replica decides.
export function mayWrite(service) {
  const access = session.access;
  return Boolean(access && access.write && access.services.some((scope) => scope.access === "write" && fits(scope, service)));
}

export const may = (what) => Boolean(session.access && session.access[what]);
export const enc = encodeURIComponent;
export const linkTo = (...parts) => `#/${parts.map(enc).join("/")}`;
