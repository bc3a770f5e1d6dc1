import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { api, open, realDashboard, SERVER, saveDashboard, violations, type Watched, withBrowser } from "./support";

withBrowser();

const HOSTILE = '<img src=x onerror="document.title=1"> مرحبا بالعالم 🎉 ';
/** As many characters as the server takes of what has no limit of its own. */
const LONG = 10_000;
/** The longest title, name or login that it takes, in bytes. */
const LONGEST_NAME = 760;
/** The longest tag that the server takes, in characters. */
const LONGEST_TAG = 100;
/** The longest message of a version that it takes, in characters. */
const LONGEST_MESSAGE = 500;

/** A hostile name that is as long as a name can be. */
function longestName(filler: string): string {
  return HOSTILE + filler.repeat(LONGEST_NAME - Buffer.byteLength(HOSTILE));
}

/** A hostile text that is as long as nobody would read. */
function longText(): string {
  return HOSTILE.repeat(Math.ceil(LONG / HOSTILE.length)).slice(0, LONG);
}

/** The page of an invite, whose code is not known before there is one. */
let invite = "";

/** A member of no org, and one of an org with the longest name. */
const HOMELESS = longestName("h");
const DWELLER = longestName("d");

const PAGES = [
  "",
  "dashboards",
  "dashboards?folder=hostile",
  "dashboards?query=img",
  "dashboards/hostile",
  "dashboards/hostile?tab=history",
  "dashboards/hostile?tab=variables",
  "dashboards/hostile?tab=json",
  "dashboards/hostile/compare?from=1&to=2",
  "dashboards/hostile/compare?from=1&to=2&as=json",
  "dashboards/hostile/since",
  "dashboards/real",
  "trash",
  "people",
  "profile",
  "admin/orgs",
  "admin/users",
  "admin/stats",
  "audit",
  "dashboards?at=2026-01-01T00%3A00%3A00Z",
  "no-such-page",
];

/** What somebody is led to who is a member of no org. */
const PAGES_WITHOUT_ORG = ["", "dashboards", "profile", "admin/orgs"];

/** More than half of a screen, in pixels. No name and no text leaves less than that to the rest of a page. */
const TALL = 450;

/** How much of the tallest text shows, in pixels. What a text is cut in shows how much that is. */
function tallestText(page: Page): Promise<number> {
  return page.locator("bdi").evaluateAll((texts) => {
    const heights = texts.map((text) => {
      let height = text.getBoundingClientRect().height;
      for (let around = text.parentElement; around !== null; around = around.parentElement) {
        if (getComputedStyle(around).overflowY !== "visible") height = Math.min(height, around.clientHeight);
      }
      return height;
    });
    return Math.max(0, ...heights);
  });
}

