// What can be done to an instance, each after a question that names it.
import { call, enc } from "./api.js";
import { ask, input, notice } from "./parts.js";
import { T } from "./strings.js";

export function askMaintenance({ id }, enabled) {
  const reason = input(T.confirm.reason, { maxlength: 512 });
  const word = enabled ? "maintenanceOn" : "maintenanceOff";
  ask({
    title: T.confirm[word](id), text: T.confirm[`${word}Why`], verb: T.instance[word], fields: enabled ? reason : null,
    work: () => call("PUT", `/instances/${enc(id)}/maintenance`, { enabled, ...(enabled && reason.lastChild.value ? { reason: reason.lastChild.value } : {}) }),
    done: () => notice("done", T.done[word](id), true),
  });
}

export function askDeregister({ id, name, incarnation }) {
  ask({
    title: T.confirm.deregister(id, name), text: T.confirm.deregisterWhy, verb: T.instance.deregister, danger: true,
    work: () => call("DELETE", `/instances/${enc(id)}?incarnation=${incarnation}`),
    done: () => notice("done", T.done.deregistered(id), true),
  });
}
