// The page of the example service in a real browser: `node service.mjs PROGRAM SCREENSHOT-DIRECTORY`.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [program, pictures] = process.argv.slice(2);
const LIMIT = 30_000; // Milliseconds; each wait takes far less.
const PAGE_BYTES_MAX = 200 * 1024;
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";

async function start() {
  const child = spawn(program, ["--listen", "127.0.0.1:0", "--load", "10"], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = line.match(/http:\/\/[^/]+\//);
    if (url) return { child, url: url[0] };
  }
  throw new Error("the program ended before it named its page");
}

/* Presses Tab until the element with that text or label has the focus; then Enter. */
async function pressByKeyboard(page, name) {
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
  for (let presses = 0; presses < 100; presses++) {
    await page.keyboard.press("Tab");
    if (await focused() === name) return page.keyboard.press("Enter");
  }
  assert.fail(`the keyboard does not reach "${name}"`);
}

/* A crash shows another writer, the failover's timeline, and writes that go on. */
async function survivesACrash(page, crash) {
  await page.waitForFunction(() => document.querySelector("#writer").classList.contains("good")
    && [...document.querySelectorAll("#instances .state")].every(one => one.textContent === "up"), null, { timeout: LIMIT });
  const before = await page.textContent("#writer");
  const failovers = await page.locator("#failovers .failover").count();
  await crash();
  await page.waitForFunction(before => document.querySelector("#writer").classList.contains("good")
    && document.querySelector("#writer").textContent !== before, before, { timeout: LIMIT });
  await page.waitForFunction(count => document.querySelectorAll("#failovers .failover").length > count
    && document.querySelectorAll("#failovers .failover:first-child circle").length > 2, failovers, { timeout: LIMIT });
  await page.waitForFunction(() => Number(document.querySelector("#now-writes").textContent) > 0, null, { timeout: LIMIT });
}

const server = await start();
const browser = await chromium.launch({
  executablePath: browserPath,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const bytes = (await (await fetch(server.url)).arrayBuffer()).byteLength;
  assert.ok(bytes <= PAGE_BYTES_MAX, `the page has ${bytes} bytes`);
  for (const colorScheme of ["light", "dark"]) {
    const page = await browser.newPage({ viewport: { width: 1200, height: 1000 }, colorScheme });
    const complaints = [];
    page.on("console", message => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
    page.on("pageerror", error => complaints.push(String(error)));
    page.on("request", request => { if (!request.url().startsWith(server.url) && !request.url().startsWith("data:")) complaints.push(`asked ${request.url()}`); });
    await page.goto(server.url);
    await page.waitForSelector("#instances li:nth-child(3)", { timeout: LIMIT });
    await page.waitForFunction(() => document.querySelectorAll("#statements tr").length > 2, null, { timeout: LIMIT });
    for (const plot of ["#rates .reads", "#rates .writes", "#latency .reads", "#latency .writes"])
      await page.waitForFunction(plot => (document.querySelector(plot)?.getAttribute("d") ?? "").split("L").length > 8, plot, { timeout: LIMIT });

    await survivesACrash(page, () => page.click("text=Crash the writer"));
    await survivesACrash(page, () => pressByKeyboard(page, "Crash the writer"));
    await page.screenshot({ path: `${pictures}/service-${colorScheme}.png`, fullPage: true });

    await page.setViewportSize({ width: 360, height: 740 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `at 360 px the page is ${wide} px wide`);
    await page.screenshot({ path: `${pictures}/service-${colorScheme}-small.png`, fullPage: true });
    assert.deepEqual(complaints, []);
    await page.close();
  }
} finally {
  await browser.close();
  server.child.kill("SIGINT");
}
const code = await new Promise(ended => server.child.on("exit", ended));
assert.equal(code, 0, "the service ends on Ctrl-C");
console.log("the shop's page shows crashes by button and by keyboard, its plots have data, and it fits 360 px");
