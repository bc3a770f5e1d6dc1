import { client, of } from "../api/client";
import type { Hit } from "./search";

/** Takes a dashboard out of the trash, to where it was. */
export function restoreDeleted(uid: string) {
  return of(client.PATCH("/api/dashboards/uid/{uid}/trash", { params: { path: { uid } }, body: {} }));
}

/** Deletes a dashboard for ever. */
export function purgeDeleted(uid: string) {
  return of(client.DELETE("/api/dashboards/uid/{uid}/trash", { params: { path: { uid } } }));
}

/** The dashboards in the trash. */
export function listDeleted(query: string, signal?: AbortSignal): Promise<Hit[]> {
  const parameters = { deleted: true, type: "dash-db" as const, query: query || undefined, limit: 500 };
  return of(client.GET("/api/search", { params: { query: parameters }, signal }));
}
