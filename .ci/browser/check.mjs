// The page of aurora-sim in a real browser: `node check.mjs PROGRAM SCREENSHOT-DIRECTORY`.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [program, pictures] = process.argv.slice(2);
const LIMIT = 30_000; // Milliseconds; each wait takes far less.
const browserPath = process.env.CHROMIUM ?? "/usr/bin/chromium";

async function start() {
  const child = spawn(program, ["--control", "127.0.0.1:0", "--cluster-id", "shop"], { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = line.match(/http:\/\/\S+/);
    if (url) return { child, url: url[0] };
  }
  throw new Error("the program ended before it named its page");
}

const roles = page => page.$$eval("#instances li", items => Object.fromEntries(
  items.map(item => [item.dataset.id, `${item.querySelector(".role").textContent} ${item.querySelector(".state").textContent}`])));

async function writerChanges(page, act) {
  await page.waitForFunction(() => [...document.querySelectorAll("#instances .state")].every(one => one.textContent === "up"), null, { timeout: LIMIT });
  const before = await roles(page);
  const old = Object.keys(before).find(id => before[id] === "writer up");
  assert.ok(old, `no writer in ${JSON.stringify(before)}`);
  await act(old);
  await page.waitForFunction(id => {
    const items = [...document.querySelectorAll("#instances li")];
    const shown = item => item.querySelector(".role").textContent + " " + item.querySelector(".state").textContent;
    const own = items.find(item => item.dataset.id === id);
    return shown(own) === "reader up" && items.filter(item => shown(item) === "writer up").length === 1;
  }, old, { timeout: LIMIT });
}

const server = await start();
const browser = await chromium.launch({
  executablePath: browserPath,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  for (const colorScheme of ["light", "dark"]) {
    const page = await browser.newPage({ viewport: { width: 1100, height: 1000 }, colorScheme });
    const complaints = [];
    page.on("console", message => { if (["error", "warning"].includes(message.type())) complaints.push(message.text()); });
    page.on("pageerror", error => complaints.push(String(error)));
    page.on("request", request => { if (!request.url().startsWith(server.url) && !request.url().startsWith("data:")) complaints.push(`asked ${request.url()}`); });
    await page.goto(server.url);
    await page.waitForSelector("#instances li:nth-child(3)", { timeout: LIMIT });

    await writerChanges(page, () => page.click("#crash-writer"));
    await writerChanges(page, async writer => {
      // By keyboard alone: from the top of the page to the writer's own button.
      for (let presses = 0; presses < 100; presses++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate(() => document.activeElement.getAttribute("aria-label")) === `Crash ${writer}`) break;
      }
      assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), `Crash ${writer}`);
      await page.keyboard.press("Enter");
    });
    await page.screenshot({ path: `${pictures}/page-${colorScheme}.png`, fullPage: true });

    await page.setViewportSize({ width: 360, height: 740 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `at 360 px the page is ${wide} px wide`);
    await page.screenshot({ path: `${pictures}/page-${colorScheme}-small.png`, fullPage: true });
    assert.deepEqual(complaints, []);
    await page.close();
  }
} finally {
  await browser.close();
  server.child.kill("SIGINT");
}
console.log("the page loads, crashes the writer by button and by keyboard, and fits 360 px");
