import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { api, Door, open, SERVER, saveDashboard, violations, withBrowser } from "./support";

withBrowser();

async function newUser(login: string, role: string): Promise<number> {
  const body = { login, password: "secret", orgId: 1 };
  const { id } = (await api("POST", "/api/admin/users", body)) as { id: number };
  await api("PATCH", `/api/org/users/${id}`, { role });
  return id;
}

async function widthOfTree(page: Page): Promise<number> {
  return (await page.getByRole("tree", { name: "Folders" }).boundingBox())?.width ?? 0;
}

describe("sessions", () => {
  beforeAll(async () => {
    await newUser("sally", "Viewer");
    await newUser("locked", "Viewer");
    await newUser("pat", "Editor");
  });

  it("begin with a log-in that explains a lock-out", async () => {
    const { page } = await open("/dashboards?query=x", { login: "" });
    await page.getByRole("heading", { name: "Log in to Kymograph" }).waitFor();
    const attempt = async (password: string) => {
      await page.getByLabel("Login or e-mail").fill("locked");
      await page.getByRole("textbox", { name: "Password" }).fill(password);
      await page.getByRole("button", { name: "Log in" }).click();
    };
    await attempt("wrong");
    await page.getByText("Invalid username or password").waitFor();
    for (let tries = 1; tries < 6; tries++) {
      await fetch(`${SERVER}/login`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ user: "locked", password: "wrong" }),
      });
    }
    await attempt("secret");
    await page.getByText("locked for five minutes").waitFor();
  });

  it("lead to where somebody wanted to go", async () => {
    const { page } = await open("/profile", { login: "" });
    await page.getByLabel("Login or e-mail").fill("pat");
    await page.getByRole("textbox", { name: "Password" }).fill("secret");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Profile" }).waitFor();
    await page.getByText("this session").waitFor();
  });

  it("lead to a page with all that its address says", async () => {
    const { page } = await open("/dashboards?starred=true", { login: "" });
    await page.getByLabel("Login or e-mail").fill("pat");
    await page.getByRole("textbox", { name: "Password" }).fill("secret");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Dashboards" }).waitFor();
    expect(await page.getByRole("switch", { name: "Starred" }).isChecked()).toBe(true);
  });

  it("can be ended, all others at once", async () => {
    const other = await open("/", { login: "pat", password: "secret" });
    const { page } = await open("/profile", { login: "pat", password: "secret" });
    await page.getByRole("button", { name: "End all others…" }).click();
    await page.getByRole("button", { name: "End all others", exact: true }).click();
    await page.getByText(/session(s)? ended/i).waitFor();
    await other.page.reload();
    await other.page.getByRole("heading", { name: "Log in to Kymograph" }).waitFor();
  });

  it("that end while a form is open lose nothing that was typed", async () => {
    const { page, context } = await open("/dashboards", { login: "pat", password: "secret" });
    await page.getByRole("button", { name: "New folder" }).click();
    await page.getByRole("dialog").getByLabel("Title").fill("Typed before the end");
    await context.clearCookies();
    await page.getByRole("button", { name: "Create folder" }).click();
    const dialog = page.getByRole("dialog", { name: "Your session has ended" });
    await dialog.waitFor();
    expect(await dialog.getByLabel("Login or e-mail").inputValue()).toBe("pat");
    await dialog.getByRole("textbox", { name: "Password" }).fill("secret");
    await dialog.getByRole("button", { name: "Log in" }).click();
    // The request that waited is carried out: the folder is there, without another click.
    await page.getByRole("link", { name: "Typed before the end" }).waitFor();
  });

  it("change the password", async () => {
    const { page } = await open("/profile", { login: "sally", password: "secret" });
    await page.getByRole("textbox", { name: "Old password" }).fill("secret");
    await page.getByRole("textbox", { name: "New password", exact: true }).fill("better");
    await page.getByRole("textbox", { name: "New password again" }).fill("bettr");
    await page.getByText("The passwords differ").waitFor();
    await page.getByRole("textbox", { name: "New password again" }).fill("better");
    await page.getByRole("button", { name: "Change password" }).click();
    await page.getByText("Password changed", { exact: true }).waitFor();
    await open("/", { login: "sally", password: "better" });
  });

  it("in two places change one profile only after a question", async () => {
    const id = await newUser("double", "Viewer");
    const { page } = await open("/profile", { login: "double", password: "secret" });
    const name = page.getByRole("textbox", { name: "Name" });
    await name.fill("Typed here");
    await api("PUT", `/api/users/${id}`, { login: "double", name: "Typed there", email: "double@example.org" });
    const save = page.getByRole("button", { name: "Save", exact: true });
    await save.click();
    const question = page.getByRole("dialog", { name: "Somebody changed this meanwhile" });
    await question.getByText("Name: was empty, is now “Typed there”").waitFor();
    await question.getByText("E-mail: was “double”, is now “double@example.org”").waitFor();
    await question.getByRole("button", { name: "Cancel" }).click();
    await question.waitFor({ state: "detached" });
    expect(await name.inputValue()).toBe("Typed here");
    expect(await api("GET", `/api/users/${id}`)).toMatchObject({ name: "Typed there" });
    await save.click();
    await question.getByRole("button", { name: "Save mine all the same" }).click();
    await page.getByText("Profile saved").waitFor();
    expect(await api("GET", `/api/users/${id}`)).toMatchObject({ name: "Typed here" });
  });

  it("of a Viewer show no admin page, and the server refuses the calls, too", async () => {
    const id = await newUser("vera", "Viewer");
    const { page, context } = await open("/people", { login: "vera", password: "secret" });
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    const nav = page.getByRole("navigation", { name: "Pages" });
    expect(await nav.getByRole("link").allInnerTexts()).toEqual(["Overview", "Dashboards"]);
    for (const path of ["people", "audit", "admin/orgs", "admin/users", "admin/stats", "trash"]) {
      await page.goto(`${SERVER}/portal/${path}`);
      await page.getByRole("heading", { name: "Overview" }).waitFor();
    }
    const refused = [
      ["GET", "/api/org/users/search"],
      ["GET", "/api/orgs"],
      ["GET", "/api/users/search"],
      ["GET", "/api/admin/stats"],
      ["GET", "/api/admin/settings"],
      ["GET", "/api/audit/events"],
      ["GET", "/api/audit/events/export?format=csv"],
      ["GET", "/api/audit/activity"],
      ["GET", "/api/orgs/1/quotas"],
      ["POST", "/api/admin/users", { login: "sneaky", password: "secret" }],
      ["POST", "/api/orgs", { name: "Sneaky" }],
      ["POST", "/api/org/users", { loginOrEmail: "pat", role: "Admin" }],
      ["PATCH", `/api/org/users/${id}`, { role: "Admin" }],
      ["PUT", "/api/orgs/1/quotas/dashboard", { limit: 1 }],
      ["POST", "/api/folders", { title: "Sneaky" }],
      ["POST", "/api/dashboards/db", { dashboard: { title: "Sneaky" } }],
      ["DELETE", "/api/orgs/1"],
    ] as const;
    for (const [method, path, data] of refused) {
      const answer = await context.request.fetch(`${SERVER}${path}`, { method, data });
      expect(answer.status(), `${method} ${path}`).toBe(403);
    }
  });

  it("of a member of no organization say so, and go on once there is one", async () => {
    const id = await newUser("nomad", "Viewer");
    const { page } = await open("/dashboards", { login: "nomad", password: "secret" });
    await page.getByRole("heading", { name: "Dashboards" }).waitFor();
    await api("DELETE", `/api/org/users/${id}`);
    // The page finds out with its next request, and does not ask who is still logged in to log in.
    await page.getByRole("textbox", { name: "Search folders and dashboards" }).fill("anything");
    await page.getByText("You are a member of no organization").waitFor();
    expect(await page.getByRole("dialog").count()).toBe(0);
    const nav = page.getByRole("navigation", { name: "Pages" });
    expect(await nav.getByRole("link").allInnerTexts()).toEqual(["Overview"]);
    await page.goto(`${SERVER}/portal/profile`);
    await page.getByText("this session").waitFor();

    const fresh = await open("/", { login: "" });
    await fresh.page.getByLabel("Login or e-mail").fill("nomad");
    await fresh.page.getByRole("textbox", { name: "Password" }).fill("secret");
    await fresh.page.getByRole("button", { name: "Log in" }).click();
    await fresh.page.getByText("You are a member of no organization").waitFor();
    expect(await violations(fresh)).toEqual([]);
    await api("POST", "/api/org/users", { loginOrEmail: "nomad", role: "Viewer" });
    await fresh.page.getByRole("button", { name: "Look again" }).click();
    await fresh.page.getByText("Your starred dashboards").waitFor();
  });

  it("end when somebody logs out", async () => {
    await newUser("leaver", "Viewer");
    const { page } = await open("/", { login: "leaver", password: "secret" });
    await page.getByTitle("Account and theme").click();
    await page.getByRole("menuitem", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in to Kymograph" }).waitFor();
    await page.goto(`${SERVER}/portal/dashboards`);
    await page.getByRole("heading", { name: "Log in to Kymograph" }).waitFor();
  });

  it("can be ended one by one", async () => {
    await newUser("twice", "Viewer");
    const other = await open("/", { login: "twice", password: "secret" });
    const { page } = await open("/profile", { login: "twice", password: "secret" });
    await page.getByRole("button", { name: "End", exact: true }).click();
    await page.getByText("Session ended", { exact: true }).waitFor();
    await page.getByText("this session").waitFor();
    await other.page.reload();
    await other.page.getByRole("heading", { name: "Log in to Kymograph" }).waitFor();
  });

  it("keep the theme that was chosen", async () => {
    const { page } = await open("/");
    const theme = () => page.locator("html").getAttribute("data-mantine-color-scheme");
    expect(await theme()).toBe("light");
    await page.getByTitle("Account and theme").click();
    await page.getByRole("menuitem", { name: "Dark theme" }).click();
    await expect.poll(theme).toBe("dark");
    await page.reload();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    expect(await theme()).toBe("dark");
  });

  it("switch to another organization, in which nothing of the first shows", async () => {
    const id = await newUser("traveller", "Viewer");
    const { orgId } = (await api("POST", "/api/orgs", { name: "Second home" })) as { orgId: number };
    await api("POST", `/api/orgs/${orgId}/users`, { loginOrEmail: "traveller", role: "Editor" });
    await saveDashboard({ uid: "first-home", title: "Of the first home", panels: [] });
    const { page } = await open("/dashboards?query=home", { login: "traveller", password: "secret" });
    await page.getByRole("link", { name: "Of the first home" }).waitFor();
    await page.getByTitle("Switch organization").click();
    await page.getByRole("menuitem", { name: /Second home/ }).click();
    await page.getByTitle("Switch organization").getByText("Second home").waitFor();
    await page.getByRole("link", { name: "Dashboards" }).first().click();
    await page.getByText("No dashboards here yet").waitFor();
    await api("DELETE", `/api/orgs/${orgId}/users/${id}`);
  });

  it("survive a server that restarts, with what was typed, on every page", async () => {
    const door = new Door();
    await door.open();
    const away = { server: door.url, mayFail: true };
    const form = await open("/dashboards", away);
    await form.page.getByRole("button", { name: "New folder" }).click();
    await form.page.getByRole("dialog").getByLabel("Title").fill("Saved after the restart");
    const login = await open("/login", { ...away, login: "" });
    await login.page.getByLabel("Login or e-mail").fill("pat");
    await login.page.getByRole("textbox", { name: "Password" }).fill("secret");
    // This one has yet to load what the page of dashboards is made of.
    const link = await open("/profile", away);
    await link.page.getByText("this session").waitFor();

    await door.close();
    await form.page.getByRole("button", { name: "Create folder" }).click();
    await link.page.getByRole("link", { name: "Dashboards" }).click();
    await login.page.getByRole("button", { name: "Log in" }).click();
    for (const { page } of [form, link, login]) await page.getByText("The server does not answer").waitFor();
    // By now the palette and the dialogs are wanted, too, which are loaded ahead and share style sheets with the page.
    await link.page.waitForTimeout(1500);

    await door.open();
    await form.page.getByRole("link", { name: "Saved after the restart" }).waitFor();
    await link.page.getByRole("heading", { name: "Dashboards" }).waitFor();
    expect(await widthOfTree(link.page), "the style sheets are there").toBeLessThan(300);
    await login.page.getByRole("heading", { name: "Overview" }).waitFor();
    for (const { page } of [form, link, login]) {
      await expect.poll(() => page.getByText("The server does not answer").count()).toBe(0);
    }
    await form.context.close();
    await link.context.close();
    await login.context.close();
    await door.close();
  });
});
