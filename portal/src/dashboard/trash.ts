import { infiniteQueryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import { asProblem } from "../api/problem";

/** Takes a dashboard out of the trash, to where it was or into a folder; an empty `folderUid` is the top level. */
export function restoreDeleted(uid: string, folderUid?: string) {
  return of(client.PATCH("/api/dashboards/uid/{uid}/trash", { params: { path: { uid } }, body: { folderUid } }));
}

/** Whether a dashboard could not be restored because the folder that it was in is gone. */
export function isFolderGone(error: unknown): boolean {
  const { status, message } = asProblem(error);
  return status === 400 && message === "folder not found";
}

/** Deletes a dashboard for ever. */
export function purgeDeleted(uid: string) {
  return of(client.DELETE("/api/dashboards/uid/{uid}/trash", { params: { path: { uid } } }));
}

const PAGE = 200;

/** The dashboards in the trash, a page at a time. */
export function trashQuery(query: string) {
  const parameters = { deleted: true, type: "dash-db" as const, query: query || undefined, limit: PAGE };
  return infiniteQueryOptions({
    queryKey: ["trash", query],
    queryFn: ({ pageParam, signal }) =>
      of(client.GET("/api/search", { params: { query: { ...parameters, page: pageParam } }, signal })),
    initialPageParam: 1,
    getNextPageParam: (last, all) => (last.length === PAGE ? all.length + 1 : undefined),
  });
}
