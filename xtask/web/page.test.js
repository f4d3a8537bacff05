// The web page as its users meet it: a daemon on temporary paths, Chromium, and an initiator that reads.
//
// FELIO is the program, SHOTS a folder for screenshots. `cargo xtask web` sets both.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const { FELIO, SHOTS } = process.env;
const PATIENCE = 60_000;
const TARGET = "iqn.2026-11.org.example:shop";
const INITIATOR = "iqn.2026-11.org.example:reader";
const STORAGE = "/backstores/fileio/goods";
const ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

let folder, felio, url, browser, page, portal, reader;
const complaints = [];

/** A port that nobody listens on for now. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

/** The events that a daemon says, until the one that is waited for. */
async function start() {
  const path = (name) => join(folder, name);
  const places = ["--config", path("saveconfig.json"), "--socket", path("socket"), "--state-dir", path("state")];
  felio = spawn(FELIO, ["daemon", "--json", ...places, "--web", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: felio.stdout })) {
    const { event, text } = JSON.parse(line);
    if (event === "web") return text;
  }
  throw new Error("felio has ended");
}

/** The status of a request that no browser would send. */
async function status(path, headers) {
  const asked = request(new URL(path, url), { headers }).end();
  const [answer] = await once(asked, "response");
  answer.resume();
  return answer.statusCode;
}

const shot = (name) => page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true });
const dialog = () => page.getByRole("dialog");
const card = () => page.locator(`.card[data-storage="${STORAGE}"]`);
const button = (name) => page.getByRole("button", { name, exact: true });

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "felio-web-"));
  mkdirSync(SHOTS, { recursive: true });
  portal = `127.0.0.1:${await freePort()}`;
  url = await start();
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ARGS });
  page = await browser.newPage({ viewport: { width: 1200, height: 900 }, colorScheme: "light" });
  page.setDefaultTimeout(PATIENCE);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  await page.goto(url);
  await button("Create disk…").and(page.locator(":enabled")).waitFor();
});

after(async () => {
  reader?.kill("SIGKILL");
  await browser?.close();
  felio?.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

test("the token does not stay in the address, and nobody asks without it", async () => {
  assert.equal(new URL(page.url()).hash, "");
  const bearer = { authorization: `Bearer ${new URL(url).hash.slice(1)}` };
  assert.equal(await status("/v1/snapshot", bearer), 200);
  assert.equal(await status("/v1/snapshot", {}), 401);
  assert.equal(await status("/v1/snapshot", { ...bearer, host: "evil.example" }), 421);
  assert.equal(await status("/v1/snapshot", { ...bearer, origin: "http://evil.example" }), 403);
});

test("a dialog is used with the keyboard alone: what is refused is said there, Esc closes it", async () => {
  await shot("1-empty");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.id), "create");
  await page.keyboard.press("Enter");
  await dialog().waitFor();
  await page.keyboard.type("goods");
  await page.keyboard.press("Tab");
  await page.keyboard.type("/proc/nothing/goods.img");
  await page.keyboard.press("Enter");
  await dialog().getByRole("alert").getByText("/proc/nothing").waitFor();
  await shot("2-refused");
  await page.keyboard.press("Escape");
  await dialog().waitFor({ state: "detached" });
  assert.equal(await page.evaluate(() => document.activeElement.id), "create");
});

test("a disk, a target and a LUN are created in one dialog", async () => {
  await button("Create disk…").click();
  await dialog().getByLabel("Name", { exact: true }).fill("goods");
  await dialog().getByLabel("File").fill(join(folder, "goods.img"));
  await dialog().getByLabel("Size").fill("64M");
  await dialog().getByLabel("Target name").fill(TARGET);
  await dialog().getByLabel("Portal").fill(portal);
  await dialog().getByLabel("Initiator").fill(INITIATOR);
  await shot("3-create");
  await dialog().getByRole("button", { name: "Create" }).click();
  await dialog().waitFor({ state: "detached" });
  await page.locator("summary", { hasText: "goods" }).waitFor();
  assert.equal(statSync(join(folder, "goods.img")).size, 64 << 20);
});

