import { queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import type { components } from "../api/schema";
import { type DashboardDocument, isObject } from "../dashboard/document";

/** What an entry of the log was done to. */
type Target = components["schemas"]["TargetBody"];

/** An entry with what it changed. The past stays what it is. */
export function entryQuery(id: number) {
  return queryOptions({
    queryKey: ["entry", id],
    queryFn: () => of(client.GET("/api/audit/events/{event_id}", { params: { path: { event_id: id } } })),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** Where the history of an object is, and whether it can be brought back after it was deleted. */
interface Place {
  path: string;
  parameter?: string;
  comesBack?: boolean;
}

const PLACES: Record<string, Place> = {
  dashboard: { path: "/api/dashboards/uid/{uid}", parameter: "uid", comesBack: true },
  folder: { path: "/api/folders/{folder_uid}", parameter: "folder_uid", comesBack: true },
  team: { path: "/api/teams/{team_id}", parameter: "team_id", comesBack: true },
  membership: { path: "/api/org/users/{user_id}", parameter: "user_id" },
  service_account: { path: "/api/serviceaccounts/{service_account_id}", parameter: "service_account_id" },
  user: { path: "/api/users/{user_id}", parameter: "user_id" },
  org: { path: "/api/org" },
};

/** Where the history of a target is; `undefined` for what has none that this user may change. */
export function placeOf(target: Target, myId: number): Place | undefined {
  if (target.type !== "preference") return PLACES[target.type];
  if (target.uid === "org") return { path: "/api/org/preferences" };
  return target.uid === `user-${myId}` ? { path: "/api/user/preferences" } : undefined;
}

/** All histories have the same operations, so the types of one are those of all. */
function history<End extends "" | "/diff" | "/restore">({ path, parameter }: Place, target: Target, end: End) {
  const names = parameter === undefined ? {} : { [parameter]: target.uid };
  return {
    path: `${path}/history${end}` as `/api/folders/{folder_uid}/history${End}`,
    names: names as { folder_uid: string },
  };
}

/** The newest version in the history of a target. */
export function newestQuery(place: Place, target: Target) {
  const { path, names } = history(place, target, "");
  return queryOptions({
    queryKey: ["history", target.type, target.uid, "newest"],
    queryFn: async () => {
      const { entries } = await of(client.GET(path, { params: { path: names, query: { limit: 1 } } }));
      return entries[0]?.version ?? 0;
    },
    staleTime: 0,
  });
}

/** Makes a target what it was at a version of its history. */
export function restore(place: Place, target: Target, version: number) {
  const { path, names } = history(place, target, "/restore");
  return of(client.POST(path, { params: { path: names }, body: { version } }));
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
