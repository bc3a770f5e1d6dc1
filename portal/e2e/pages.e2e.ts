import { beforeAll, describe, expect, it } from "vitest";
import { api, open, realDashboard, SERVER, saveDashboard, violations, withBrowser } from "./support";

withBrowser();

const HOSTILE = '<img src=x onerror="document.title=1"> مرحبا بالعالم 🎉 ';
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

describe("every page", () => {
  beforeAll(async () => {
    await api("POST", "/api/folders", { uid: "hostile", title: `${HOSTILE}${"x".repeat(150)}` });
    const dashboard = {
      uid: "hostile",
      title: `${HOSTILE}${"W".repeat(600)}`,
      description: HOSTILE.repeat(20),
      tags: ["<script>alert(1)</script>", "x".repeat(200)],
      links: [{ title: HOSTILE, url: "javascript:alert(1)" }],
      templating: { list: [{ name: HOSTILE, type: "query", query: "y".repeat(2000) }] },
      panels: [
        { id: 1, type: "stat", title: "Z".repeat(3000), gridPos: { x: 0, y: 0, w: 2, h: 2 } },
        { id: 2, type: HOSTILE, title: HOSTILE, gridPos: { x: 2, y: 0, w: 22, h: 4 } },
      ],
    };
    await saveDashboard(dashboard, HOSTILE, "hostile");
    await saveDashboard({ ...dashboard, tags: [HOSTILE] }, "m".repeat(400), "hostile");
    await saveDashboard({ ...realDashboard("node-exporter-full"), uid: "real" });
    const user = { login: `hostile${"l".repeat(150)}`, name: HOSTILE, email: "", password: "secret", orgId: 1 };
    await api("POST", "/api/admin/users", user);
    await api("POST", "/api/orgs", { name: `${HOSTILE}${"o".repeat(150)}` });
  });

  for (const scheme of ["light", "dark"] as const) {
    for (const width of [1440, 375]) {
      it(`is whole and accessible in the ${scheme} theme, ${width} pixels wide`, async () => {
        const watched = await open("/", { scheme, width });
        const { page, complaints } = watched;
        const found: string[] = [];
        for (const path of PAGES) {
          await page.goto(`${SERVER}/portal/${path}`);
          await page.getByRole("heading", { level: 1 }).waitFor();
          await page.waitForLoadState("networkidle");
          found.push(...(await violations(watched)).map((violation) => `${path}: ${violation}`));
          const sideways = await page.evaluate(() => {
            const { scrollWidth, clientWidth } = document.documentElement;
            return scrollWidth - clientWidth;
          });
          if (sideways > 0) found.push(`${path}: scrolls ${sideways} pixels sideways`);
          expect(await page.title()).toContain("Kymograph");
        }
        expect(found).toEqual([]);
        expect(complaints).toEqual([]);
      }, 180_000);
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
