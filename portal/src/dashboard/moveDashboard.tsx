import { asProblem } from "../api/problem";
import { confirm } from "../ui/confirm";
import { readDashboard, type SavedDashboard, saveDashboard } from "./actions";
import { ChangeList } from "./ChangeList";
import type { DashboardDocument } from "./document";

/**
 * Moves a dashboard that somebody looks at into a folder, or to the top level. If somebody else saved it meanwhile, it shows
 * what they changed and asks. Answers with whether it was moved.
 */
export async function moveDashboard(
  uid: string,
  shown: SavedDashboard,
  folderUid: string | undefined,
): Promise<boolean> {
  const { dashboard } = shown;
  try {
    await saveDashboard({ dashboard, folderUid: folderUid ?? "", message: "Moved", overwrite: false });
    return true;
  } catch (error) {
    if (asProblem(error).status !== 412) throw error;
    const now = await readDashboard(uid);
    // It was refused for another reason than a newer version.
    if (now.meta.version === shown.meta.version) throw error;
    const isWanted = await confirm({
      title: "Somebody changed this dashboard meanwhile",
      body: (
        <>
          <p>
            <bdi>{now.meta.updatedBy}</bdi> saved version {now.meta.version}. You were looking at version{" "}
            {shown.meta.version}. Since then:
          </p>
          <ChangeList before={dashboard as DashboardDocument} after={now.dashboard as DashboardDocument} />
        </>
      ),
      action: "Move it as it is now",
      isDestructive: false,
    });
    return isWanted && moveDashboard(uid, now, folderUid);
  }
}
