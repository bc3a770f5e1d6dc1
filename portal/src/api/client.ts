import createClient, { type Middleware } from "openapi-fetch";
import { untilLoggedIn, untilUp } from "./connection";
import { Problem } from "./problem";
import type { paths } from "./schema";

/** The path of the portal, with a slash at its end. */
export const PORTAL_PATH = new URL(document.baseURI).pathname;
/** The path that the server's own paths are under, without a slash at its end. */
export const SERVER_PATH = PORTAL_PATH.replace(/\/portal\/$/, "");

/** The org this page is about: each request names it, so that a switch in another tab changes nothing here. */
let orgId: number | undefined;

export function actFor(org: number | undefined) {
  orgId = org;
}

/** Whether requests name an org. */
export function isActing(): boolean {
  return orgId !== undefined;
}

const MAX_RETRIES = 30;

/** Sends a request, and again: after the server was away, and after the session ended and somebody logged in again. */
async function persistentFetch(request: Request): Promise<Response> {
  for (let retries = 0; ; retries++) {
    let response: Response;
    try {
      response = await fetch(request.clone());
    } catch (error) {
      if (request.signal.aborted || retries >= MAX_RETRIES) throw error;
      await untilUp(`${SERVER_PATH}/readyz`);
      continue;
    }
    // 504 is no sign of a server that is away: one that answers took too long for this, and would again.
    const isAway = response.status === 502 || response.status === 503;
    if (isAway && retries < MAX_RETRIES && !request.url.endsWith("/api/health")) {
      await untilUp(`${SERVER_PATH}/readyz`);
      continue;
    }
    // Logging in is not repeated: a wrong password stays wrong.
    if (response.status === 401 && !request.headers.has("X-No-Login") && retries < MAX_RETRIES) {
      await untilLoggedIn();
      continue;
    }
    return response;
  }
}

const headers: Middleware = {
  onRequest({ request }) {
    if (orgId !== undefined) request.headers.set("X-Grafana-Org-Id", String(orgId));
    if (request.method !== "GET") {
      // A write whose answer was lost is sent again under the same key, and carried out once.
      request.headers.set("Idempotency-Key", randomKey());
    }
    return request;
  },
};

/** A key that no other request has. `crypto.randomUUID` is there only over HTTPS and on localhost. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const client = createClient<paths>({
  baseUrl: SERVER_PATH === "" ? window.location.origin : `${window.location.origin}${SERVER_PATH}`,
  fetch: persistentFetch,
});
client.use(headers);

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; what is no success is thrown with the server's own words. */
export async function of<T>(answer: Promise<Answered<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  throw problemOf(response, error);
}

function problemOf(response: Response, body: unknown): Problem {
  const said = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const text = typeof said.message === "string" && said.message !== "" ? said.message : response.statusText;
  const code = said.status ?? said.messageId;
  return new Problem(
    response.status,
    text || `The server answered ${response.status}.`,
    typeof code === "string" ? code : undefined,
    response.headers.get("X-Request-Id") ?? undefined,
  );
}
