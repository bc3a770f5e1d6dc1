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
    await dialog.getByText("panel “CPU”: its query changed").waitFor();
    await dialog.getByRole("row", { name: "panels › 0 › targets › 0 › expr up down" }).waitFor();
    await dialog.getByRole("button", { name: "See both side by side" }).click();
    await dialog.getByRole("heading", { name: "Before", exact: true }).waitFor();
    await dialog.getByText("panel “CPU”: its query changed").waitFor();
    await dialog.getByRole("button", { name: "Revert to before this change" }).click();
    await page.getByText("Undone: 1 object changed").waitFor();
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
    await dialog.getByText("This also reverts 1 later change, by admin.").waitFor();
    await dialog.getByRole("button", { name: "Revert to before this change" }).click();
    await page.getByText("Undone: 1 object changed").waitFor();
    const now = (await api("GET", "/api/dashboards/uid/returned")) as { dashboard: { panels: unknown[] } };
    expect(now.dashboard.panels).toEqual([panel("one")]);
    const created = await entry(page, "dashboard.created");
    await created.getByRole("row", { name: "title Returned" }).waitFor();
    await created.getByRole("button", { name: "Move dashboard “Returned” to the trash" }).waitFor();
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
    await renamed.getByRole("button", { name: "Revert to before this change" }).click();
    await page.getByText("Undone: 1 object changed").waitFor();
    expect(await api("GET", "/api/folders/renamed")).toMatchObject({ title: "Right name" });

    await api("DELETE", "/api/folders/renamed");
    await page.reload();
    const deleted = await entry(page, "folder.deleted");
    await deleted.getByRole("row", { name: "title Right name" }).waitFor();
    await deleted.getByRole("button", { name: "Restore" }).click();
    await page.getByText("Undone: 1 object changed").waitFor();
    expect(await api("GET", "/api/folders/renamed")).toMatchObject({ title: "Right name" });

    await page.goto(`${SERVER}/portal/audit?q=target%3Amembership%2F${id}`);
    const role = await entry(page, "membership.role_changed");
    await role.getByRole("row", { name: "role Editor Viewer" }).waitFor();
    await role.getByRole("button", { name: "Revert to before this change" }).click();
    await page.getByText("Undone: 1 object changed").waitFor();
    const members = (await api("GET", "/api/org/users")) as { login: string; role: string }[];
    expect(members.find(({ login }) => login === "olga")?.role).toBe("Editor");
    expect(complaints).toEqual([]);
  });

  it("brings back a folder with what was in it, and says so before", async () => {
    await api("POST", "/api/folders", { uid: "whole", title: "Whole" });
    await api("POST", "/api/folders", { uid: "inner", title: "Inner", parentUid: "whole" });
    const dashboard = { dashboard: { uid: "within", title: "Within", panels: [] }, folderUid: "inner" };
    await api("POST", "/api/dashboards/db", dashboard);
    await api("DELETE", "/api/folders/whole");
    const { page, complaints } = await open("/audit?q=target%3Afolder%2Fwhole");
    const deleted = await entry(page, "folder.deleted");
    const steps = deleted.getByRole("list", { name: "Effects of the undo" });
    for (const text of ["Restore folder “Whole”", "Restore folder “Inner”", "Restore dashboard “Within”"]) {
      await steps.getByText(text).waitFor();
    }
    await deleted.getByRole("button", { name: "Undo all 3 changes of this request" }).click();
    await page.getByText("Undone: 3 objects changed").waitFor();
    expect(await api("GET", "/api/dashboards/uid/within")).toMatchObject({ meta: { folderUid: "inner" } });
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

  it("completes what somebody types", async () => {
    const { page, complaints } = await open("/audit");
    const box = page.getByRole("combobox", { name: "Search the audit log" });
    await page.getByRole("table").getByRole("row", { name: "olga" }).first().waitFor();
    await box.pressSequentially("act");
    await page.getByRole("option", { name: /^actor:/ }).click();
    await box.pressSequentially("ol");
    await page.getByRole("option", { name: "actor:olga" }).click();
    await box.press("Space");
    await box.pressSequentially("-out");
    await page.getByRole("option", { name: /^-outcome:/ }).click();
    await box.pressSequentially("d");
    await page.getByRole("option", { name: "-outcome:denied" }).click();
    expect(await box.inputValue()).toBe("actor:olga -outcome:denied");
    await page.waitForURL(/-outcome%3Adenied/);
    expect(complaints).toEqual([]);
  });

  it("leaves out what was denied, in the list, in the chart and in an export", async () => {
    await expect(api("POST", "/api/admin/users", { login: "x", password: "secret" }, "olga:secret")).rejects.toThrow();
    await expect.poll(() => outcomes("actor=olga&outcome=denied")).toContain("denied");
    const { page, complaints } = await open("/audit?q=actor%3Aolga");
    const denied = page.getByRole("table").getByRole("row", { name: "denied" });
    await denied.first().waitFor();
    const all = (await outcomes("actor=olga")).length;
    await page.getByText(`${all} entries in 30 days`).waitFor();
    await page.getByRole("combobox", { name: "Search the audit log" }).fill("actor:olga -outcome:denied");
    await page.keyboard.press("Escape");
    const kept = (await outcomes("actor=olga")).filter((outcome) => outcome !== "denied").length;
    await page.getByText(`${kept} entries in 30 days, 0 of them denied or failed`).waitFor();
    expect(await denied.count()).toBe(0);
    const lines = (await exported(page, "As CSV")).split(/\r?\n/).slice(1);
    expect(lines).toHaveLength(kept);
    expect(complaints).toEqual([]);
  });

  for (const timezone of ["UTC", "America/Los_Angeles", "Pacific/Auckland"]) {
    it(`shows the entries of a day that is picked in the chart, in ${timezone}`, async () => {
      const { page, complaints } = await open("/audit?q=actor%3Aolga", { timezone });
      const chart = page.getByRole("slider");
      await chart.focus();
      await chart.press("End");
      const today = new Date().toISOString().slice(0, 10);
      expect(await chart.getAttribute("aria-valuetext")).toMatch(new RegExp(`^${Number(today.slice(8))} .* entries`));
      await chart.press("ArrowLeft");
      await chart.press("Enter");
      await page.getByText("Nothing matches").waitFor();
      await page.goto(`${SERVER}/portal/audit?q=actor%3Aolga`);
      const place = await page.getByRole("slider").locator(".u-over").boundingBox();
      if (place === null) throw new Error("there is no chart");
      await page.mouse.click(place.x + place.width - 5, place.y + place.height / 2);
      const box = page.getByRole("combobox", { name: "Search the audit log" });
      await expect
        .poll(() => box.inputValue())
        .toBe(`actor:olga after:${today}T00:00:00Z before:${today}T23:59:59.999999Z`);
      await page.getByRole("table").getByRole("row", { name: "olga" }).first().waitFor();
      await page.getByRole("heading", { name: /^By the hour/ }).waitFor();
      await page.getByText(/ entries in 24 hours/).waitFor();
      expect(complaints).toEqual([]);
    });
  }

  it("tells how far an export is", async () => {
    const { page } = await open("/audit");
    await page.addInitScript(holdExports);
    await page.goto(`${SERVER}/portal/audit?q=actor%3Aolga%20action%3Adashboard.*`);
    const total = (await outcomes("actor=olga&action=dashboard.*")).length;
    await page.getByRole("table").waitFor();
    await page.getByRole("button", { name: "Export" }).click();
    const downloading = page.waitForEvent("download");
    await page.getByRole("menuitem", { name: "As JSON" }).click();
    const dialog = page.getByRole("dialog", { name: "Exporting" });
    await dialog.getByText("1 entry so far").waitFor();
    expect(await dialog.getByRole("progressbar").getAttribute("aria-valuenow")).toBeNull();
    await page.evaluate(() => dispatchEvent(new Event("go")));
    await dialog.getByText(`${total - 1} of ${total} entries`).waitFor();
    const share = Number(await dialog.getByRole("progressbar").getAttribute("aria-valuenow"));
    expect(share).toBeCloseTo(((total - 1) / total) * 100, 0);
    await page.evaluate(() => dispatchEvent(new Event("go")));
    await downloading;
    await page.getByText(`${total} entries exported`).waitFor();
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

/** What came of the entries that a query finds. */
async function outcomes(query: string): Promise<string[]> {
  const { events } = (await api("GET", `/api/audit/events?limit=1000&${query}`)) as { events: Entry[] };
  return events.map(({ outcome }) => outcome);
}

/**
 * Has a page get exports in three parts, of which the second and the third come at an event `go`: the first line, all
 * but the last, and the last. How many entries there are is told only after the first.
 */
function holdExports() {
  const plain = window.fetch;
  const go = () => new Promise((resolve) => addEventListener("go", resolve, { once: true }));
  window.fetch = async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (url.includes("order=oldest")) await go();
    if (!url.includes("/export")) return plain(input, init);
    const response = await plain(input, init);
    const [first = "", ...lines] = (await response.text()).trim().split("\n");
    const last = lines.pop() ?? "";
    const encoder = new TextEncoder();
    const body = new ReadableStream({
      async start(controller) {
        controller.enqueue(encoder.encode(`${first}\n`));
        await go();
        // The count is asked for meanwhile.
        await new Promise((resolve) => setTimeout(resolve, 1000));
        controller.enqueue(encoder.encode(lines.map((line) => `${line}\n`).join("")));
        await go();
        controller.enqueue(encoder.encode(`${last}\n`));
        controller.close();
      },
    });
    return new Response(body, { headers: response.headers });
  };
}

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
