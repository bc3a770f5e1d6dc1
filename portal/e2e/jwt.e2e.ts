import { expect, it } from "vitest";
import { JWT, open, withBrowser } from "./support";

withBrowser();

it("begins a session for a token in the address, and forgets the token", async () => {
  const server = new URL(JWT).origin;
  const { page, context } = await open("/login", { server, login: "" });
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.headers().referer ?? ""));
  await page.goto(JWT);
  await page.getByRole("heading", { name: "Dashboards" }).waitFor();
  expect(page.url()).toBe(`${server}/portal/dashboards?query=cpu`);
  expect(await page.evaluate(() => document.referrer)).not.toContain("auth_token");
  expect(asked.filter((referrer) => referrer.includes("auth_token"))).toEqual([]);
  const cookies = await context.cookies(server);
  expect(cookies.map(({ name, httpOnly }) => [name, httpOnly])).toEqual([["grafana_session", true]]);
  // The token is nowhere to go back to, and is not needed any more.
  await page.goBack();
  await page.goForward();
  await page.reload();
  await page.getByRole("heading", { name: "Dashboards" }).waitFor();
  await page.goto(`${server}/portal/profile`);
  await page.getByText("ann@example.org").first().waitFor();
  await page.goto(JWT.replace(/auth_token=[^&]*/, "auth_token=a.b.c"));
  await page.getByRole("heading", { name: "Dashboards" }).waitFor();
  await context.clearCookies();
  await page.goto(JWT.replace(/auth_token=[^&]*/, "auth_token=a.b.c"));
  await page.getByRole("heading", { name: "Log in to Kymograph" }).waitFor();
  expect(page.url()).not.toContain("auth_token");
});