test("an initiator logs in and reads: its session appears, and the disk's plot moves", async () => {
  reader = spawn("iscsi-perf", ["-i", INITIATOR, "-m", "4", "-b", "8", "-r", `iscsi://${portal}/${TARGET}/0`], { stdio: "ignore" });
  await page.getByRole("row").filter({ hasText: INITIATOR }).getByText("127.0.0.1").waitFor();
  const throughput = card().locator(".plot").first();
  await throughput.getByText(/^\d[\d.]* [KMG]iB\/s$/).first().waitFor();
  const line = () => throughput.locator("path.first").getAttribute("d");
  const early = await line();
  await page.waitForFunction(([path, early]) => document.querySelector(`.card[data-storage="${path}"] path.first`).getAttribute("d").length > early.length + 40, [STORAGE, early]);
  const heights = (await line()).match(/ [\d.]+(?=[ML]|$)/g).map(Number);
  assert.ok(Math.min(...heights) < 20, `the line leaves the ground: ${heights}`);
});

test("the tree leads from a target to what is in it", async () => {
  for (const name of [TARGET, "tpg1", "luns", "acls", "portals"]) {
    await page.locator("summary").filter({ hasText: new RegExp(`^${name}`) }).click();
  }
  await page.locator(".leaf").filter({ hasText: "lun0" }).first().waitFor();
  await page.locator(".leaf").filter({ hasText: portal }).waitFor();
  await shot("4-live");
  await page.emulateMedia({ colorScheme: "dark" });
  await shot("5-dark");
  await page.setViewportSize({ width: 360, height: 740 });
  await shot("6-narrow");
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `nothing is wider than the window: ${width}`);
  await page.setViewportSize({ width: 1200, height: 900 });
  await page.emulateMedia({ colorScheme: "light" });
});

test("a disk grows under its initiator", async () => {
  await page.locator("summary").filter({ hasText: /^goods/ }).click();
  await button(`resize ${STORAGE}`).click();
  await dialog().getByLabel("Size").fill("lots");
  await dialog().getByRole("button", { name: "Resize" }).click();
  assert.equal(await dialog().getByLabel("Size").getAttribute("aria-invalid"), "true");
  await dialog().getByLabel("Size").fill("128 MiB");
  await dialog().getByRole("button", { name: "Resize" }).click();
  await page.locator("summary").filter({ hasText: /^goods.*128 MiB/ }).waitFor();
  assert.equal(statSync(join(folder, "goods.img")).size, 128 << 20);
  assert.equal(reader.exitCode, null, "the initiator goes on");
});

test("a portal group is disabled, and enabled again", async () => {
  const tpg = `/iscsi/${TARGET}/tpg1`;
  await button(`disable ${tpg}`).click();
  await page.locator("summary").filter({ hasText: /^tpg1.*disabled/ }).waitFor();
  await button(`enable ${tpg}`).click();
  await page.locator("summary").filter({ hasText: /^tpg1.*enabled/ }).waitFor();
});

test("a disk is deleted once that is confirmed, and what goes with it is named", async () => {
  await button(`delete ${STORAGE}`).click();
  await dialog().getByText(`/iscsi/${TARGET}/tpg1/luns/lun0`).waitFor();
  await dialog().getByText(`/iscsi/${TARGET}/tpg1/acls/${INITIATOR}/mapped_lun0`).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
  await shot("7-delete");
  await page.keyboard.press("Escape");
  await dialog().waitFor({ state: "detached" });
  assert.equal(await page.locator("summary").filter({ hasText: /^goods/ }).count(), 1);
  await button(`delete ${STORAGE}`).click();
  await dialog().getByRole("button", { name: "Delete" }).click();
  await page.locator("summary").filter({ hasText: /^goods/ }).waitFor({ state: "detached" });
  await card().waitFor({ state: "detached" });
  assert.ok(existsSync(join(folder, "goods.img")), "its file stays");
  await shot("8-deleted");
});

test("when felio ends the page says so", async () => {
  felio.kill("SIGKILL");
  await page.getByText("felio does not answer").waitFor();
  await shot("9-gone");
});

test("the page has broken nothing that the browser complains of", () => {
  // A refusal and a daemon that is gone are told to the console by the browser itself.
  const others = complaints.filter((text) => !/Failed to load resource/.test(text));
  assert.deepEqual(others, []);
});
