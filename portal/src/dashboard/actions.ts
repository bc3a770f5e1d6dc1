import { queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import type { components } from "../api/schema";
import type { Hit } from "./search";

/** What is done to many things at once is done to so many at the same time. */
const AT_ONCE = 4;

/** Does something to each item; answers with what failed. */
export async function forEach<T>(
  items: T[],
  work: (item: T) => Promise<unknown>,
): Promise<{ item: T; error: unknown }[]> {
  const failed: { item: T; error: unknown }[] = [];
  const rest = [...items];
  const worker = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) {
      try {
        await work(item);
      } catch (error) {
        failed.push({ item, error });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failed;
}

export function isFolder(hit: Pick<Hit, "type">): boolean {
  return hit.type === "dash-folder";
}

/** A dashboard with what the server knows about it. */
export type SavedDashboard = Awaited<ReturnType<typeof readDashboard>>;

export function readDashboard(uid: string, at?: string) {
  return of(client.GET("/api/dashboards/uid/{uid}", { params: { path: { uid }, query: { at } } }));
}

/** A dashboard as it is, or as it was at a moment. */
export function dashboardQuery(uid: string, at: string | undefined) {
  return queryOptions({ queryKey: ["dashboard", uid, at], queryFn: () => readDashboard(uid, at) });
}

type SaveForm = components["schemas"]["SaveDashboardForm"];

export function saveDashboard(body: SaveForm) {
  return of(client.POST("/api/dashboards/db", { body }));
}

/** Moves a folder or a dashboard into a folder, or to the top level. */
export async function moveTo(hit: Hit, folderUid: string | undefined): Promise<void> {
  if (isFolder(hit)) {
    await of(
      client.POST("/api/folders/{folder_uid}/move", {
        params: { path: { folder_uid: hit.uid } },
        body: { parentUid: folderUid ?? "" },
      }),
    );
    return;
  }
  const { dashboard } = await readDashboard(hit.uid);
  await saveDashboard({ dashboard, folderUid: folderUid ?? "", message: "Moved", overwrite: false });
}

export function deleteDashboard(uid: string) {
  return of(client.DELETE("/api/dashboards/uid/{uid}", { params: { path: { uid } } }));
}

export async function deleteHit(hit: Hit): Promise<void> {
  if (isFolder(hit)) {
    await of(client.DELETE("/api/folders/{folder_uid}", { params: { path: { folder_uid: hit.uid } } }));
  } else {
    await deleteDashboard(hit.uid);
  }
}

export function setStarred(uid: string, isStarred: boolean) {
  const path = "/api/user/stars/dashboard/uid/{dashboard_uid}";
  const params = { path: { dashboard_uid: uid } };
  return of(isStarred ? client.POST(path, { params }) : client.DELETE(path, { params }));
}
