import { describe, expect, it } from "vitest";
import { api, drop, open, realDashboard, realDashboards, saveDashboard, withBrowser } from "./support";

withBrowser();

describe("dashboards", () => {
  it("are imported by drop, each with its own result", async () => {
    const { page, complaints } = await open("/dashboards");
    await page.getByRole("heading", { name: "Dashboards" }).waitFor();
    const names = realDashboards();
    expect(names.length).toBe(9);
    const files = names.map((name) => ({ name: `${name}.json`, content: JSON.stringify(realDashboard(name)) }));
    await drop(page, [...files, { name: "notes.json", content: '{"title": "no panels"}' }]);
    const dialog = page.getByRole("dialog", { name: "Import dashboards" });
    await dialog.getByText("9 of 10 imported").waitFor();
    await dialog.getByText("it has a title, but no panels").waitFor();
    await dialog.getByRole("button", { name: "Done" }).click();
    for (const name of names) {
      await page.getByRole("link", { name: String(realDashboard(name).title), exact: true }).waitFor();
    }
    expect(complaints).toEqual([]);
  });

  it("are found while somebody types, starred, and moved together", async () => {
    await api("POST", "/api/folders", { uid: "target", title: "Target folder" });
    for (const number of [1, 2]) await saveDashboard({ uid: `move${number}`, title: `Movable ${number}`, panels: [] });
    const { page } = await open("/dashboards");
    await page.getByRole("textbox", { name: "Search folders and dashboards" }).fill("movable");
    await page.getByRole("button", { name: "Star Movable 1" }).click();
    await page.getByRole("button", { name: "Remove the star of Movable 1" }).waitFor();
    await page.getByRole("checkbox", { name: "Select Movable 1" }).check();
    await page.getByRole("checkbox", { name: "Select Movable 2" }).check();
    await page.getByRole("button", { name: "Move…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("treeitem", { name: "Target folder" }).click();
    await dialog.getByRole("button", { name: "Move here" }).click();
    await page.getByText("2 moved").waitFor();
    const found = (await api("GET", "/api/search?folderUIDs=target")) as { uid: string }[];
    expect(found.map(({ uid }) => uid).sort()).toEqual(["move1", "move2"]);
  });

  it("are sorted by title, either way", async () => {
    await api("POST", "/api/folders", { uid: "sorted", title: "Sorted" });
    await api("POST", "/api/folders", { uid: "middle", title: "Middle", parentUid: "sorted" });
    for (const title of ["Alpha", "Zulu"]) await saveDashboard({ uid: title, title, panels: [] }, "", "sorted");
    const { page } = await open("/dashboards?folder=sorted");
    const titles = page.locator("main").getByRole("link", { name: /^(Alpha|Middle|Zulu)$/ });
    const shows = (expected: string[]) => expect.poll(() => titles.allInnerTexts()).toEqual(expected);
    await shows(["Middle", "Alpha", "Zulu"]);
    await page.getByRole("combobox", { name: "Sort by" }).selectOption("alpha-desc");
    await shows(["Zulu", "Middle", "Alpha"]);
    expect(page.url()).toContain("sort=alpha-desc");
    await page.getByRole("combobox", { name: "Sort by" }).selectOption("alpha-asc");
    await shows(["Alpha", "Middle", "Zulu"]);
  });

  it("go to the trash and come back", async () => {
    await saveDashboard({ uid: "thrown", title: "Thrown away", panels: [] });
    const { page } = await open("/dashboards?query=Thrown");
    await page.getByRole("button", { name: "What can be done with Thrown away" }).click();
    await page.getByRole("menuitem", { name: "Move to trash" }).click();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("“Thrown away” restored").waitFor();
    await api("DELETE", "/api/dashboards/uid/thrown");
    await page.getByRole("link", { name: "Trash" }).click();
    await page
      .getByRole("row", { name: /Thrown away/ })
      .getByRole("button", { name: "Restore" })
      .click();
    await page.getByText("The trash is empty").waitFor();
    await api("GET", "/api/dashboards/uid/thrown");
  });

  it("show who changed a panel, the difference, and the way back", async () => {
    const dashboard = { uid: "watched", title: "Watched", panels: [panel("CPU", "up")] };
    await saveDashboard(dashboard, "as it should be");
    await saveDashboard({ ...dashboard, panels: [panel("CPU", "down")] }, "oops");
    const { page, complaints } = await open("/dashboards/watched?tab=history");
    await page.getByText("panel “CPU”: its query changed").waitFor();
    await page.getByRole("button", { name: "See the change" }).first().click();
    await page.getByRole("heading", { name: "Version 1 and version 2" }).waitFor();
    await page.getByText("JSON", { exact: true }).click();
    await page.locator(".cm-changedText").first().waitFor();
    await page.getByRole("button", { name: "Restore version 1" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Restore version 1" }).click();
    await page.getByText("restored from version 1", { exact: true }).waitFor();
    const now = (await api("GET", "/api/dashboards/uid/watched")) as {
      dashboard: { version: number; panels: unknown[] };
    };
    expect(now.dashboard.version).toBe(3);
    expect(now.dashboard.panels).toEqual([panel("CPU", "up")]);
    expect(complaints).toEqual([]);
  });

  it("are reached from everywhere with the keyboard", async () => {
    await saveDashboard({ uid: "jump", title: "Jump to me", panels: [] });
    const { page } = await open("/");
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.keyboard.press("Control+k");
    await page.getByRole("combobox", { name: "Pages, folders, dashboards" }).waitFor();
    await page.keyboard.type("jump to me");
    await page.getByRole("option", { name: /Jump to me/ }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Jump to me" }).waitFor();
  });

  it("that somebody else changed meanwhile are told of, in folders, too", async () => {
    await api("POST", "/api/folders", { uid: "shared", title: "Shared" });
    const { page } = await open("/dashboards?folder=shared");
    await page.getByRole("button", { name: "Rename" }).click();
    await page.getByRole("dialog").getByLabel("Title").fill("Mine");
    await api("PUT", "/api/folders/shared", { title: "Theirs", overwrite: true });
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("it is now called “Theirs”").waitFor();
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "Mine" }).waitFor();
  });
});

function panel(title: string, expr: string) {
  return { id: 1, type: "timeseries", title, gridPos: { h: 8, w: 12, x: 0, y: 0 }, targets: [{ expr, refId: "A" }] };
}
