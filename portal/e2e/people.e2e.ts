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
  });
});
