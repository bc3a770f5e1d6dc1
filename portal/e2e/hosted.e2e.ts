import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { api, drop, HOSTED, open, withBrowser } from "./support";

withBrowser();

const PORTAL = `${HOSTED}/portal`;

function hosted(method: string, path: string, body?: unknown): Promise<unknown> {
  return api(method, path, body, "admin:admin", HOSTED);
}

/** The requests among the complaints of a page. */
function outside(complaints: string[]): string[] {
  return complaints.filter((text) => text.startsWith("request to"));
}

/** Waits for a page, and answers with the links on it that lead out of the portal. */
async function waysOut(page: Page): Promise<string[]> {
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForLoadState("networkidle");
  const links = await page
    .locator("a[href]")
    .evaluateAll((list) => list.map((link) => (link as HTMLAnchorElement).href));
  return links.filter((link) => !link.startsWith(PORTAL));
}

beforeAll(async () => {
  await hosted("POST", "/api/folders", { uid: "inside", title: "Inside" });
  const dashboard = { uid: "hosted", title: "Under a path", panels: [{ id: 1, type: "stat", title: "Panel" }] };
  await hosted("POST", "/api/dashboards/db", { dashboard, folderUid: "inside" });
});

describe("a server under a sub-path", () => {
  it("leads to its portal, which has all its pages there", async () => {
    const { page, complaints } = await open("/login", { server: HOSTED, login: "" });
    const root = new URL("/", HOSTED).href;
    await page.goto(root);
    await page.waitForURL(`${PORTAL}/login`);
    expect(outside(complaints.splice(0))).toEqual([`request to ${root}`]);
    await page.getByLabel("Login or e-mail").fill("admin");
    await page.getByRole("textbox", { name: "Password" }).fill("admin");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(new URL(page.url()).pathname).toMatch(/^\/kymo\/portal\/?$/);

    const found: string[] = [];
    const nav = page.getByRole("navigation", { name: "Pages" });
    for (const name of await nav.getByRole("link").allInnerTexts()) {
      await nav.getByRole("link", { name }).click();
      found.push(...(await waysOut(page)));
    }
    await nav.getByRole("link", { name: "Dashboards" }).click();
    await page.getByRole("link", { name: "Inside" }).first().click();
    await page.getByRole("link", { name: "Under a path" }).click();
    await page.getByRole("heading", { name: "Under a path" }).waitFor();
    for (const tab of ["History", "Variables", "JSON"]) {
      await page.getByRole("tab", { name: tab }).click();
      found.push(...(await waysOut(page)));
    }
    await page.reload();
    await page.getByRole("heading", { name: "Under a path" }).waitFor();
    await page.goto(`${PORTAL}/profile`);
    await page.getByText("this session").waitFor();
    await page.getByTitle("Account and theme").click();
    await page.getByRole("menuitem", { name: "Log out" }).click();
    await page.waitForURL(`${PORTAL}/login`);
    await page.getByRole("heading", { name: "Log in to Kymograph" }).waitFor();
    expect(found).toEqual([]);
    expect(outside(complaints)).toEqual([]);
  });
});

type Usage = Record<"dashboards" | "folders", number>;

/** Opens the quotas of the main org. */
async function openQuotas() {
  const { page } = await open("/admin/orgs", { server: HOSTED });
  const row = page.getByRole("row", { name: /Main Org/ });
  await row.getByRole("button", { name: "Quotas" }).click();
  const field = (target: string) => page.getByRole("dialog").getByLabel(target, { exact: true });
  return { page, field };
}

/** Sets a quota of the main org, as a server admin does. */
async function setQuota(target: string, limit: number) {
  const { page, field } = await openQuotas();
  await field(target).fill(String(limit));
  await field(target).press("Enter");
  await page.getByText(`Quota of ${target} saved`).waitFor();
}

describe("quotas", () => {
  it("are shown with what is used of them", async () => {
    const { folders } = (await hosted("GET", "/api/org/usage")) as Usage;
    const { page } = await open("/", { server: HOSTED });
    const count = page.getByRole("link", { name: /^Folders/ });
    await count.getByText("no limit").waitFor();
    expect(await count.getByRole("progressbar").count()).toBe(0);
    await setQuota("folder", 4 * folders);
    await page.reload();
    await count.getByText(`of ${4 * folders} allowed`).waitFor();
    expect(await count.innerText()).toMatch(new RegExp(`^Folders\\s+${folders}\\s`));
    const bar = page.getByRole("progressbar", { name: "Folders used of the quota" });
    expect(await bar.getAttribute("aria-valuenow")).toBe("25");
  });

  it("refuse a folder too many, which is made once there may be more", async () => {
    const { folders } = (await hosted("GET", "/api/org/usage")) as Usage;
    await setQuota("folder", folders);
    const { page } = await open("/dashboards", { server: HOSTED });
    await page.getByRole("button", { name: "New folder" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Title").fill("One more");
    await dialog.getByRole("button", { name: "Create folder" }).click();
    const alert = dialog.getByRole("alert");
    await alert.getByText("Quota reached").waitFor();
    await alert.getByText("have a server admin raise the quota").waitFor();
    expect(await dialog.getByLabel("Title").inputValue()).toBe("One more");
    await setQuota("folder", folders + 1);
    await dialog.getByRole("button", { name: "Create folder" }).click();
    await page.getByRole("link", { name: "One more" }).waitFor();
  });

  it("refuse a dashboard too many, which is imported once there may be more", async () => {
    const { dashboards } = (await hosted("GET", "/api/org/usage")) as Usage;
    await setQuota("dashboard", dashboards);
    const { page } = await open("/dashboards", { server: HOSTED });
    const dashboard = { uid: "more", title: "One more dashboard", panels: [] };
    const files = [{ name: "more.json", content: JSON.stringify(dashboard) }];
    await page.getByRole("button", { name: "Import" }).waitFor();
    await drop(page, files);
    await page.getByRole("dialog").getByText("Quota reached").waitFor();
    await setQuota("dashboard", dashboards + 1);
    await drop(page, files);
    await page.getByRole("dialog").getByRole("link", { name: "One more dashboard" }).waitFor();
  });

  it("are not set over somebody else's without being asked", async () => {
    const { page, field } = await openQuotas();
    await expect.poll(() => field("api key").inputValue()).toBe("-1");
    await hosted("PUT", "/api/orgs/1/quotas/api_key", { limit: 7 });
    await field("api key").fill("9");
    await field("api key").press("Enter");
    const question = page.getByRole("dialog", { name: "Somebody changed this meanwhile" });
    await question.getByText("Limit of api key: was “-1”, is now “7”").waitFor();
    await question.getByRole("button", { name: "Cancel" }).click();
    await expect.poll(() => field("api key").inputValue()).toBe("7");

    await hosted("PUT", "/api/orgs/1/quotas/api_key", { limit: 8 });
    await field("api key").fill("9");
    await field("api key").press("Enter");
    await question.getByText("was “7”, is now “8”").waitFor();
    await question.getByRole("button", { name: "Save mine all the same" }).click();
    await page.getByText("Quota of api key saved").waitFor();
    const quotas = (await hosted("GET", "/api/orgs/1/quotas")) as { target: string; limit: number }[];
    expect(quotas.find(({ target }) => target === "api_key")?.limit).toBe(9);
  });
});
