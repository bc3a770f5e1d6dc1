import { Button, Group, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { confirm } from "../ui/confirm";
import { DataTable } from "../ui/DataTable";
import { SearchIcon } from "../ui/icons";
import { Card, Empty, Name, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import type { Hit } from "./search";
import { listDeleted, purgeDeleted, restoreDeleted } from "./trash";

/** What was deleted and can be had back. */
export function TrashPage() {
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  const [wanted] = useDebouncedValue(typed.trim(), 80);
  const trash = useQuery({
    queryKey: ["trash", wanted],
    queryFn: ({ signal }) => listDeleted(wanted, signal),
    placeholderData: keepPreviousData,
  });
  const columns = useMemo(() => {
    async function act(hit: Hit, work: () => Promise<unknown>, done: string) {
      try {
        await work();
        tellDone(`“${hit.title.slice(0, 80)}” ${done}`);
      } catch (error) {
        tellProblem(error);
      }
      await queries.invalidateQueries();
    }
    async function purge(hit: Hit) {
      const isSure = await confirm({
        title: "Delete for ever?",
        body: (
          <>
            <bdi>“{hit.title.slice(0, 200)}”</bdi> leaves the trash and can no longer be restored. The audit log keeps
            what happened to it.
          </>
        ),
        action: "Delete for ever",
      });
      if (isSure) await act(hit, () => purgeDeleted(hit.uid), "deleted for ever");
    }
    return [
      { id: "title", header: "Title", cell: (hit: Hit) => <Name>{hit.title}</Name> },
      {
        id: "folder",
        header: "Was in",
        isWideOnly: true,
        cell: (hit: Hit) => <Name>{hit.folderTitle ?? "the top level"}</Name>,
      },
      {
        id: "actions",
        header: <span className="visually-hidden">Actions</span>,
        isAtEnd: true,
        cell: (hit: Hit) => (
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
  }, [queries]);
  return (
    <Page title="Trash" description="Dashboards that were deleted. They keep their versions.">
      <TextInput
        leftSection={<SearchIcon size={16} />}
        placeholder="Search the trash"
        aria-label="Search the trash"
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
      {trash.isError ? (
        <ProblemBox error={trash.error} onRetry={() => void trash.refetch()} />
      ) : (
        <Card isFlush>
          <DataTable
            label="Deleted dashboards"
            columns={columns}
            rows={trash.data}
            rowId={(hit) => hit.uid}
            empty={
              <Empty title={wanted === "" ? "The trash is empty" : "Nothing in the trash matches"}>
                Dashboards that are deleted wait here until they are restored or deleted for ever.
              </Empty>
            }
          />
        </Card>
      )}
    </Page>
  );
}
