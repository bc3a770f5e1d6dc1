import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import type { components } from "../api/schema";

export type Version = components["schemas"]["VersionBody"];

const PAGE = 10;

/** The versions of a dashboard, newest first, a few at a time. */
export function versionsQuery(uid: string) {
  return infiniteQueryOptions({
    queryKey: ["versions", uid],
    queryFn: ({ pageParam }) =>
      of(
        client.GET("/api/dashboards/uid/{uid}/versions", {
          params: { path: { uid }, query: { limit: PAGE, continueToken: pageParam } },
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.continueToken || undefined,
  });
}

/** One version with its document, which never changes. */
export function versionQuery(uid: string, version: number) {
  return queryOptions({
    queryKey: ["version", uid, version],
    queryFn: () =>
      of(
        client.GET("/api/dashboards/uid/{uid}/versions/{version}", {
          params: { path: { uid, version: String(version) as never } },
        }),
      ),
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  });
}

/** Makes an old version the newest. */
export function restoreVersion(uid: string, version: number) {
  return of(client.POST("/api/dashboards/uid/{uid}/restore", { params: { path: { uid } }, body: { version } }));
}
