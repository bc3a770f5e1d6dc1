/**
 * Measures what people wait for, for the benchmarks: `measure.ts URL ORG WHAT` prints one number.
 *
 * - `first-load`: bytes of all responses until the overview is usable, as they come over the wire, headers included
 * - `overview`: milliseconds until the overview is usable, with a cold cache
 * - `audit-scroll`: milliseconds of the longest frame while ten thousand rows of the audit log are scrolled through
 * - `dashboard-search`: milliseconds from a pressed key to what it finds
 */
import type { BrowserContext, Page } from "playwright-core";
import { launch } from "./browser.ts";

const [server = "", org = "", what = ""] = process.argv.slice(2);
const REPETITIONS = 5;
const ROWS = 10_000;
const ROW_PX = 36;
/** A fast wheel: eight rows a frame. */
const STEP_PX = 8 * ROW_PX;

const browser = await launch();

async function logIn(): Promise<BrowserContext> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  for (const [path, data] of [
    ["/login", { user: "admin", password: "admin" }],
    [`/api/user/using/${org}`, {}],
  ] as const) {
    const answer = await context.request.post(server + path, { data });
    if (!answer.ok()) throw new Error(`${path}: ${answer.status()} ${await answer.text()}`);
  }
  return context;
}

/** Opens the overview and waits until it shows its numbers, its chart and its lists. */
async function openOverview(page: Page) {
  await page.goto(`${server}/portal`, { waitUntil: "commit" });
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.locator("main canvas").waitFor();
  await page.waitForFunction(() => document.querySelector("main .mantine-Skeleton-root") === null);
}

async function firstLoad(): Promise<number> {
  const page = await (await logIn()).newPage();
  const debug = await page.context().newCDPSession(page);
  let bytes = 0;
  debug.on("Network.loadingFinished", ({ encodedDataLength }) => {
    bytes += encodedDataLength;
  });
  await debug.send("Network.enable");
  await openOverview(page);
  await page.waitForLoadState("networkidle");
  return bytes;
}

async function overview(): Promise<number> {
  const page = await (await logIn()).newPage();
  const begun = performance.now();
  await openOverview(page);
  const took = performance.now() - begun;
  await page.context().close();
  return took;
}

async function auditScroll(): Promise<number> {
  const page = await (await logIn()).newPage();
  await page.goto(`${server}/portal/audit`);
  await page.getByRole("table").getByRole("row").nth(20).waitFor();
  await page.waitForLoadState("networkidle");
  return page.evaluate(
    ([end, step]) =>
      new Promise<number>((done) => {
        const box = document.querySelector("[role=table]") as HTMLElement;
        let [last, longest] = [performance.now(), 0];
        const scroll = (now: number) => {
          longest = Math.max(longest, now - last);
          last = now;
          box.scrollTop += step;
          if (box.scrollTop >= end) done(longest);
          else requestAnimationFrame(scroll);
        };
        requestAnimationFrame(scroll);
      }),
    [ROWS * ROW_PX, STEP_PX] as const,
  );
}

/** The time from each of some keys to a list that has nothing but what was typed. */
async function dashboardSearch(): Promise<number> {
  const page = await (await logIn()).newPage();
  await page.goto(`${server}/portal/dashboards`);
  const box = page.getByRole("textbox", { name: "Search folders and dashboards" });
  await box.pressSequentially("memory of host-1", { delay: 200 });
  const times: number[] = [];
  for (const key of "234") {
    await page.waitForLoadState("networkidle");
    await page.evaluate(() => {
      const watched = window as unknown as { took?: Promise<number> };
      watched.took = new Promise((done) => {
        addEventListener(
          "keydown",
          () => {
            const pressed = performance.now();
            const look = () => {
              const typed = document.querySelector<HTMLInputElement>("input[aria-label^=Search]")?.value ?? "";
              const titles = [...document.querySelectorAll("main a[href*='/dashboards/']")].map(
                (link) => link.textContent,
              );
              const isDone = titles.length > 0 && titles.every((title) => title?.toLowerCase().includes(typed));
              if (isDone && typed !== "") done(performance.now() - pressed);
              else requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
          },
          { once: true, capture: true },
        );
      });
    });
    await box.press(key);
    times.push(await page.evaluate(() => (window as unknown as { took: Promise<number> }).took));
  }
  await page.context().close();
  return median(times);
}

function median(values: number[]): number {
  return values.sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function repeated(measure: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let round = 0; round < REPETITIONS; round += 1) values.push(await measure());
  return median(values);
}

const measures: Record<string, () => Promise<number>> = {
  "first-load": firstLoad,
  overview: () => repeated(overview),
  "audit-scroll": auditScroll,
  "dashboard-search": () => repeated(dashboardSearch),
};
const measure = measures[what];
if (measure === undefined) throw new Error(`what is ${what}? Use one of ${Object.keys(measures).join(", ")}`);
process.stdout.write(`${await measure()}\n`);
await browser.close();
