// What is wrong with the replica and its cluster, in words.
import { duration } from "./dom.js";
import { T } from "./strings.js";

export const nameOf = (x) => x.name || `muster-${x.id}`;

// Sentences, the worst first: [tone, sentence].
export function troubles({ health, cluster, metrics }) {
  const found = [];
  const bad = (sentence) => found.push(["bad", sentence]);
  const warn = (sentence) => found.push(["warn", sentence]);
  if (health && !health.ready && cluster?.leader !== 0) bad(T.trouble.notReady(health.reason));
  if (cluster) membersTrouble(cluster, bad, warn);
  const m = (name) => metrics?.get(name) || 0;
  if (m("loop_stalled_seconds")) bad(T.trouble.loopStalled(duration(m("loop_stalled_seconds"))));
  if (m("disk_stalled_seconds")) bad(T.trouble.diskStalled(duration(m("disk_stalled_seconds"))));
  const share = health?.state?.bytes_max ? health.state.bytes / health.state.bytes_max : 0;
  if (share > 0.8) (share >= 1 ? bad : warn)(T.trouble.stateFull(Math.round(share * 100)));
  if (m("expiry_brake")) warn(T.trouble.brake);
  if (m("audit_failing")) bad(T.trouble.audit);
  for (const warning of health?.warnings || []) warn(`${warning.message[0].toUpperCase()}${warning.message.slice(1)}${/[.!?]$/.test(warning.message) ? "" : "."}`);
  return found.sort((a, b) => Number(a[0] === "warn") - Number(b[0] === "warn"));
}

function membersTrouble(cluster, bad, warn) {
  if (cluster.leader === 0) bad(T.trouble.noLeader);
  const voters = cluster.members.filter((x) => x.role === "voter");
  const alive = voters.filter((x) => x.self || x.reachable).length;
  if (alive < Math.floor(voters.length / 2) + 1) bad(T.trouble.lostVoters(alive, voters.length));
  if (voters.length > 0 && voters.length % 2 === 0) warn(T.trouble.even(voters.length));
  for (const x of cluster.members) {
    const name = nameOf(x);
    if (!x.self && !x.reachable) bad(T.trouble.unreachable(name, x.trouble));
    if (!x.has_space) bad(T.trouble.full(name));
    if (x.refuses_heartbeats) warn(T.trouble.refuses(name));
    if (x.reachable && x.behind > 1000) warn(T.trouble.behind(name, x.behind));
  }
}
