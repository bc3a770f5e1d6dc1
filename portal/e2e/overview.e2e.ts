import { describe, expect, it } from "vitest";
import { api, open, SERVER, withBrowser } from "./support";

withBrowser();

describe("the overview", () => {
  it("tells what others changed since the last visit, and leads to all of it", async () => {
    await api("POST", "/api/admin/users", { login: "wanda", password: "secret", orgId: 1 });
    const { id } = (await api("GET", "/api/users/lookup?loginOrEmail=wanda")) as { id: number };
    await api("PATCH", `/api/org/users/${id}`, { role: "Editor" });
    await api("POST", "/api/folders", { uid: "told", title: "Old name" });
    const { page, complaints } = await open("/");
    await page.getByText("this is your first").waitFor();
    // The visit was a while ago.
    const since = new Date().toISOString();
    await page.evaluate(([key, now]) => localStorage.setItem(key, JSON.stringify({ now, before: now })), [
      "kymograph-visit:1:1",
      since,
    ] as const);
    await api("PUT", "/api/folders/told", { title: "New name", overwrite: true }, "wanda:secret");
    await api("PUT", "/api/folders/told", { description: "mine", title: "New name", overwrite: true });
    await expect(api("GET", "/api/org/users", undefined, "wanda:secret")).rejects.toThrow();
    await fetch(`${SERVER}/login`, { method: "POST", body: JSON.stringify({ user: "wanda", password: "secret" }) });
    await page.reload();
    const changes = page.getByRole("list", { name: "Changes, newest first" }).getByRole("listitem");
    await changes.first().waitFor();
    expect(await changes.count()).toBe(1);
    expect(await changes.first().innerText()).toMatch(
      /^wanda folder\.updated New name\s[\s\S]*title changed from “Old name” to “New name”/,
    );
    await page.getByRole("link", { name: "All changes since then" }).click();
    const box = page.getByRole("combobox", { name: "Search the audit log" });
    expect(await box.inputValue()).toBe(`after:${since} outcome:success -action:access.* -action:star.* -actor:admin`);
    await page.getByRole("table").getByRole("row", { name: "folder.updated" }).waitFor();
    expect(complaints).toEqual([]);
  });

  it("says so when something could not be counted", async () => {
    const { page } = await open("/people", { mayFail: true });
    await page.getByRole("heading", { name: "People" }).waitFor();
    await page.route("**/api/org/usage", (route) => route.fulfill({ status: 500, json: { message: "It is broken" } }));
    await page.goto(`${SERVER}/portal`);
    await page.getByRole("link", { name: "Dashboards Could not be counted: It is broken" }).waitFor();
    await page.unroute("**/api/org/usage");
    const usage = (await api("GET", "/api/org/usage")) as { members: number };
    await page.reload();
    await page.getByRole("link", { name: `Members ${usage.members}` }).waitFor();
  });
});
