import { call } from "../api/upcoming";
import type { Hit } from "./search";

const PATH = "/api/dashboards/uid/{uid}/trash";

/** Takes a dashboard out of the trash, to where it was. */
export function restoreDeleted(uid: string): Promise<unknown> {
  return call("patch", PATH, { path: { uid }, body: {} });
}

/** Deletes a dashboard for ever. */
export function purgeDeleted(uid: string): Promise<unknown> {
  return call("delete", PATH, { path: { uid } });
}

/** The dashboards in the trash. */
export function listDeleted(query: string, signal?: AbortSignal): Promise<Hit[]> {
  return call("get", "/api/search", {
    query: { deleted: true, type: "dash-db", query: query || undefined, limit: 500 },
    signal,
  });
}