/** What is wrong with pages: what axe finds, whether they scroll sideways, and what there covers all else. */
async function faults(watched: Watched, paths: string[]): Promise<string[]> {
  const { page } = watched;
  const found: string[] = [];
  for (const path of paths) {
    await page.goto(`${SERVER}/portal/${path}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.waitForLoadState("networkidle");
    found.push(...(await violations(watched)).map((violation) => `${path}: ${violation}`));
    const sideways = await page.evaluate(() => {
      const { scrollWidth, clientWidth } = document.documentElement;
      return scrollWidth - clientWidth;
    });
    if (sideways > 0) found.push(`${path}: scrolls ${sideways} pixels sideways`);
    const tallest = await tallestText(page);
    if (tallest > TALL) found.push(`${path}: a text is ${tallest} pixels tall`);
    expect(await page.title()).toContain("Kymograph");
  }
  return found;
}

describe("every page", () => {
  beforeAll(async () => {
    const folder = { uid: "hostile", title: longestName("x"), description: longText() };
    await api("POST", "/api/folders", folder);
    const dashboard = {
      uid: "hostile",
      title: longestName("W"),
      description: longText(),
      tags: ["<script>alert(1)</script>", "x".repeat(LONGEST_TAG)],
      links: [{ title: longText(), url: "javascript:alert(1)" }],
      templating: { list: [{ name: longText(), type: "query", query: "y".repeat(LONG) }] },
      panels: [
        { id: 1, type: "stat", title: "Z".repeat(LONG), gridPos: { x: 0, y: 0, w: 2, h: 2 } },
        { id: 2, type: longText(), title: longText(), gridPos: { x: 2, y: 0, w: 22, h: 4 } },
      ],
    };
    const message = longText().slice(0, LONGEST_MESSAGE);
    await saveDashboard(dashboard, message, "hostile");
    const tagged = { ...dashboard, tags: [longText().slice(0, LONGEST_TAG)] };
    await saveDashboard(tagged, "m".repeat(LONGEST_MESSAGE), "hostile");
    await saveDashboard({ ...realDashboard("node-exporter-full"), uid: "real" });
    const user = { login: longestName("l"), name: longestName("n"), email: "", password: "secret", orgId: 1 };
    const author = (await api("POST", "/api/admin/users", user)) as { id: number };
    await api("PATCH", `/api/org/users/${author.id}`, { role: "Editor" });
    const saved = { dashboard: { ...dashboard, id: null }, message, folderUid: "hostile", overwrite: true };
    await api("POST", "/api/dashboards/db", saved, `${user.login}:secret`);
    const { orgId } = (await api("POST", "/api/orgs", { name: longestName("o") })) as { orgId: number };
    await api("POST", "/api/admin/users", { ...user, login: DWELLER, orgId });
    await api("POST", "/api/org/invites", { loginOrEmail: longestName("i"), name: longestName("g"), role: "Viewer" });
    const invites = (await api("GET", "/api/org/invites")) as { code: string }[];
    invite = `invite/${invites[0]?.code}`;
    // Who administers the server and is nowhere at home is offered the most.
    const homeless = { ...user, login: HOMELESS };
    const { id } = (await api("POST", "/api/admin/users", homeless)) as { id: number };
    await api("PUT", `/api/admin/users/${id}/permissions`, { isGrafanaAdmin: true });
    await api("DELETE", `/api/org/users/${id}`);
  });

  for (const scheme of ["light", "dark"] as const) {
    for (const width of [1440, 375]) {
      it(`is whole and accessible in the ${scheme} theme, ${width} pixels wide`, async () => {
        const watched = await open("/", { scheme, width });
        expect(await faults(watched, [...PAGES, invite])).toEqual([]);
        expect(watched.complaints).toEqual([]);
      }, 180_000);

      it(`is whole without an organization in the ${scheme} theme, ${width} pixels wide`, async () => {
        const watched = await open("/", { scheme, width, login: HOMELESS, password: "secret" });
        await watched.page.getByText("You are a member of no organization").waitFor();
        await watched.page.getByRole("main").getByRole("link", { name: "Organizations" }).waitFor();
        expect(await faults(watched, PAGES_WITHOUT_ORG)).toEqual([]);
        expect(watched.complaints).toEqual([]);
      });

      it(`is whole in an organization with the longest name in the ${scheme} theme, ${width} pixels wide`, async () => {
        const watched = await open("/", { scheme, width, login: DWELLER, password: "secret" });
        expect(await faults(watched, ["", "dashboards", "profile"])).toEqual([]);
        expect(watched.complaints).toEqual([]);
      });
    }
  }

  for (const [scheme, width] of [
    ["light", 1280],
    ["dark", 375],
  ] as const) {
    it(`has accessible dialogs and menus in the ${scheme} theme, ${width} pixels wide`, async () => {
      const watched = await open("/dashboards?query=W", { scheme, width });
      const { page } = watched;
      const found: string[] = [];
      const check = async (what: string) => {
        // Axe takes a color in the middle of a transition for its contrast.
        await page.waitForTimeout(400);
        found.push(...(await violations(watched)).map((violation) => `${what}: ${violation}`));
      };
      await page
        .getByRole("button", { name: /^What can be done with/ })
        .first()
        .click();
      await page.getByRole("menuitem", { name: "Move…" }).waitFor();
      await check("menu of a dashboard");
      await page.getByRole("menuitem", { name: "Move…" }).click();
      await page.getByRole("dialog").waitFor();
      await check("choice of a folder");
      await page.keyboard.press("Escape");
      for (const name of ["New folder", "Import"]) {
        await page.getByRole("button", { name, exact: true }).click();
        await page.getByRole("dialog").waitFor();
        await check(name);
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
      }
      await page.getByRole("button", { name: "Now", exact: true }).click();
      await page.getByRole("slider", { name: "Moment" }).waitFor();
      await check("time");
      await page.keyboard.press("Escape");
      await page.keyboard.press("Control+k");
      await page.getByRole("combobox", { name: "Pages, folders, dashboards" }).fill("a");
      await check("palette");
      await page.keyboard.press("Escape");
      if (width < 900) await page.getByRole("button", { name: "Open the menu" }).click();
      await page.getByTitle("Account and theme").click();
      await page.getByRole("menuitem", { name: "Log out" }).waitFor();
      await check("menu of the account");
      for (const [path, button] of [
        ["people", "Add member"],
        ["admin/orgs", "New organization"],
        ["admin/users", "New user"],
      ] as const) {
        await page.goto(`${SERVER}/portal/${path}`);
        await page.getByRole("button", { name: button }).click();
        await page.getByRole("dialog").waitFor();
        await check(button);
      }
      const login = await open("/login", { scheme, width, login: "" });
      await login.page.getByRole("button", { name: "Log in" }).waitFor();
      found.push(...(await violations(login)));
      expect(found).toEqual([]);
    }, 120_000);
  }

  it("takes less than 300 KB for the first load", async () => {
    const { page, context } = await open("/login", { login: "" });
    const debug = await context.newCDPSession(page);
    let bytes = 0;
    debug.on("Network.loadingFinished", ({ encodedDataLength }) => {
      bytes += encodedDataLength;
    });
    await debug.send("Network.enable");
    await debug.send("Network.setCacheDisabled", { cacheDisabled: true });
    await context.request.post(`${SERVER}/login`, { data: { user: "admin", password: "admin" } });
    await page.goto(`${SERVER}/portal`);
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.waitForLoadState("networkidle");
    expect(bytes).toBeGreaterThan(50_000);
    expect(bytes).toBeLessThan(300_000);
  });

  it("says where it is when there is no session", async () => {
    const watched = await open("/login", { login: "" });
    await watched.page.getByRole("button", { name: "Log in" }).waitFor();
    expect(await violations(watched)).toEqual([]);
    const answer = await fetch(`${SERVER}/`, { redirect: "manual" });
    expect(answer.headers.get("location")).toBe("/portal");
    const policy = (await fetch(`${SERVER}/portal`)).headers.get("content-security-policy") ?? "";
    expect(policy).not.toContain("unsafe");
  });
});
