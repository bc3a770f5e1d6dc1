import { useSyncExternalStore } from "react";

/** How the portal stands with its server. */
export interface Connection {
  /** Whether the server answers. */
  isUp: boolean;
  /** Whether the session ended and somebody has to log in again before anything goes on. */
  isLoginNeeded: boolean;
}

let state: Connection = { isUp: true, isLoginNeeded: false };
const listeners = new Set<() => void>();
const waiting: Record<"up" | "login", (() => void)[]> = { up: [], login: [] };

function set(change: Partial<Connection>) {
  state = { ...state, ...change };
  for (const listener of listeners) listener();
}

function release(what: "up" | "login") {
  for (const go of waiting[what].splice(0)) go();
}

/** The state of the connection, for a component. */
export function useConnection(): Connection {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => state,
  );
}

const RETRY_MS = 1000;

/** Resolves as soon as the server answers again. The first caller starts asking. */
export function untilUp(readyUrl: string): Promise<void> {
  const first = state.isUp;
  if (first) set({ isUp: false });
  const promise = new Promise<void>((resolve) => waiting.up.push(resolve));
  if (first) void ask(readyUrl);
  return promise;
}

async function ask(readyUrl: string) {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    try {
      if ((await fetch(readyUrl, { cache: "no-store" })).ok) break;
    } catch {
      // Still down.
    }
  }
  set({ isUp: true });
  release("up");
}

/** Resolves once somebody logged in again. */
export function untilLoggedIn(): Promise<void> {
  if (!state.isLoginNeeded) set({ isLoginNeeded: true });
  return new Promise((resolve) => waiting.login.push(resolve));
}

/** Says that there is a session again: what waited for it goes on. */
export function loggedIn() {
  set({ isLoginNeeded: false });
  release("login");
}
