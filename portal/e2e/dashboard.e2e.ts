import { describe, expect, it } from "vitest";
import { api, drop, open, realDashboard, realDashboards, saveDashboard, withBrowser } from "./support";

withBrowser();

describe("dashboards", () => {
  it("are imported by drop, each with its own result", async () => {
    // Other tests have dashboards of the same titles, but not in this folder.
    await api("POST", "/api/folders", { uid: "imported", title: "Imported" });
    const { page, complaints } = await open("/dashboards?folder=imported");
    await page.getByRole("heading", { name: "Imported" }).waitFor();
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
    // What was said of the first time can still be there.
    await page.getByText("“Thrown away” restored").last().waitFor();
    await page.getByRole("row", { name: /Thrown away/ }).waitFor({ state: "detached" });
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
    await page.getByRole("button", { name: "Replace with mine" }).click();
    await page.getByRole("heading", { name: "Mine" }).waitFor();
  });

  it("show the description of a folder that somebody else changed meanwhile, to be taken over", async () => {
    await api("POST", "/api/folders", { uid: "described", title: "Described", description: "old" });
    const { page } = await open("/dashboards?folder=described");
    await page.getByRole("button", { name: "Rename" }).click();
    const dialog = page.getByRole("dialog", { name: "Change folder" });
    await dialog.getByLabel("Title").fill("Mine");
    await api("PUT", "/api/folders/described", { title: "Described", description: "their words", overwrite: true });
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByText("its description is now “their words”").waitFor();
    await dialog.getByRole("button", { name: "Take theirs" }).click();
    expect(await dialog.getByLabel("Description").inputValue()).toBe("their words");
    await dialog.getByLabel("Title").fill("Ours");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "Ours" }).waitFor();
    const now = (await api("GET", "/api/folders/described")) as { description: string };
    expect(now.description).toBe("their words");
  });

  it("that somebody else saved meanwhile are moved as they are now, after a question", async () => {
    await api("POST", "/api/folders", { uid: "harbour", title: "Harbour" });
    const dashboard = { uid: "drifting", title: "Drifting", panels: [panel("CPU", "up")] };
    await saveDashboard(dashboard);
    const { page } = await open("/dashboards/drifting");
    await page.getByRole("button", { name: "What can be done with this dashboard" }).click();
    await page.getByRole("menuitem", { name: "Move…" }).click();
    await page.getByRole("treeitem", { name: "Harbour" }).click();
    await saveDashboard({ ...dashboard, panels: [panel("CPU", "down")] });
    await page.getByRole("button", { name: "Move here" }).click();
    const dialog = page.getByRole("dialog", { name: "Somebody changed this dashboard meanwhile" });
    await dialog.getByText("panel “CPU”: its query changed").waitFor();
    await dialog.getByRole("button", { name: "Move it as it is now" }).click();
    await page.getByText("Moved", { exact: true }).waitFor();
    const now = (await api("GET", "/api/dashboards/uid/drifting")) as Read;
    expect(now.meta.folderUid).toBe("harbour");
    expect(now.dashboard.panels).toEqual([panel("CPU", "down")]);
  });

  it("are searched as the address says, back and forth", async () => {
    await api("POST", "/api/folders", { uid: "backwards", title: "Backwards" });
    await saveDashboard({ uid: "inside", title: "Inside", panels: [] }, "", "backwards");
    const { page } = await open("/dashboards");
    const box = page.getByRole("textbox", { name: "Search folders and dashboards" });
    // Faster than the list and the address follow.
    await box.pressSequentially("backwards", { delay: 5 });
    await page.getByRole("link", { name: "Backwards", exact: true }).click();
    await page.getByRole("heading", { name: "Backwards" }).waitFor();
    expect(await box.inputValue()).toBe("");
    await page.getByRole("link", { name: "Inside", exact: true }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "Dashboards", exact: true }).waitFor();
    await expect.poll(() => box.inputValue()).toBe("backwards");
    expect(page.url()).toContain("query=backwards");
    await page.getByRole("link", { name: "Backwards", exact: true }).waitFor();
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: "Dashboards" }).click();
    await expect.poll(() => box.inputValue()).toBe("");
    expect(page.url()).not.toContain("query");
  });

  it("deleted with their folder are counted before, and restored into another one", async () => {
    await api("POST", "/api/folders", { uid: "doomed", title: "Doomed" });
    await api("POST", "/api/folders", { uid: "doomed-inner", title: "Inner", parentUid: "doomed" });
    await api("POST", "/api/folders", { uid: "haven", title: "Haven" });
    await saveDashboard({ uid: "saved", title: "To be saved", panels: [] }, "", "doomed-inner");
    const { page } = await open("/dashboards?query=Doomed");
    await page.getByRole("button", { name: "What can be done with Doomed" }).click();
    await page.getByRole("menuitem", { name: "Delete…" }).click();
    const question = page.getByRole("dialog", { name: "Delete this folder?" });
    await question.getByText("1 folder and 1 dashboard").waitFor();
    await question.getByText("Folders do not go to the trash").waitFor();
    await question.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByText("“Doomed” deleted").waitFor();
    await page.getByRole("link", { name: "Trash" }).click();
    const row = page.getByRole("row", { name: /To be saved/ });
    await row.getByText("a deleted folder").waitFor();
    await row.getByRole("button", { name: "Restore" }).click();
    const dialog = page.getByRole("dialog", { name: "Restore to" });
    await dialog.getByRole("treeitem", { name: "Haven" }).click();
    await dialog.getByRole("button", { name: "Restore here" }).click();
    await page.getByText("“To be saved” restored").waitFor();
    const now = (await api("GET", "/api/dashboards/uid/saved")) as Read;
    expect(now.meta.folderUid).toBe("haven");
  });

  it("in folders that could not be counted are not said to be none", async () => {
    await api("POST", "/api/folders", { uid: "uncounted", title: "Uncounted" });
    const { page } = await open("/dashboards?query=Uncounted", { mayFail: true });
    await page.route("**/counts", (route) => route.fulfill({ status: 403, json: { message: "no" } }));
    await page.getByRole("button", { name: "What can be done with Uncounted" }).click();
    await page.getByRole("menuitem", { name: "Delete…" }).click();
    await page.getByRole("dialog").getByText("could not be counted").waitFor();
  });

  it("are deleted together, brought back, and one deleted permanently", async () => {
    for (const number of [1, 2, 3]) await saveDashboard({ uid: `bulk${number}`, title: `Bulky ${number}`, panels: [] });
    const { page } = await open("/dashboards?query=Bulky");
    await page.getByRole("link", { name: "Bulky 3" }).waitFor();
    await page.getByRole("checkbox", { name: "Select all that are shown" }).check();
    await page.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("dialog", { name: "Delete 3 items?" }).getByRole("button", { name: "Delete" }).click();
    await page.getByText("3 deleted").waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("3 restored").waitFor();
    await api("DELETE", "/api/dashboards/uid/bulk1");
    await page.getByRole("link", { name: "Trash" }).click();
    const row = page.getByRole("row", { name: /Bulky 1/ });
    await row.getByRole("button", { name: "Delete…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete permanently" }).click();
    await page.getByText("“Bulky 1” deleted permanently").waitFor();
    await row.waitFor({ state: "detached" });
    await expect(api("PATCH", "/api/dashboards/uid/bulk1/trash", {})).rejects.toThrow("404");
  });

  it("are filtered by tags, and folders are moved", async () => {
    await api("POST", "/api/folders", { uid: "mover", title: "Mover" });
    await api("POST", "/api/folders", { uid: "moved-to", title: "Moved to" });
    await saveDashboard({ uid: "tagged", title: "Tagged one", tags: ["rare-tag"], panels: [] });
    const { page } = await open("/dashboards");
    await page.getByRole("combobox", { name: "Tags" }).fill("rare");
    await page.getByRole("option", { name: "rare-tag" }).click();
    await page.getByRole("link", { name: "Tagged one" }).waitFor();
    await page.waitForURL(/rare-tag/);
    await page.goto(`${new URL(page.url()).origin}/portal/dashboards?query=Mover`);
    await page.getByRole("button", { name: "What can be done with Mover" }).click();
    await page.getByRole("menuitem", { name: "Move…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("treeitem", { name: "Moved to" }).click();
    await dialog.getByRole("button", { name: "Move here" }).click();
    await page.getByText("“Mover” moved").waitFor();
    expect(((await api("GET", "/api/folders/mover")) as { parentUid: string }).parentUid).toBe("moved-to");
  });

  it("that are there already are imported as a new version or beside, after the difference is shown", async () => {
    const dashboard = { uid: "twin", title: "Twin", panels: [panel("CPU", "up")] };
    await saveDashboard(dashboard);
    const { page } = await open("/dashboards");
    await page.getByRole("heading", { name: "Dashboards" }).waitFor();
    const content = JSON.stringify({ ...dashboard, panels: [panel("CPU", "down")] });
    await drop(page, [
      { name: "one.json", content },
      { name: "two.json", content },
    ]);
    const dialog = page.getByRole("dialog", { name: "Import dashboards" });
    const item = (name: string) =>
      dialog.getByRole("list", { name: "Files" }).locator("> li").filter({ hasText: name });
    await item("one.json").getByText("panel “CPU”: its query changed").waitFor();
    await item("one.json").getByRole("button", { name: "Save as a new version" }).click();
    await item("one.json").getByText("version 2").waitFor();
    await item("two.json").getByRole("button", { name: "Keep both" }).click();
    await item("two.json").getByRole("link", { name: "Twin (copy)" }).waitFor();
  });

  it("are reached in a tree that Tab leads to, wherever the selected folder is", async () => {
    await api("POST", "/api/folders", { uid: "outer-tab", title: "Outer of Tab" });
    await api("POST", "/api/folders", { uid: "inner-tab", title: "Inner of Tab", parentUid: "outer-tab" });
    const { page } = await open("/dashboards?folder=inner-tab");
    const outer = page.getByRole("treeitem", { name: "Outer of Tab" });
    await page.getByRole("treeitem", { name: "Inner of Tab" }).waitFor();
    await outer.focus();
    await page.keyboard.press("ArrowLeft");
    await page.getByRole("treeitem", { name: "Inner of Tab" }).waitFor({ state: "detached" });
    const box = page.getByRole("textbox", { name: "Search folders and dashboards" });
    await box.focus();
    await page.keyboard.press("Shift+Tab");
    await expect.poll(() => page.evaluate(() => document.activeElement?.role)).toBe("treeitem");
  });

  it("are seen as they were with the keys of the slider", async () => {
    const { page } = await open("/dashboards");
    await page.getByRole("button", { name: "Now", exact: true }).click();
    await page.getByRole("slider", { name: "Moment" }).focus();
    await page.keyboard.press("Home");
    await page.getByText("You are looking at the past").waitFor();
    expect(page.url()).toContain("at=");
  });
});

interface Read {
  meta: { folderUid: string };
  dashboard: { panels: unknown[] };
}

function panel(title: string, expr: string) {
  return { id: 1, type: "timeseries", title, gridPos: { h: 8, w: 12, x: 0, y: 0 }, targets: [{ expr, refId: "A" }] };
}
