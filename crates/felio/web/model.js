// Questions to a configuration, as `GET /v1/snapshot` has it: everything is named by its path.

/** `[path, object]` of all portal groups. */
export function tpgs(config) {
  return Object.entries(config.targets).flatMap(([target, { tpgs }]) =>
    Object.entries(tpgs).map(([tag, tpg]) => [`${target}/tpg${tag}`, tpg]),
  );
}

/** Paths of the LUNs that lead to a storage object. */
export const lunsOf = (config, storage) =>
  tpgs(config).flatMap(([path, tpg]) =>
    Object.entries(tpg.luns)
      .filter(([, lun]) => lun.storage === storage)
      .map(([index]) => `${path}/luns/lun${index}`),
  );

/** The last part of a path. */
export const name = (path) => path.slice(path.lastIndexOf("/") + 1);

/** The kind of backing and what is said of it. */
export function backing(object) {
  const [entry] = typeof object.backing === "string" ? [[object.backing, {}]] : Object.entries(object.backing);
  return { plugin: entry[0], ...entry[1] };
}

const mapped = (path, tpg, wanted) =>
  Object.entries(tpg.acls).flatMap(([wwn, acl]) =>
    Object.entries(acl.mapped_luns)
      .filter(([, lun]) => wanted(String(lun.tpg_lun)))
      .map(([index]) => `${path}/acls/${wwn}/mapped_lun${index}`),
  );

const inTpg = (path, tpg) => [
  ...Object.keys(tpg.luns).map((index) => `${path}/luns/lun${index}`),
  ...Object.keys(tpg.portals).map((portal) => `${path}/portals/${portal}`),
  ...Object.keys(tpg.acls).map((wwn) => `${path}/acls/${wwn}`),
];

/** What goes with an object when it is deleted. */
export function dependents(config, path) {
  if (path in config.storage) {
    const luns = lunsOf(config, path);
    return [...luns, ...luns.flatMap((lun) => dependents(config, lun))];
  }
  const lun = /^(.*)\/luns\/lun(\d+)$/.exec(path);
  const all = tpgs(config);
  if (lun !== null) {
    const tpg = all.find(([tpg]) => tpg === lun[1]);
    return tpg === undefined ? [] : mapped(tpg[0], tpg[1], (index) => index === lun[2]);
  }
  const acl = all.find(([tpg]) => path.startsWith(`${tpg}/acls/`));
  if (acl !== undefined) {
    const wwn = path.slice(acl[0].length + "/acls/".length);
    return Object.keys(acl[1].acls[wwn]?.mapped_luns ?? {}).map((index) => `${path}/mapped_lun${index}`);
  }
  return all
    .filter(([tpg]) => tpg === path || tpg.startsWith(`${path}/tpg`))
    .flatMap(([tpg, object]) => [...(tpg === path ? [] : [tpg]), ...inTpg(tpg, object)]);
}

/** The sessions that lose something when an object is deleted. */
export function concerned(config, sessions, path) {
  if (path in config.storage) return sessions.filter((session) => session.luns.some((lun) => lun.storage === path));
  const lun = /^(.*)\/luns\/lun(\d+)$/.exec(path);
  if (lun !== null) return sessions.filter((session) => session.tpg === lun[1]);
  return sessions.filter(({ tpg, initiator }) => {
    const place = tpg === null ? "" : `${tpg}/acls/${initiator}`;
    return place === path || place.startsWith(`${path}/`);
  });
}
