import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import type { components } from "../api/schema";

export type FolderHit = components["schemas"]["FolderHitBody"];
export type Folder = components["schemas"]["FolderBody"];

const PAGE = 500;

/** The folders in a folder, or at the root, a page at a time. */
export function childFoldersQuery(parentUid: string | undefined, at: string | undefined) {
  return infiniteQueryOptions({
    queryKey: ["folders", parentUid ?? null, at],
    queryFn: ({ pageParam }) =>
      of(client.GET("/api/folders", { params: { query: { parentUid, page: pageParam, limit: PAGE, at } } })),
    initialPageParam: 1,
    getNextPageParam: (last, all) => (last.length === PAGE ? all.length + 1 : undefined),
  });
}

export function readFolder(uid: string, at?: string): Promise<Folder> {
  return of(client.GET("/api/folders/{folder_uid}", { params: { path: { folder_uid: uid }, query: { at } } }));
}

/** A folder with the folders it is in. */
export function folderQuery(uid: string, at: string | undefined) {
  return queryOptions({ queryKey: ["folder", uid, at], queryFn: () => readFolder(uid, at) });
}

/** How much a folder holds, at any depth. */
export function countsIn(uid: string) {
  return of(client.GET("/api/folders/{folder_uid}/counts", { params: { path: { folder_uid: uid } } }));
}
