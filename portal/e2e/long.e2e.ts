import type { Locator, Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { api, drop, open, withBrowser } from "./support";

withBrowser();

const LONG = "x".repeat(10_000);

interface Form {
  what: string;
  path: string;
  /** Opens the form, and answers with what it is in. */
  show: (page: Page) => Promise<Locator>;
  /** What is filled with the long text. */
  field: string;
  /** What else has to be filled. */
  others?: Record<string, string>;
  submit: string;
  refusal: string;
}

function dialogOf(button: string) {
  return async (page: Page) => {
    await page.getByRole("button", { name: button }).click();
    return page.getByRole("dialog");
  };
}

const FORMS: Form[] = [
  {
    what: "a folder",
    path: "/dashboards",
    show: dialogOf("New folder"),
    field: "Title",
    submit: "Create folder",
    refusal: "folder title or description is too long",
  },
  {
    what: "an organization",
    path: "/admin/orgs",
    show: dialogOf("New organization"),
    field: "Name",
    submit: "Create organization",
    refusal: "Organization name or address is too long",
  },
  {
    what: "a login",
    path: "/admin/users",
    show: dialogOf("New user"),
    field: "Login",
    others: { Password: "secret" },
    submit: "Create user",
    refusal: "login, email or name is too long",
  },
  {
    what: "a user",
    path: "/admin/users",
    show: dialogOf("New user"),
    field: "Name",
    others: { Login: "named-long", Password: "secret" },
    submit: "Create user",
    refusal: "login, email or name is too long",
  },
  {
    what: "a member",
    path: "/people",
    show: dialogOf("Add member"),
    field: "Login or e-mail",
    submit: "Add member",
    refusal: "User not found",
  },
  {
    what: "oneself",
    path: "/profile",
    show: async (page) => page.getByRole("main"),
    field: "Name",
    submit: "Save",
    refusal: "login, email or name is too long",
  },
];

describe("ten thousand characters", () => {
  for (const { what, path, show, field, others = {}, submit, refusal } of FORMS) {
    it(`are refused as the name of ${what}, and stay where they were typed`, async () => {
      const { page } = await open(path, { width: 375 });
      const form = await show(page);
      const box = form.getByRole("textbox", { name: field, exact: true });
      await box.fill(LONG);
      for (const [label, text] of Object.entries(others)) {
        await form.getByRole("textbox", { name: label, exact: true }).fill(text);
      }
      await form.getByRole("button", { name: submit, exact: true }).click();
      await form.getByRole("alert").getByText(refusal).waitFor();
      expect(await box.inputValue()).toBe(LONG);
      expect(await isScrollableSideways(form)).toBe(false);
    });
  }

  it("are refused as the title of a dashboard, whose file stays in the list", async () => {
    const { page } = await open("/dashboards");
    await page.getByRole("button", { name: "Import" }).waitFor();
    await drop(page, [{ name: "long.json", content: JSON.stringify({ title: LONG, panels: [] }) }]);
    const file = page.getByRole("dialog").getByRole("listitem").filter({ hasText: "long.json" });
    await file.getByText("Dashboard title cannot contain more than 5000 characters").waitFor();
  });

  it("are taken as a description, and shown to who changes the folder meanwhile", async () => {
    await api("POST", "/api/folders", { uid: "at-length", title: "At length" });
    const { page } = await open("/dashboards?folder=at-length", { width: 375 });
    await page.getByRole("button", { name: "Rename" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Description").fill("mine");
    await api("PUT", "/api/folders/at-length", { title: "At length", description: LONG, overwrite: true });
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByText("changed this folder meanwhile").waitFor();
    await dialog.getByRole("button", { name: "Take theirs" }).click();
    expect(await dialog.getByLabel("Description").inputValue()).toBe(LONG);
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.waitFor({ state: "detached" });
    const description = page.getByRole("navigation", { name: "Where this folder is" });
    await description.getByText(`${LONG.slice(0, 400)}…`, { exact: true }).waitFor();
    await description.getByRole("button", { name: "Show all" }).click();
    await description.getByText(LONG, { exact: true }).waitFor();
  });
});

async function isScrollableSideways(part: Locator): Promise<boolean> {
  return part.evaluate((element) => element.scrollWidth > element.clientWidth);
}
