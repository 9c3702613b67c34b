// Server-sent events over fetch: EventSource sends no token, and does not say why it failed.
import { headers, target } from "./api.js";

const SILENT_MS = 40000; // the replica says something every 15 s

// Calls `take({event, data, id})` for each block; an id alone is a bookmark. Ends when the stream does; throws when
// it cannot be opened (with `status`) or falls silent.
export async function readStream(path, signal, opened, take) {
  const stop = new AbortController();
  const aborted = () => stop.abort();
  signal.addEventListener("abort", aborted);
  let timer = setTimeout(aborted, 10000);
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(aborted, SILENT_MS);
  };
  try {
    const answer = await fetch(target(path), {
      headers: headers({ Accept: "text/event-stream" }), signal: stop.signal, cache: "no-store", credentials: "omit",
    });
    if (!answer.ok) throw Object.assign(new Error(`HTTP ${answer.status}`), { status: answer.status });
    opened();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      alive();
      const { done, value } = await reader.read();
      if (done) return;
      rest = split(rest + value, take);
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", aborted);
    stop.abort();
  }
}

// Takes whole blocks off the front; returns what is left.
function split(text, take) {
  let from = 0;
  for (;;) {
    const end = text.indexOf("\n\n", from);
    if (end < 0) return from === 0 ? text : text.slice(from);
    parse(text.slice(from, end), take);
    from = end + 2;
  }
}

function parse(block, take) {
  const found = { event: "message", data: "", id: undefined };
  let isComment = true;
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    const name = line.slice(0, colon);
    isComment = false;
    if (name === "event") found.event = value;
    else if (name === "id") found.id = value;
    else if (name === "data") found.data += found.data === "" ? value : `\n${value}`;
  }
  if (!isComment) take(found);
}
