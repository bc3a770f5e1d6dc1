import { asProblem } from "../api/problem";
import { readDashboard, saveDashboard } from "./actions";
import { type DashboardDocument, text } from "./document";
import { dashboardIn } from "./file";

/** What became of one file. */
export type ImportState =
  | { kind: "waiting" }
  | { kind: "saving" }
  | { kind: "done"; uid: string; title: string; version: number }
  | { kind: "taken"; message: string; dashboard: DashboardDocument; there: DashboardDocument | undefined }
  | { kind: "failed"; message: string };

const MAX_BYTES = 64 * 1024 * 1024;

export type Choice = "new" | "replace" | "copy";

/** Saves what is in a file. */
export async function importFile(file: File, folderUid: string | undefined): Promise<ImportState> {
  if (file.size > MAX_BYTES) return { kind: "failed", message: "This file is too large to be a dashboard." };
  let dashboard: DashboardDocument;
  try {
    dashboard = dashboardIn(await file.text());
  } catch (error) {
    return { kind: "failed", message: asProblem(error).message };
  }
  return importDashboard(dashboard, folderUid, file.name, "new");
}

/** Saves a dashboard: as new, in place of the one that is there, or as a copy beside it. */
export async function importDashboard(
  dashboard: DashboardDocument,
  folderUid: string | undefined,
  fileName: string,
  choice: Choice,
): Promise<ImportState> {
  const { version: _, ...rest } = dashboard;
  const title = text(rest.title);
  const wanted =
    choice === "copy" ? { ...rest, id: null, uid: null, title: `${title} (copy)` } : { ...rest, id: null, title };
  try {
    const saved = await saveDashboard({
      dashboard: wanted,
      folderUid: folderUid ?? "",
      message: `Imported from ${fileName.slice(0, 200)}`,
      overwrite: choice === "replace",
    });
    return { kind: "done", uid: saved.uid, title: saved.title, version: saved.version };
  } catch (error) {
    const problem = asProblem(error);
    if (problem.status === 412 && choice === "new") {
      const there = await readThere(text(rest.uid));
      return { kind: "taken", message: problem.message, dashboard, there };
    }
    return { kind: "failed", message: problem.message };
  }
}

/** The dashboard that is there already, if it is known which one that is. */
async function readThere(uid: string): Promise<DashboardDocument | undefined> {
  if (uid === "") return undefined;
  try {
    return (await readDashboard(uid)).dashboard as DashboardDocument;
  } catch {
    return undefined;
  }
}
