import { Button, Group } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { PickFolderDialog } from "../folder/PickFolderDialog";
import { confirm } from "../ui/confirm";
import { type Column, DataTable } from "../ui/DataTable";
import { More } from "../ui/More";
import { Card, Empty, Name, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import { SearchBox } from "../ui/SearchBox";
import ui from "../ui/ui.module.css";
import type { Hit } from "./search";
import { isFolderGone, purgeDeleted, restoreDeleted, trashQuery } from "./trash";

/** What was deleted and can be had back. */
export function TrashPage() {
  const queries = useQueryClient();
  const [wanted, setWanted] = useState("");
  /** A dashboard whose folder is gone, so that somebody has to say where it goes. */
  const [homeless, setHomeless] = useState<Hit>();
  const trash = useInfiniteQuery({ ...trashQuery(wanted), placeholderData: keepPreviousData });
  const rows = useMemo(() => trash.data?.pages.flat(), [trash.data]);
  const act = useCallback(
    async (hit: Hit, work: () => Promise<unknown>, done: string) => {
      try {
        await work();
        tellDone(`“${hit.title.slice(0, 80)}” ${done}`);
      } catch (error) {
        if (isFolderGone(error)) setHomeless(hit);
        else tellProblem(error);
      }
      await queries.invalidateQueries();
    },
    [queries],
  );
  const columns = useMemo((): Column<Hit>[] => {
    async function purge(hit: Hit) {
      const isSure = await confirm({
        title: "Delete permanently?",
        body: (
          <>
            <bdi>“{hit.title.slice(0, 200)}”</bdi> leaves the trash and can no longer be restored. The audit log keeps
            what happened to it.
          </>
        ),
        action: "Delete permanently",
      });
      if (isSure) await act(hit, () => purgeDeleted(hit.uid), "deleted permanently");
    }
    return [
      { id: "title", header: "Title", cell: (hit) => <Name>{hit.title}</Name> },
      {
        id: "folder",
        header: "Was in",
        isWideOnly: true,
        cell: (hit) =>
          hit.folderTitle === undefined ? (
            // A search says the same of both.
            <span className={ui.dim}>the top level, or a deleted folder</span>
          ) : (
            <Name>{hit.folderTitle}</Name>
          ),
      },
      {
        id: "actions",
        header: <span className="visually-hidden">Actions</span>,
        isAtEnd: true,
        cell: (hit) => (
          <Group gap="xs" justify="flex-end" wrap="nowrap">
            <Button
              size="compact-sm"
              variant="light"
              onClick={() => void act(hit, () => restoreDeleted(hit.uid), "restored")}
            >
              Restore
            </Button>
            <Button size="compact-sm" variant="subtle" color="red" onClick={() => void purge(hit)}>
              Delete…
            </Button>
          </Group>
        ),
      },
    ];
  }, [act]);
  return (
    <Page title="Trash" description="Dashboards that were deleted. They keep their versions.">
      <SearchBox label="Search the trash" placeholder="Search the trash" text={wanted} turns={0} onSearch={setWanted} />
      {trash.isError ? (
        <ProblemBox error={trash.error} onRetry={() => void trash.refetch()} />
      ) : (
        <Card isFlush>
          <DataTable
            label="Deleted dashboards"
            columns={columns}
            rows={rows}
            rowId={(hit) => hit.uid}
            empty={
              <Empty title={wanted === "" ? "The trash is empty" : "Nothing in the trash matches"}>
                Dashboards that are deleted wait here until they are restored or deleted permanently.
              </Empty>
            }
          />
          <More of={trash} />
        </Card>
      )}
      {homeless !== undefined && (
        <PickFolderDialog
          title="Restore to"
          action="Restore here"
          hint={
            <>
              The folder that <bdi>“{homeless.title.slice(0, 80)}”</bdi> was in is gone. Choose where it goes.
            </>
          }
          onClose={() => setHomeless(undefined)}
          onPick={(folderUid = "") => {
            setHomeless(undefined);
            void act(homeless, () => restoreDeleted(homeless.uid, folderUid), "restored");
          }}
        />
      )}
    </Page>
  );
}
