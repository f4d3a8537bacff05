// The page: asks the daemon again and again, and shows what has changed.

import { change, get } from "./daemon.js";
import * as dialogs from "./dialogs.js";
import { fill, find, make, tell } from "./dom.js";
import * as plots from "./plots.js";
import * as tree from "./tree.js";
import { many } from "./units.js";

const state = { snapshot: undefined, sessions: [] };
/** The last answers, as text. */
const texts = {};
let isCounted = true;

/** Asks for `path`, and shows the answer if it is another than the last. */
async function update(path, shown) {
  const text = await get(path);
  if (texts[path] === text) return;
  texts[path] = text;
  shown(JSON.parse(text));
}

async function refresh() {
  // The revision is short, the snapshot may be long.
  if (JSON.parse(await get("/v1/revision")) !== state.snapshot?.revision) {
    state.snapshot = JSON.parse(await get("/v1/snapshot"));
    tree.show(state.snapshot, act);
    showDegraded(state.snapshot.conditions);
  }
  await update("/v1/sessions", (sessions) => {
    state.sessions = sessions;
    showSessions(sessions);
  });
  const { config } = state.snapshot;
  const counts = [many(Object.keys(config.storage).length, "storage object"), many(Object.keys(config.targets).length, "target"), many(state.sessions.length, "session")];
  find("#summary").textContent = counts.join(" · ");
}

/** Once; afterwards again in a second. What fails is said, and tried again. */
async function round() {
  try {
    if (!document.hidden) {
      await refresh();
      await stats();
    }
    find("#connection").hidden = true;
    find("#create").disabled = false;
  } catch (refusal) {
    const text = [refusal.message, refusal.hint].filter(Boolean).join(": ");
    if (find("#connection").textContent !== text) find("#connection").textContent = text;
    find("#connection").hidden = false;
    find("#create").disabled = true;
  }
  setTimeout(round, 1000);
}

/** Plots, where the daemon counts. */
async function stats() {
  if (!isCounted) return;
  try {
    plots.show(JSON.parse(await get("/v1/stats")));
  } catch (refusal) {
    if (refusal.status !== 404) throw refusal;
    isCounted = false;
  }
}

async function act(verb, path) {
  const context = { config: state.snapshot.config, sessions: state.sessions };
  if (verb === "resize") return dialogs.resize(context, path, refresh);
  if (verb === "delete") return dialogs.remove(context, path, refresh);
  try {
    const done = await change([{ change: `${verb}_tpg`, tpg: path }]);
    tell(done.map(({ says }) => says).join(" "));
    await refresh();
  } catch (refusal) {
    tell([refusal.message, refusal.hint].filter(Boolean).join(": "));
  }
}

function showDegraded(conditions) {
  const degraded = Object.entries(conditions).filter(([, condition]) => condition.condition === "degraded");
  find("#degraded").hidden = degraded.length === 0;
  fill(find("#degraded ul"), degraded.map(([path, { why }]) => make("li", {}, make("code", {}, path), ` ${why}`)));
}

const COLUMNS = ["Initiator", "Address", "Target", "LUNs", "State", "Negotiated"];

function showSessions(sessions) {
  if (sessions.length === 0) return fill(find("#sessions"), make("p", { class: "note" }, "Nobody is logged in."));
  const row = (session) => {
    const parameters = Object.entries(session.parameters ?? session.connections[0]?.parameters ?? {});
    const lun = ({ index, storage, write_protect }) => make("div", {}, `${index}: ${storage.replace("/backstores/", "")}${write_protect ? " (read only)" : ""}`);
    return make(
      "tr",
      {},
      make("th", { scope: "row" }, session.initiator, session.alias ? make("div", { class: "note" }, session.alias) : null),
      make("td", {}, session.connections.map(({ peer, transport }) => make("div", {}, `${peer} ${transport}`))),
      make("td", {}, session.tpg === null ? "discovery" : session.tpg.replace("/iscsi/", "")),
      make("td", {}, session.luns.map(lun)),
      make("td", {}, session.state.toLowerCase().replaceAll("_", " "), session.authenticated ? ", authenticated" : ""),
      hasParameters ? make("td", {}, parameters.map(([key, value]) => make("div", {}, `${key}=${value}`))) : null,
    );
  };
  const hasParameters = sessions.some((session) => session.parameters ?? session.connections.some(({ parameters }) => parameters));
  const heads = COLUMNS.slice(0, hasParameters ? undefined : -1).map((title) => make("th", { scope: "col" }, title));
  fill(find("#sessions"), make("table", {}, make("thead", {}, make("tr", {}, heads)), make("tbody", {}, sessions.map(row))));
}

find("#create").addEventListener("click", () => dialogs.create({ config: state.snapshot.config }, refresh));
find("#filter").addEventListener("input", plots.draw);
round();
