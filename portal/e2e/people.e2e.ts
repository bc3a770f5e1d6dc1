import { describe, expect, it } from "vitest";
import { api, open, SERVER, withBrowser } from "./support";

withBrowser();

interface Member {
  login: string;
  role: string;
}

async function roleOf(login: string): Promise<string | undefined> {
  const members = (await api("GET", "/api/org/users")) as Member[];
  return members.find((member) => member.login === login)?.role;
}

describe("people", () => {
  it("are added, demoted and removed", async () => {
    const { orgId } = (await api("POST", "/api/orgs", { name: "Elsewhere" })) as { orgId: number };
    await api("POST", "/api/admin/users", { login: "moved", password: "secret", orgId });
    const { page } = await open("/people");
    await page.getByRole("button", { name: "Add member" }).click();
    await page.getByLabel("Login or e-mail").fill("nobody-at-all");
    await page.getByRole("dialog").getByRole("button", { name: "Add member" }).click();
    await page.getByRole("alert").getByText("User not found").waitFor();
    await page.getByLabel("Login or e-mail").fill("moved");
    await page.getByRole("dialog").getByLabel("Role").selectOption("Editor");
    await page.getByRole("dialog").getByRole("button", { name: "Add member" }).click();
    await page.getByText("moved added").waitFor();
    expect(await roleOf("moved")).toBe("Editor");
    await page.getByRole("textbox", { name: "Search members" }).fill("moved");
    await page.getByRole("combobox", { name: "Role of moved" }).selectOption("Viewer");
    await page.getByText("moved is now Viewer").waitFor();
    expect(await roleOf("moved")).toBe("Viewer");
    await page.getByRole("button", { name: "Remove… moved" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
    await page.getByText("moved removed").waitFor();
    expect(await roleOf("moved")).toBeUndefined();
  });
});

describe("many people", () => {
  it("are paged and searched, and a page of one search is not one of another", async () => {
    // The server has them in an org of their own, in which this user is at home.
    const { id: orgId } = (await api("GET", "/api/orgs/name/Crowd")) as { id: number };
    await api("POST", "/api/admin/users", { login: "shepherd", password: "secret", orgId });
    const { id } = (await api("GET", "/api/users/lookup?loginOrEmail=shepherd")) as { id: number };
    await api("PATCH", `/api/orgs/${orgId}/users/${id}`, { role: "Admin" });
    const { page } = await open("/people", { login: "shepherd", password: "secret" });
    const waits: number[] = [];
    page.on("requestfinished", (request) => {
      const { requestStart, responseEnd } = request.timing();
      if (request.url().includes("/api/org/users/search")) waits.push(responseEnd - requestStart);
    });
    const members = page.getByRole("combobox", { name: /^Role of/ });
    const search = page.getByRole("textbox", { name: "Search members" });
    await page.getByText("10,002 members").waitFor();
    await search.pressSequentially("crowd");
    await page.getByText("10,000 members match").waitFor();
    expect(await members.count()).toBe(50);
    await page.getByRole("button", { name: "next page" }).click();
    await page.waitForURL(/page=2/);
    await page.getByRole("combobox", { name: "Role of crowd00051" }).waitFor();
    await page.getByRole("button", { name: "200", exact: true }).click();
    await page.waitForURL(/page=200/);
    await page.getByRole("combobox", { name: "Role of crowd10000" }).waitFor();
    expect(await page.getByRole("button", { name: "next page" }).isDisabled()).toBe(true);
    await search.press("End");
    await search.pressSequentially("0777");
    await page.getByText("10 members match").waitFor();
    await search.pressSequentially("7");
    await page.getByRole("combobox", { name: "Role of crowd07777" }).waitFor();
    await page.getByText("1 member match").waitFor();
    await page.waitForURL(/query=crowd07777$/);
    await page.goBack();
    await page.waitForURL(/page=2/);
    await page.getByRole("combobox", { name: "Role of crowd00051" }).waitFor();
    expect(await search.inputValue()).toBe("crowd");
    expect(Math.max(...waits), "milliseconds that a list took").toBeLessThan(1000);
  });

  it("are not given a role over somebody else's without being asked", async () => {
    const body = { login: "contested", password: "secret", orgId: 1 };
    const { id } = (await api("POST", "/api/admin/users", body)) as { id: number };
    await api("PATCH", `/api/org/users/${id}`, { role: "Viewer" });
    const { page } = await open("/people?query=contested");
    const role = page.getByRole("combobox", { name: "Role of contested" });
    await role.waitFor();
    await api("PATCH", `/api/org/users/${id}`, { role: "Admin" });
    await role.selectOption("Editor");
    const dialog = page.getByRole("dialog", { name: "Somebody changed this meanwhile" });
    await dialog.getByText("Role: was “Viewer”, is now “Admin”").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await expect.poll(() => role.inputValue()).toBe("Admin");
    expect(await roleOf("contested")).toBe("Admin");
    await role.selectOption("Editor");
    await page.getByText("contested is now Editor").waitFor();
    expect(await roleOf("contested")).toBe("Editor");
  });

  it("are seen with all that is known of them on a narrow screen", async () => {
    const { page } = await open("/people?query=admin", { width: 375 });
    await page.getByText("Last seen").waitFor();
  });
});

describe("the server's admin", () => {
  it("makes, renames and deletes an organization, which takes its typed name", async () => {
    const { page } = await open("/admin/orgs");
    await page.getByRole("button", { name: "New organization" }).click();
    await page.getByLabel("Name").fill("Short lived");
    await page.getByRole("button", { name: "Create organization" }).click();
    const row = (name: string) => page.getByRole("row", { name: new RegExp(name) });
    await row("Short lived").getByRole("button", { name: "Rename" }).click();
    await page.getByRole("textbox", { name: "Name", exact: true }).fill("Soon gone");
    await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
    await row("Soon gone").getByRole("button", { name: "Delete…" }).click();
    const confirm = page.getByRole("dialog").getByRole("button", { name: "Delete organization" });
    expect(await confirm.isDisabled()).toBe(true);
    await page.getByLabel(/Type .* to go on/).fill("Soon gone");
    await confirm.click();
    await page.getByText("Soon gone deleted").waitFor();
    await row("Soon gone").waitFor({ state: "detached" });
  });

  it("is shown how somebody else renamed an organization meanwhile, and chooses", async () => {
    const { orgId } = (await api("POST", "/api/orgs", { name: "Named once" })) as { orgId: number };
    const { page } = await open("/admin/orgs");
    const row = (name: string) => page.getByRole("row", { name: new RegExp(name) });
    const rename = async (from: string, to: string) => {
      await row(from).getByRole("button", { name: "Rename" }).click();
      await page.getByRole("textbox", { name: "Name", exact: true }).fill(to);
      await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
    };
    const question = page.getByRole("dialog", { name: "Somebody changed this meanwhile" });
    await row("Named once").waitFor();
    await api("PUT", `/api/orgs/${orgId}`, { name: "Named by another" });
    await rename("Named once", "Named by me");
    await question.getByText("Name: was “Named once”, is now “Named by another”").waitFor();
    await question.getByRole("button", { name: "Cancel" }).click();
    await row("Named by another").waitFor();

    await api("PUT", `/api/orgs/${orgId}`, { name: "Named by a third" });
    await rename("Named by another", "Named by me");
    await question.getByText("is now “Named by a third”").waitFor();
    await question.getByRole("button", { name: "Save mine all the same" }).click();
    await row("Named by me").waitFor();
    expect(await api("GET", `/api/orgs/${orgId}`)).toMatchObject({ name: "Named by me" });
  });

  it("is told that quotas are switched off, and what there is all the same", async () => {
    const watched = await open("/");
    const { page, complaints } = watched;
    for (const label of ["Dashboards", "Folders", "Members"]) {
      await page.getByRole("link", { name: new RegExp(`^${label}\\s*\\d+\\s*no limit$`) }).waitFor();
    }
    expect(complaints).toEqual([]);
    await page.goto(`${SERVER}/portal/admin/orgs`);
    await page
      .getByRole("row", { name: /Main Org/ })
      .getByRole("button", { name: "Quotas" })
      .click();
    await page.getByRole("dialog").getByText("Quotas are switched off").waitFor();
  });

  it("makes, disables and empowers users", async () => {
    const { page } = await open("/admin/users");
    await page.getByRole("button", { name: "New user" }).click();
    await page.getByRole("textbox", { name: "Login" }).fill("fresh");
    await page.getByRole("textbox", { name: "Password" }).fill("secret");
    await page.getByRole("button", { name: "Create user" }).click();
    await page.getByText("User fresh created").waitFor();
    await page.getByRole("textbox", { name: "Search users" }).fill("fresh");
    const menu = page.getByRole("button", { name: "What can be done with fresh" });
    await menu.click();
    await page.getByRole("menuitem", { name: "Make server admin…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Make server admin" }).click();
    await page.getByRole("cell", { name: "server admin" }).waitFor();
    await menu.click();
    await page.getByRole("menuitem", { name: "Disable…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Disable" }).click();
    await page.getByRole("cell", { name: /disabled/ }).waitFor();
    await menu.click();
    await page.getByRole("menuitem", { name: "Enable" }).click();
    await page.getByText("fresh can log in again").waitFor();
  });

  it("sets passwords, ends sessions and deletes users", async () => {
    await api("POST", "/api/admin/users", { login: "brief", password: "secret", orgId: 1 });
    const { page } = await open("/admin/users");
    await page.getByRole("textbox", { name: "Search users" }).fill("brief");
    const menu = page.getByRole("button", { name: "What can be done with brief" });
    await menu.click();
    await page.getByRole("menuitem", { name: "Set password…" }).click();
    await page.getByRole("textbox", { name: "New password of brief" }).fill("changed");
    await page.getByRole("dialog").getByRole("button", { name: "Set password" }).click();
    await page.getByText("Password of brief set").waitFor();
    const other = await open("/", { login: "brief", password: "changed" });
    await other.page.getByRole("heading", { name: "Overview" }).waitFor();
    await menu.click();
    await page.getByRole("menuitem", { name: "Sessions…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("table", { name: "Sessions" }).waitFor();
    await dialog.getByRole("button", { name: "End all" }).click();
    await dialog.getByText("Nobody is logged in.").waitFor();
    await other.page.reload();
    await other.page.getByRole("heading", { name: "Log in to Kymograph" }).waitFor();
    await page.keyboard.press("Escape");
    await menu.click();
    await page.getByRole("menuitem", { name: "Delete…" }).click();
    await page.getByLabel(/Type .* to go on/).fill("brief");
    await page.getByRole("dialog").getByRole("button", { name: "Delete user" }).click();
    await page.getByText("brief deleted").waitFor();
    await page.getByText("No matching users").waitFor();
  });

  it("sees how much there is", async () => {
    const stats = (await api("GET", "/api/admin/stats")) as { orgs: number; users: number };
    const { page } = await open("/admin/stats");
    await page.getByRole("heading", { name: "Statistics" }).waitFor();
    await page.getByText(stats.users.toLocaleString("en"), { exact: true }).first().waitFor();
    await page.getByText(stats.orgs.toLocaleString("en"), { exact: true }).first().waitFor();
  });
});
