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
    // Ten thousand would take minutes to make; a page holds fifty, so these are several.
    for (let number = 0; number < 130; number++) {
      await api("POST", "/api/admin/users", { login: `crowd${number}`, password: "secret", orgId: 1 });
    }
    const { page } = await open("/people?query=crowd");
    await page.getByText("130 members match").waitFor();
    await page.getByRole("button", { name: "next page" }).click();
    await page.waitForURL(/page=2/);
    await page.getByRole("button", { name: "3", exact: true }).click();
    await page.waitForURL(/page=3/);
    await page.getByRole("textbox", { name: "Search members" }).fill("crowd77");
    await page.getByRole("combobox", { name: "Role of crowd77" }).waitFor();
    await page.getByText("1 member match").waitFor();
    await page.waitForURL(/query=crowd77$/);
    await page.goBack();
    await page.waitForURL(/page=2/);
    expect(await page.getByRole("textbox", { name: "Search members" }).inputValue()).toBe("crowd");
    // To make so many takes long where the machine has other work, because each has a password.
  }, 180_000);

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
    await page.getByText("Nobody is called like this").waitFor();
  });

  it("sees how much there is", async () => {
    const stats = (await api("GET", "/api/admin/stats")) as { orgs: number; users: number };
    const { page } = await open("/admin/stats");
    await page.getByRole("heading", { name: "Statistics" }).waitFor();
    await page.getByText(stats.users.toLocaleString("en"), { exact: true }).first().waitFor();
    await page.getByText(stats.orgs.toLocaleString("en"), { exact: true }).first().waitFor();
  });
});
