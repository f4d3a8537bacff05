// The topology as a tree that opens and closes: storage objects by plugin, targets with portal groups, LUNs, portals and ACLs.

import { fill, find, make } from "./dom.js";
import { backing, lunsOf, name } from "./model.js";
import { bytes, many } from "./units.js";

/** What is open, by path. */
const open = new Set(["/backstores", "/iscsi"]);
for (const path of ["/backstores/fileio", "/backstores/ramdisk", "/backstores/block"]) open.add(path);

/** Shows a snapshot. `act(what, path)` is called for what somebody wants done. */
export function show({ config, conditions }, act) {
  const context = { config, conditions, act };
  fill(find("#tree"), make("ul", {}, backstores(context), fabrics(context)));
}

function backstores(context) {
  const objects = Object.keys(context.config.storage);
  const plugins = [...new Set(objects.map((path) => path.split("/")[2]))];
  return branch(context, "/backstores", "backstores", many(objects.length, "storage object"), () =>
    plugins.map((plugin) => {
      const mine = objects.filter((path) => path.split("/")[2] === plugin);
      return branch(context, `/backstores/${plugin}`, plugin, String(mine.length), () => mine.map((path) => storage(context, path)));
    }),
  );
}

function storage(context, path) {
  const object = context.config.storage[path];
  const { plugin, dev, size } = backing(object);
  const luns = lunsOf(context.config, path);
  const facts = [size === undefined ? null : bytes(size), dev ?? null, luns.length === 0 ? "not exported" : null];
  const content = () => [
    buttons(context, path, [size === undefined ? null : "resize", "delete"]),
    make("dl", {}, [["Kind", plugin], ["Serial number", object.wwn || "the device's own"]].map(([term, text]) => [make("dt", {}, term), make("dd", {}, text)])),
    make("ul", {}, luns.map((lun) => make("li", {}, lun))),
  ];
  return branch(context, path, name(path), facts.filter((fact) => fact !== null).join(", "), content, true);
}

function fabrics(context) {
  const targets = Object.keys(context.config.targets);
  const all = [...new Set(["/iscsi", ...targets.map((path) => `/${path.split("/")[1]}`)])];
  return all.map((fabric) => {
    const mine = targets.filter((path) => path.startsWith(`${fabric}/`));
    return branch(context, fabric, name(fabric), many(mine.length, "target"), () => mine.map((path) => target(context, path)));
  });
}

function target(context, path) {
  const { tpgs } = context.config.targets[path];
  const tags = Object.keys(tpgs);
  const content = () => [
    buttons(context, path, ["delete"]),
    make("ul", {}, tags.map((tag) => tpg(context, `${path}/tpg${tag}`, tpgs[tag]))),
  ];
  return branch(context, path, name(path), many(tags.length, "portal group"), content, true);
}

function tpg(context, path, tpg) {
  const luns = Object.entries(tpg.luns);
  const portals = Object.keys(tpg.portals);
  const acls = Object.entries(tpg.acls);
  const says = [tpg.enable ? "enabled" : "disabled", many(luns.length, "LUN"), many(acls.length, "ACL")].join(", ");
  const lun = ([index, lun]) => leaf(context, `${path}/luns/lun${index}`, `lun${index}`, lun.storage);
  const acl = ([wwn, acl]) =>
    leaf(context, `${path}/acls/${wwn}`, wwn, [acl.tag ?? null, many(Object.keys(acl.mapped_luns).length, "mapped LUN")].filter(Boolean).join(", "));
  const content = () => [
    buttons(context, path, [tpg.enable ? "disable" : "enable", "delete"]),
    make(
      "ul",
      {},
      branch(context, `${path}/luns`, "luns", String(luns.length), () => luns.map(lun)),
      branch(context, `${path}/portals`, "portals", String(portals.length), () => portals.map((portal) => leaf(context, `${path}/portals/${portal}`, portal, ""))),
      branch(context, `${path}/acls`, "acls", String(acls.length), () => acls.map(acl)),
    ),
  ];
  return branch(context, path, name(path), says, content, true);
}

/** Something with more below it, which is made when it is first opened: there may be thousands. */
function branch(context, path, title, says, content, isObject = false) {
  const below = make("div", { class: "below" });
  const opened = () => {
    if (below.childElementCount > 0) return;
    below.append(...(isObject ? content() : [make("ul", {}, content())]));
  };
  const toggled = ({ target }) => {
    if (target.open) open.add(path);
    else open.delete(path);
    opened();
  };
  if (open.has(path)) opened();
  const summary = make("summary", { "data-key": path }, make("span", { class: "name" }, title), " ", state(context, path), make("span", { class: "note" }, says));
  return make("li", {}, make("details", { open: open.has(path), ontoggle: toggled }, summary, below));
}

function leaf(context, path, title, says) {
  const text = make("span", {}, make("span", { class: "name" }, title), " ", state(context, path), make("span", { class: "note" }, says));
  return make("li", { class: "leaf" }, text, buttons(context, path, ["delete"]));
}

/** A mark for what is not up. */
function state({ conditions }, path) {
  const condition = conditions[path];
  if (condition === undefined) return null;
  return make("span", { class: `mark ${condition.condition}`, title: condition.why }, condition.condition);
}

function buttons({ act }, path, verbs) {
  const button = (verb) =>
    make(
      "button",
      { type: "button", "data-key": `${verb} ${path}`, "aria-label": `${verb} ${path}`, onclick: () => act(verb, path) },
      verb[0].toUpperCase() + verb.slice(1) + (["resize", "delete"].includes(verb) ? "…" : ""),
    );
  return make("div", { class: "actions" }, verbs.filter((verb) => verb !== null).map(button));
}
