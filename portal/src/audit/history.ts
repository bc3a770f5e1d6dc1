import { queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import { type DashboardDocument, isObject } from "../dashboard/document";

/** An entry with what it changed. The past stays what it is. */
export function entryQuery(id: number) {
  return queryOptions({
    queryKey: ["entry", id],
    queryFn: () => of(client.GET("/api/audit/events/{event_id}", { params: { path: { event_id: id } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** What a dashboard was at a version of its history: what is different from nothing is all of it. */
export function documentQuery(uid: string, version: number) {
  return queryOptions({
    queryKey: ["history", "dashboard", uid, "document", version],
    queryFn: async (): Promise<DashboardDocument> => {
      const params = { path: { uid }, query: { from: 0, to: version } };
      const { changes } = await of(client.GET("/api/dashboards/uid/{uid}/history/diff", { params }));
      const all = changes[0]?.after;
      return isObject(all) && isObject(all.dashboard) ? all.dashboard : {};
    },
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  });
}
