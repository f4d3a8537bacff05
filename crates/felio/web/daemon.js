// What the daemon is asked. The token comes with the page's address, and stays in this tab only.

const KEY = "felio-token";
if (location.hash.length > 1) {
  sessionStorage.setItem(KEY, location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}

/** Why something is not done: `what`, and mostly a `hint` what to do next. */
export class Refusal extends Error {
  constructor(status, body) {
    super(body.what);
    this.status = status;
    this.hint = body.hint;
  }
}

async function ask(path, options) {
  const authorization = `Bearer ${sessionStorage.getItem(KEY) ?? ""}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, authorization } });
  } catch {
    throw new Refusal(0, { what: "felio does not answer", hint: "is the daemon running?" });
  }
  const text = await response.text();
  if (response.ok) return text;
  let refusal = {};
  try {
    refusal = JSON.parse(text);
  } catch {
    // Not everything that refuses speaks JSON.
  }
  throw new Refusal(response.status, { what: refusal.what ?? `felio answers ${response.status}: ${text}`, hint: refusal.hint });
}

/** The text of an answer: whoever asks again compares it before it is parsed. */
export const get = (path) => ask(path, {});

/** One transaction; what was done, as a list of `{path, says}`. */
export async function change(changes) {
  const headers = { "content-type": "application/json" };
  return JSON.parse(await ask("/v1/changes", { method: "POST", headers, body: JSON.stringify(changes) }));
}
