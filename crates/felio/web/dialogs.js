// Dialogs: one form each, one transaction each. Esc closes them; what is refused is said in them.

import { change } from "./daemon.js";
import { focusKey, make, tell } from "./dom.js";
import { backing, concerned, dependents, name, tpgs } from "./model.js";
import { bytes, parseBytes } from "./units.js";

/** Opens a form. `changes()` are what it amounts to: `null` if a field is wrong, and then says so by itself. */
function ask({ title, fields, verb, kind = "primary", changes, done, opener }) {
  const error = make("div", { class: "refusal", role: "alert" });
  const submit = make("button", { type: "submit", class: kind }, verb);
  const cancel = make("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
  const submitted = async (event) => {
    event.preventDefault();
    const wanted = changes();
    if (wanted === null) return;
    error.replaceChildren();
    submit.disabled = true;
    try {
      const list = await change(wanted);
      dialog.close();
      tell(list.map(({ says }) => says).join(" "));
      await done();
    } catch (refusal) {
      error.replaceChildren(make("p", {}, refusal.message), refusal.hint ? make("p", { class: "note" }, refusal.hint) : "");
    } finally {
      submit.disabled = false;
    }
  };
  const form = make("form", { onsubmit: submitted, novalidate: true }, make("h2", { id: "dialog-title" }, title), fields, error, make("div", { class: "actions" }, cancel, submit));
  const closed = () => {
    dialog.remove();
    if (opener !== undefined) focusKey(opener);
  };
  const dialog = make("dialog", { "aria-labelledby": "dialog-title", onclose: closed }, form);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** A labelled input. Its `check()` says what is wrong with it, to the eye and to a screen reader, and moves there. */
function field(label, attributes, note, check = () => "") {
  const id = `field-${attributes.name}`;
  const input = make("input", { id, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-note`, ...attributes });
  const says = make("span", { id: `${id}-note`, class: "note" }, note);
  const node = make("div", { class: "field" }, make("label", { for: id }, label), input, says);
  const isRight = () => {
    const wrong = check(input.value.trim());
    input.setAttribute("aria-invalid", wrong === "" ? "false" : "true");
    says.textContent = wrong || note;
    if (wrong !== "") input.focus();
    return wrong === "";
  };
  return { node, input, isRight, get value() { return input.value.trim(); } };
}

function choice(label, name, options, changed) {
  const id = `field-${name}`;
  const select = make("select", { id, name, onchange: changed }, options.map(([value, text]) => make("option", { value }, text)));
  return { node: make("div", { class: "field" }, make("label", { for: id }, label), select), select };
}

const needed = (text) => (text === "" ? "This is needed." : "");
const isName = (text) => needed(text) || (/[/\s]/.test(text) ? "A name has no slash and no blank." : "");
const isFile = (text) => (text.startsWith("/") ? "" : "The path of a file, beginning with a slash.");
const isSize = (text) => (parseBytes(text) === null ? "A size, such as 64M, 1.5G or 2T." : "");

/** A disk, and if wanted a target and a LUN for it. */
export function create({ config }, done) {
  const kind = choice("Blocks are kept", "kind", [["fileio", "in a file"], ["ramdisk", "in memory, until felio ends"]], () => refresh());
  const title = field("Name", { name: "name", required: true }, "As it is listed under backstores.", isName);
  const file = field("File", { name: "dev", placeholder: "/var/lib/disks/disk1.img" }, "Made, and sparse, if there is none.", isFile);
  const size = field("Size", { name: "size", value: "1G" }, "64M, 1.5G, 2T …", isSize);
  const places = tpgs(config).map(([path]) => [path, path.replace("/iscsi/", "")]);
  const place = choice("Exported by", "place", [...places, ["new", "a new target"], ["none", "no target yet"]], () => refresh());
  const wwn = field("Target name", { name: "wwn", value: newName() }, "iqn.YEAR-MONTH.your.domain:anything", needed);
  const portal = field("Portal", { name: "portal", placeholder: "0.0.0.0:3260" }, "ADDRESS:PORT; all addresses if left out.");
  const initiator = field("Initiator", { name: "initiator", placeholder: "iqn.1994-05.com.example:host" }, "Only this one may log in; everybody, without a password, if left out.");
  const refresh = () => {
    file.node.hidden = kind.select.value !== "fileio";
    for (const { node } of [wwn, portal, initiator]) node.hidden = place.select.value !== "new";
  };
  refresh();
  const all = [title, file, size, wwn, portal, initiator];
  const changes = () => {
    if (!all.every((one) => one.node.hidden || one.isRight())) return null;
    const storage = `/backstores/${kind.select.value}/${title.value}`;
    const place_ = { size: parseBytes(size.value), ...(kind.select.value === "fileio" ? { dev: file.value } : {}) };
    const disk = { change: "create_storage", storage, backing: { [kind.select.value]: place_ } };
    if (place.select.value === "none") return [disk];
    if (place.select.value === "new") return [disk, ...newTarget(wwn.value, portal.value, initiator.value, storage)];
    return [disk, { change: "create_lun", tpg: place.select.value, storage, add_mapped_luns: true }];
  };
  const fields = [kind, title, file, size, place, wwn, portal, initiator].map(({ node }) => node);
  ask({ title: "Create a disk", fields, verb: "Create", changes, done, opener: "create" });
  title.input.focus();
}

function newTarget(wwn, portal, initiator, storage) {
  const tpg = `/iscsi/${wwn}/tpg1`;
  const set = (name, value) => ({ change: "set", path: tpg, group: "attribute", name, value });
  const everybody = [set("generate_node_acls", "1"), set("demo_mode_write_protect", "0")];
  const one = [{ change: "create_acl", tpg, wwn: initiator, add_mapped_luns: true }];
  return [
    { change: "create_target", fabric: "iscsi", wwn, tpg: { open: true, enable: true, default_portal: portal === "" } },
    ...(portal === "" ? [] : [{ change: "create_portal", tpg, portal }]),
    { change: "create_lun", tpg, storage },
    ...(initiator === "" ? everybody : one),
  ];
}

/** A name that nobody has yet. */
function newName() {
  const digits = [...crypto.getRandomValues(new Uint8Array(4))].map((byte) => byte.toString(16).padStart(2, "0"));
  return `iqn.2026-11.org.felio:${digits.join("")}`;
}

export function resize({ config }, path, done) {
  const { size } = backing(config.storage[path]);
  const wanted = field("Size", { name: "size", value: bytes(size) }, `It has ${size.toLocaleString("en")} bytes. Smaller loses what is beyond.`, isSize);
  const changes = () => (wanted.isRight() ? [{ change: "resize", storage: path, size: parseBytes(wanted.value) }] : null);
  ask({ title: `Resize ${name(path)}`, fields: [wanted.node], verb: "Resize", changes, done, opener: `resize ${path}` });
  wanted.input.select();
}

/** Asks whether something is to go, and names what goes with it. */
export function remove({ config, sessions }, path, done) {
  const going = dependents(config, path);
  const losing = concerned(config, sessions, path);
  const list = (title, items) =>
    items.length === 0 ? [] : [make("p", {}, title), make("ul", { class: "going" }, items.slice(0, 12).map((item) => make("li", {}, item)), items.length > 12 ? make("li", {}, `and ${items.length - 12} more`) : null)];
  const fields = [
    make("p", {}, make("code", {}, path)),
    ...list("With it go:", going),
    ...list("Logged in there now:", losing.map(({ initiator, connections }) => `${initiator} (${connections.map(({ peer }) => peer).join(", ")})`)),
    make("p", { class: "note" }, fate(config.storage[path])),
  ];
  const dialog = ask({ title: `Delete ${name(path)}?`, fields, verb: "Delete", kind: "danger", changes: () => [deletion(path)], done, opener: "create" });
  // What cannot be taken back is not what Enter does at once.
  dialog.querySelector("button[type=button]").focus();
}

function fate(object) {
  if (object === undefined) return "Disks keep their blocks.";
  const { plugin, dev } = backing(object);
  return plugin === "ramdisk" ? "What is in it is lost." : dev === undefined ? "" : `${dev} stays as it is.`;
}

function deletion(path) {
  if (path.startsWith("/backstores/")) return { change: "delete_storage", storage: path };
  const [, tpg, kind, rest] = /^(\/[^/]+\/[^/]+\/tpg\d+)(?:\/(luns\/lun|portals\/|acls\/)(.+))?$/.exec(path) ?? [];
  if (tpg === undefined) return { change: "delete_target", target: path };
  if (kind === undefined) return { change: "delete_tpg", tpg };
  if (kind === "luns/lun") return { change: "delete_lun", tpg, index: Number(rest) };
  return kind === "acls/" ? { change: "delete_acl", acl: path } : { change: "delete_portal", tpg, portal: rest };
}
