import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { api, open, SERVER, saveDashboard, withBrowser } from "./support";

withBrowser();

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

describe("the past", () => {
  /** A moment at which all was as it was first. */
  let moment: Date;

  beforeAll(async () => {
    await api("POST", "/api/folders", { uid: "era", title: "Before the change" });
    await saveDashboard({ uid: "timed", title: "Timed", panels: [panel("up")] }, "as it was", "era");
    await saveDashboard({ uid: "gone", title: "Gone since", panels: [] }, "", "era");
    await pause(1100);
    // The page is asked for whole seconds.
    moment = new Date(Math.floor(Date.now() / 1000) * 1000);
    await pause(2100);
    await api("PUT", "/api/folders/era", { title: "After the change", overwrite: true });
    await saveDashboard({ uid: "timed", title: "Timed", panels: [panel("down")] }, "changed", "era");
    await saveDashboard({ uid: "later", title: "Made later", panels: [] }, "", "era");
    await api("DELETE", "/api/dashboards/uid/gone");
  });

  // Other tests look into an empty trash.
  afterAll(() => api("DELETE", "/api/dashboards/uid/gone/trash"));

  it("is gone back to, looked at, and compared with now", async () => {
    const { page, complaints } = await open("/dashboards?folder=era");
    await page.getByRole("heading", { name: "After the change" }).waitFor();
    expect(await titles(page)).toEqual(["Made later", "Timed"]);
    await page.getByRole("button", { name: "Now", exact: true }).click();
    const field = page.getByLabel("Exact moment");
    await field.fill(local(new Date(Date.now() + 86_400_000)));
    await field.press("Enter");
    await page.getByText("That is in the future.").waitFor();
    await field.fill(local(moment));
    await field.press("Enter");
    await page.getByRole("heading", { name: "Before the change" }).waitFor();
    await page.getByText(/You are looking at the past: .* Nothing can be changed there/).waitFor();
    await page.getByRole("treeitem", { name: "Before the change" }).waitFor();
    await page.getByRole("link", { name: "Gone since" }).waitFor();
    expect(await titles(page)).toEqual(["Gone since", "Timed"]);
    for (const name of ["New folder", "Import", "Rename", /^Star /, /^What can be done/]) {
      expect(await page.getByRole("button", { name }).count(), String(name)).toBe(0);
    }
    expect(await page.getByRole("checkbox", { name: /^Select/ }).count()).toBe(0);

    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "Timed" }).click();
    await page.getByText("version 1, changed").waitFor();
    expect(await page.getByRole("button", { name: "What can be done with this dashboard" }).count()).toBe(0);
    await page.getByRole("tab", { name: "History" }).click();
    await page.getByText("as it was", { exact: true }).waitFor();
    expect(await page.getByText("Version 2", { exact: true }).count()).toBe(0);
    await page.getByRole("button", { name: "Compare with now" }).click();
    await page.getByRole("heading", { name: /^What changed since/ }).waitFor();
    await page.getByText("panel “CPU”: its query changed").waitFor();
    await page.goBack();
    await page.getByRole("button", { name: "Back to now" }).first().click();
    await page.getByText("version 2, changed").waitFor();
    expect(await page.getByText("You are looking at the past").count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it("is compared as a picture with its rows", async () => {
    const row = (title: string, y: number) => ({
      id: y + 100,
      type: "row",
      title,
      gridPos: { h: 1, w: 24, x: 0, y },
      panels: [],
    });
    const network = { ...panel("net"), id: 2, title: "Network", gridPos: { h: 8, w: 12, x: 0, y: 30 } };
    await saveDashboard({ uid: "rows", title: "Rows", panels: [panel("up"), row("Disk", 20), network] });
    await saveDashboard({ uid: "rows", title: "Rows", panels: [panel("up"), row("Disks", 20), row("New", 50)] });
    const { page, complaints } = await open("/dashboards/rows/compare?from=1&to=2");
    for (const words of ["row “Disks” renamed from “Disk”", "row “New” added", "panel “Network” removed"]) {
      await page.getByText(words, { exact: true }).waitFor();
    }
    const changeOf = (name: string) => page.getByRole("button", { name, exact: true }).getAttribute("data-change");
    expect(await changeOf("Disk 1 panel renamed from “Disk”")).toBe("changed");
    expect(await changeOf("Disks 0 panels renamed from “Disk”")).toBe("changed");
    expect(await changeOf("New 0 panels added")).toBe("added");
    const gone = page.getByRole("list", { name: "Panels of Disk", exact: true }).getByRole("listitem");
    expect(await gone.getAttribute("data-change")).toBe("removed");
    const same = page.getByRole("list", { name: "Panels", exact: true }).getByRole("listitem");
    expect(await same.evaluateAll((tiles) => tiles.map((tile) => tile.dataset.change))).toEqual(["same", "same"]);
    expect(complaints).toEqual([]);
  });

  it("has what was deleted since", async () => {
    const { page } = await open(`/dashboards/gone?at=${moment.toISOString()}`);
    await page.getByRole("heading", { name: "Gone since" }).waitFor();
    await page.getByRole("tab", { name: "History" }).click();
    await page.getByText("No versions of then").waitFor();
    await page.getByRole("button", { name: "Compare with now" }).click();
    await page.getByText("It no longer exists").waitFor();
  });

  it("is explained where there was nothing yet, and where it is in the future", async () => {
    const { page } = await open("/dashboards?at=2001-01-01T00:00:00Z");
    await page.getByText("before this organization began").waitFor();
    await page.getByText("Nothing existed at that time").waitFor();
    await page.goto(`${SERVER}/portal/dashboards?folder=era&at=2001-01-01`);
    await page.getByRole("alert").getByText("folder not found: it did not exist yet at that time").waitFor();
    await page.goto(`${SERVER}/portal/dashboards/timed?at=978307200000`);
    await page.getByRole("alert").getByText("Dashboard not found: it did not exist yet at that time").waitFor();
    await page.getByText("Choose another time").waitFor();
    await page.goto(`${SERVER}/portal/dashboards?at=2999-01-01T00:00:00Z`);
    await page.getByText("is in the future").waitFor();
    await page.getByRole("alert").getByText("at is in the future").waitFor();
  });
});

async function titles(page: Page): Promise<string[]> {
  const links = page.locator("main").getByRole("link", { name: /^(Timed|Gone since|Made later)$/ });
  return (await links.allInnerTexts()).sort();
}

/** A moment as the field of a form takes it. */
function local(time: Date): string {
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

function panel(expr: string) {
  return { id: 1, type: "timeseries", title: "CPU", gridPos: { h: 8, w: 12, x: 0, y: 0 }, targets: [{ expr }] };
}
