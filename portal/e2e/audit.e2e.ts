import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { api, open, SERVER, saveDashboard, withBrowser } from "./support";

withBrowser();

interface Entry {
  id: number;
  action: string;
  actor: { login: string };
  outcome: string;
}

describe("the audit log", () => {
  beforeAll(async () => {
    await api("POST", "/api/admin/users", { login: "olga", password: "secret", orgId: 1 });
    const { id } = (await api("GET", "/api/users/lookup?loginOrEmail=olga")) as { id: number };
    await api("PATCH", `/api/org/users/${id}`, { role: "Editor" });
    const dashboard = { uid: "audited", title: "Audited", panels: [panel("up")] };
    await saveDashboard(dashboard, "first");
    const body = { dashboard: { ...dashboard, id: null, panels: [panel("down")] }, message: "oops", overwrite: true };
    await api("POST", "/api/dashboards/db", body, "olga:secret");
    const another = { dashboard: { uid: "another", title: "Another", panels: [] } };
    await api("POST", "/api/dashboards/db", another, "olga:secret");
    await api("POST", "/api/folders", { title: "Not exported" }, "olga:secret");
  });

  it("tells who changed a panel, what, and takes it back", async () => {
    const { page, complaints } = await open("/");
    await page.getByRole("link", { name: "Audit log" }).first().click();
    await page
      .getByRole("combobox", { name: "Search the audit log" })
      .fill("actor:olga action:dashboard.* -outcome:denied");
    const entries = page.getByRole("table", { name: "Entries, newest first" });
    await entries
      .getByRole("row", { name: /olga.*Audited/ })
      .first()
      .waitFor();
    await page.keyboard.press("Escape");
    await entries
      .getByRole("row", { name: /olga.*Audited/ })
      .first()
      .getByRole("button")
      .click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("panel “CPU” its query changed").waitFor();
    await dialog.getByRole("row", { name: "panels › 0 › targets › 0 › expr up down" }).waitFor();
    await dialog.getByRole("button", { name: "See both side by side" }).click();
    await dialog.getByRole("heading", { name: "Before", exact: true }).waitFor();
    await dialog.getByText("panel “CPU”: its query changed").waitFor();
    await dialog.getByRole("button", { name: "Undo: make it what it was before" }).click();
    await page.getByText("Undone", { exact: true }).waitFor();
    const now = (await api("GET", "/api/dashboards/uid/audited")) as { dashboard: { version: number } };
    expect(now.dashboard.version).toBe(3);
    expect(complaints).toEqual([]);
  });

  it("tells the right change of what was deleted and came back", async () => {
    const dashboard = { uid: "returned", title: "Returned", panels: [panel("one")] };
    await saveDashboard(dashboard);
    await api("DELETE", "/api/dashboards/uid/returned");
    await api("PATCH", "/api/dashboards/uid/returned/trash", {});
    await saveDashboard({ ...dashboard, panels: [panel("two")] });
    await saveDashboard({ ...dashboard, panels: [panel("three")] });
    const { page, complaints } = await open("/audit?q=target%3Adashboard%2Freturned");
    const dialog = await entry(page, "dashboard.updated", 1);
    await dialog.getByRole("row", { name: "panels › 0 › targets › 0 › expr one two" }).waitFor();
    await dialog.getByText("It was changed once since, which is undone, too.").waitFor();
    await dialog.getByRole("button", { name: "Undo: make it what it was before" }).click();
    await page.getByText("Undone", { exact: true }).waitFor();
    const now = (await api("GET", "/api/dashboards/uid/returned")) as { dashboard: { panels: unknown[] } };
    expect(now.dashboard.panels).toEqual([panel("one")]);
    const created = await entry(page, "dashboard.created");
    await created.getByRole("row", { name: "title Returned" }).waitFor();
    expect(await created.getByRole("button", { name: /^Undo/ }).count()).toBe(0);
    expect(complaints).toEqual([]);
  });

  it("undoes the renaming and the deletion of a folder, and a change of a role", async () => {
    await api("POST", "/api/folders", { uid: "renamed", title: "Right name" });
    await api("PUT", "/api/folders/renamed", { title: "Wrong name", overwrite: true });
    const { id } = (await api("GET", "/api/users/lookup?loginOrEmail=olga")) as { id: number };
    await api("PATCH", `/api/org/users/${id}`, { role: "Viewer" });
    const { page, complaints } = await open("/audit?q=target%3Afolder%2Frenamed");
    const renamed = await entry(page, "folder.updated");
    await renamed.getByRole("row", { name: "title Right name Wrong name" }).waitFor();
    await renamed.getByRole("button", { name: "Undo: make it what it was before" }).click();
    await page.getByText("Undone", { exact: true }).waitFor();
    expect(await api("GET", "/api/folders/renamed")).toMatchObject({ title: "Right name" });

    await api("DELETE", "/api/folders/renamed");
    await page.reload();
    const deleted = await entry(page, "folder.deleted");
    await deleted.getByRole("row", { name: "title Right name" }).waitFor();
    await deleted.getByRole("button", { name: "Undo: bring it back" }).click();
    await page.getByText("Undone", { exact: true }).waitFor();
    expect(await api("GET", "/api/folders/renamed")).toMatchObject({ title: "Right name" });

    await page.goto(`${SERVER}/portal/audit?q=target%3Amembership%2F${id}`);
    const role = await entry(page, "membership.role_changed");
    await role.getByRole("row", { name: "role Editor Viewer" }).waitFor();
    await role.getByRole("button", { name: "Undo: make it what it was before" }).click();
    await page.getByText("Undone", { exact: true }).waitFor();
    const members = (await api("GET", "/api/org/users")) as { login: string; role: string }[];
    expect(members.find(({ login }) => login === "olga")?.role).toBe("Editor");
    expect(complaints).toEqual([]);
  });

  it("keeps its filter in the address, to be shared", async () => {
    const { page } = await open("/audit?q=outcome%3Asuccess%20target%3Afolder");
    expect(await page.getByRole("combobox", { name: "Outcome" }).inputValue()).toBe("success");
    await page.getByRole("combobox", { name: "Outcome" }).selectOption("denied");
    await page.waitForURL(/outcome%3Adenied/);
    await page.getByRole("combobox", { name: "Search the audit log" }).fill("colour:red");
    await page.getByText("“colour:” is not known").waitFor();
  });

  it("is exported as it is filtered", async () => {
    const filter = "actor=olga&action=dashboard.*&outcome=success";
    const { events } = (await api("GET", `/api/audit/events?${filter}`)) as { events: Entry[] };
    expect(events.map(({ action }) => action)).toEqual(["dashboard.created", "dashboard.updated"]);
    const { page } = await open("/audit?q=actor%3Aolga%20action%3Adashboard.*%20outcome%3Asuccess");

    const lines = (await exported(page, "As JSON")).split("\n");
    const rows = lines.map((line) => JSON.parse(line) as Entry);
    for (const { actor, action, outcome } of rows) {
      expect(actor.login).toBe("olga");
      expect(action).toMatch(/^dashboard\./);
      expect(outcome).toBe("success");
    }
    const ids = events.map(({ id }) => id).sort();
    expect(rows.map(({ id }) => id).sort()).toEqual(ids);

    const [head = "", ...records] = (await exported(page, "As CSV")).split(/\r?\n/);
    expect(head.split(",")).toContain("action");
    const place = head.split(",").indexOf("id");
    expect(records.map((record) => Number(record.split(",")[place])).sort()).toEqual(ids);
    for (const record of records) expect(record).toMatch(/olga/);
  });
});

/** Opens one of the entries with an action, the newest being the first. */
async function entry(page: Page, action: string, index = 0) {
  const row = page.getByRole("table").getByRole("row", { name: action }).nth(index);
  await row.getByRole("button").click();
  return page.getByRole("dialog");
}

function panel(expr: string) {
  return { id: 1, type: "timeseries", title: "CPU", gridPos: { h: 8, w: 12, x: 0, y: 0 }, targets: [{ expr }] };
}

/** What the browser saves when somebody exports the log. */
async function exported(page: Page, form: string): Promise<string> {
  await page.getByRole("button", { name: "Export" }).click();
  const downloading = page.waitForEvent("download");
  await page.getByRole("menuitem", { name: form }).click();
  return readFileSync(await (await downloading).path(), "utf8").trim();
}
