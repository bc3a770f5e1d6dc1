import { countsIn } from "../folder/folder";
import { confirm } from "../ui/confirm";
import { isFolder } from "./actions";
import type { Hit } from "./search";

/** How much is in some folders; nothing if not all of them could be counted. */
async function countInside(folders: Hit[]): Promise<{ dashboards: number; folders: number } | undefined> {
  try {
    const counts = await Promise.all(folders.map((folder) => countsIn(folder.uid)));
    return {
      dashboards: counts.reduce((sum, count) => sum + count.dashboard, 0),
      folders: counts.reduce((sum, count) => sum + count.folder, 0),
    };
  } catch {
    return undefined;
  }
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** Asks, saying what will be gone. Dashboards alone go to the trash, so one of them needs no question. */
export async function askToDelete(list: Hit[]): Promise<boolean> {
  const folders = list.filter(isFolder);
  const dashboards = list.length - folders.length;
  if (folders.length === 0 && dashboards === 1) return true;
  const inside = folders.length === 0 ? undefined : await countInside(folders);
  return confirm({
    title: list.length > 1 ? `Delete ${list.length} items?` : "Delete this folder?",
    body: (
      <>
        {folders.length > 0 && (
          <>
            <p>
              {folders.length === 1 ? "The folder" : counted(folders.length, "folder")}{" "}
              {folders.slice(0, 3).map((folder) => (
                <bdi key={folder.uid}>“{folder.title.slice(0, 80)}” </bdi>
              ))}
              will be deleted with everything inside:{" "}
              {inside === undefined
                ? "how much that is could not be counted."
                : `${counted(inside.folders, "folder")} and ${counted(inside.dashboards, "dashboard")}.`}
            </p>
            <p>
              Folders do not go to the trash and cannot be brought back. The dashboards inside go to the trash, from
              where each can be restored into another folder.
            </p>
          </>
        )}
        {dashboards > 0 && (
          <p>
            {counted(dashboards, "dashboard")} {folders.length > 0 ? "beside them " : ""}
            {dashboards === 1 ? "goes" : "go"} to the trash, from where {dashboards === 1 ? "it" : "they"} can be
            restored.
          </p>
        )}
      </>
    ),
    action: "Delete",
  });
}
