import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { launch } from "./browser";

/** The server that is driven. It is fresh: nothing is there but its first user, and a crowd in an org of its own. */
export const SERVER = process.env.KYMOGRAPH_TEST_URL ?? "http://localhost:3000";
/** Another one, which is fresh, too. It is under a sub-path and keeps quotas. */
export const HOSTED = process.env.KYMOGRAPH_HOSTED_URL ?? "http://localhost:3001/kymo";
/** A page of a third one, with the token of a user whom an identity provider knows in its address. */
export const JWT = process.env.KYMOGRAPH_JWT_URL ?? "http://localhost:3002/portal/dashboards?auth_token=";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let browser: Browser;
/** What the running test opened. */
let opened: Watched[] = [];

/** A refusal of the server is no fault of the page, but Chromium complains about each. */
const REFUSED = /the server responded with a status of 4\d\d/;

/** Has a browser for the tests of a file. No page may complain in any of them, and none stays open after its test. */
export function withBrowser() {
  beforeAll(async () => {
    browser = await launch();
  });
  afterEach(async () => {
    const complaints = opened.flatMap((watched) => watched.complaints).filter((text) => !REFUSED.test(text));
    const contexts = opened.map(({ context }) => context);
    opened = [];
    for (const context of contexts) await context.close();
    expect(complaints).toEqual([]);
  });
  afterAll(() => browser.close());
}

export interface Options {
  login?: string;
  password?: string;
  width?: number;
  scheme?: "light" | "dark";
  /** Where somebody is, else where the tests run. */
  timezone?: string;
  /** Where the server is reached, if not directly. */
  server?: string;
  /** Whether requests fail because the test wants them to, of which Chromium complains. */
  mayFail?: boolean;
}

/** A page whose complaints and requests are watched. */
export interface Watched {
  page: Page;
  context: BrowserContext;
  /** What the page wrote to the console as an error, and requests to anything but the server. */
  complaints: string[];
}

/** Opens a page of the portal as somebody. */
export async function open(path: string, options: Options = {}): Promise<Watched> {
  const { login = "admin", password = "admin", width = 1280, scheme = "light", timezone, server = SERVER } = options;
  const context = await browser.newContext({
    viewport: { width, height: 900 },
    colorScheme: scheme,
    timezoneId: timezone,
    acceptDownloads: true,
  });
  if (login !== "") {
    const answer = await context.request.post(`${server}/login`, { data: { user: login, password } });
    expect(answer.status(), await answer.text()).toBe(200);
  }
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on("console", (message) => {
    const isExpected = options.mayFail === true && /net::ERR_|with a status of 5\d\d/.test(message.text());
    if (message.type() === "error" && !isExpected) complaints.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error.message}`));
  page.on("request", (request) => {
    if (/^https?:/.test(request.url()) && !request.url().startsWith(`${server}/`)) {
      complaints.push(`request to ${request.url()}`);
    }
  });
  const watched = { page, context, complaints };
  opened.push(watched);
  await page.goto(`${server}/portal${path}`);
  return watched;
}

/** Calls the API as somebody. */
export async function api(
  method: string,
  path: string,
  body?: unknown,
  auth = "admin:admin",
  server = SERVER,
): Promise<unknown> {
  const response = await fetch(`${server}${path}`, {
    method,
    headers: { Authorization: `Basic ${Buffer.from(auth).toString("base64")}`, "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text) as unknown;
}

const REAL = new URL("../../tests/data/dashboards/", import.meta.url);

/** The names of the real dashboards of the repository. */
export function realDashboards(): string[] {
  return readdirSync(REAL)
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length));
}

/** One of them. */
export function realDashboard(name: string): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(`${name}.json`, REAL), "utf8")) as Record<string, unknown>;
}

/** Saves a dashboard and answers with its uid. */
export async function saveDashboard(dashboard: object, message = "", folderUid = ""): Promise<string> {
  const body = { dashboard: { ...dashboard, id: null }, message, folderUid, overwrite: true };
  return ((await api("POST", "/api/dashboards/db", body)) as { uid: string }).uid;
}

/** What axe finds serious or critical on a page. */
export async function violations({ page, context }: Watched): Promise<string[]> {
  // The policy of the page forbids it to run text as a script; the debugger may.
  const debug = await context.newCDPSession(page);
  await debug.send("Runtime.evaluate", { expression: AXE });
  const found = await page.evaluate(async () => {
    const { axe } = window as unknown as { axe: { run: () => Promise<{ violations: Violation[] }> } };
    return (await axe.run()).violations;
  });
  await debug.detach();
  return found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
}

interface Violation {
  id: string;
  impact: string;
  nodes: { target: string[] }[];
}

/** Drops files on a page. */
export async function drop(page: Page, files: { name: string; content: string }[]) {
  const transfer = await page.evaluateHandle((list) => {
    const data = new DataTransfer();
    for (const { name, content } of list) data.items.add(new File([content], name, { type: "application/json" }));
    return data;
  }, files);
  await page.dispatchEvent("body", "dragenter", { dataTransfer: transfer });
  await page.dispatchEvent("body", "drop", { dataTransfer: transfer });
}

/** Something before the server that can be away, as a server is that restarts. */
export class Door {
  private readonly sockets = new Set<Socket>();
  private server: Server | undefined;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Lets requests through, at the same address each time. */
  async open() {
    const { hostname, port } = new URL(SERVER);
    this.server = createServer((client) => {
      const upstream = connect(Number(port), hostname);
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.sockets.add(socket);
        socket.pipe(other);
        socket.on("error", () => other.destroy());
        socket.on("close", () => {
          this.sockets.delete(socket);
          other.destroy();
        });
      }
    });
    await new Promise<void>((resolve) => this.server?.listen(this.port, "127.0.0.1", resolve));
    this.port = (this.server.address() as { port: number }).port;
  }

  /** Breaks all connections and refuses new ones. */
  async close() {
    const closed = new Promise((resolve) => this.server?.close(resolve));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
