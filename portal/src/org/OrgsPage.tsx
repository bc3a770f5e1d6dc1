import { Button, Group, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { client, of } from "../api/client";
import type { components } from "../api/schema";
import { askIfChanged } from "../ui/askIfChanged";
import { confirm } from "../ui/confirm";
import { type Column, DataTable } from "../ui/DataTable";
import { FormDialog } from "../ui/FormDialog";
import { PlusIcon, SearchIcon } from "../ui/icons";
import { More } from "../ui/More";
import { Card, Empty, Name, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import { QuotaDialog } from "./QuotaDialog";

type Org = components["schemas"]["OrgBody"];

type Dialog = { kind: "create" } | { kind: "rename" | "quotas"; org: Org };

const PAGE = 200;

/** All orgs of the server. */
export function OrgsPage() {
  const queries = useQueryClient();
  const [typed, setTyped] = useState("");
  const [wanted] = useDebouncedValue(typed.trim(), 100);
  const [dialog, setDialog] = useState<Dialog>();
  const orgs = useInfiniteQuery({
    queryKey: ["orgs", wanted],
    queryFn: ({ pageParam, signal }) => {
      const parameters = { query: wanted || undefined, page: pageParam, perpage: PAGE };
      return of(client.GET("/api/orgs", { params: { query: parameters }, signal }));
    },
    // This list, unlike others, counts its pages from zero.
    initialPageParam: 0,
    getNextPageParam: (last, all) => (last.length === PAGE ? all.length : undefined),
    placeholderData: keepPreviousData,
  });
  const rows = useMemo(() => orgs.data?.pages.flat(), [orgs.data]);
  const columns = useMemo((): Column<Org>[] => {
    async function remove(org: Org) {
      const isSure = await confirm({
        title: "Delete this organization?",
        body: (
          <>
            All folders, dashboards, teams and service accounts of <bdi>{org.name}</bdi> will be gone, and its members
            lose access. This cannot be undone. Its audit log is kept.
          </>
        ),
        action: "Delete organization",
        typed: org.name,
      });
      if (!isSure) return;
      try {
        await of(client.DELETE("/api/orgs/{org_id}", { params: { path: { org_id: org.id } } }));
        tellDone(`${org.name.slice(0, 60)} deleted`);
      } catch (error) {
        tellProblem(error);
      }
      await queries.invalidateQueries();
    }
    return [
      { id: "id", header: "Id", isWideOnly: true, cell: (org) => org.id },
      { id: "name", header: "Name", cell: (org) => <Name>{org.name}</Name> },
      {
        id: "actions",
        header: <span className="visually-hidden">Actions</span>,
        isAtEnd: true,
        cell: (org) => (
          <Group gap={4} justify="flex-end">
            <Button size="compact-sm" variant="subtle" onClick={() => setDialog({ kind: "rename", org })}>
              Rename
            </Button>
            <Button size="compact-sm" variant="subtle" onClick={() => setDialog({ kind: "quotas", org })}>
              Quotas
            </Button>
            <Button size="compact-sm" variant="subtle" color="red" onClick={() => void remove(org)}>
              Delete…
            </Button>
          </Group>
        ),
      },
    ];
  }, [queries]);
  const close = () => setDialog(undefined);
  return (
    <Page
      title="Organizations"
      description="Tenants of this server. They see nothing of each other."
      actions={
        <Button leftSection={<PlusIcon size={15} />} onClick={() => setDialog({ kind: "create" })}>
          New organization
        </Button>
      }
    >
      <TextInput
        leftSection={<SearchIcon size={16} />}
        placeholder="Search by name"
        aria-label="Search organizations"
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
      {orgs.isError ? (
        <ProblemBox error={orgs.error} onRetry={() => void orgs.refetch()} />
      ) : (
        <Card isFlush>
          <DataTable
            label="Organizations"
            columns={columns}
            rows={rows}
            rowId={(org) => String(org.id)}
            empty={<Empty title="No organization is called like this">Search by another part of the name.</Empty>}
          />
          <More of={orgs} />
        </Card>
      )}
      {dialog?.kind === "create" && <OrgDialog onClose={close} onDone={() => void queries.invalidateQueries()} />}
      {dialog?.kind === "rename" && (
        <OrgDialog org={dialog.org} onClose={close} onDone={() => void queries.invalidateQueries()} />
      )}
      {dialog?.kind === "quotas" && <QuotaDialog org={dialog.org} onClose={close} />}
    </Page>
  );
}

/** Answers with whether the org was renamed, and not left as somebody else named it meanwhile. */
async function rename(org: Org, name: string): Promise<boolean> {
  const params = { path: { org_id: org.id } };
  const now = await of(client.GET("/api/orgs/{org_id}", { params }));
  if (!(await askIfChanged([{ what: "Name", shown: org.name, now: now.name }]))) return false;
  await of(client.PUT("/api/orgs/{org_id}", { params, body: { name } }));
  return true;
}

function OrgDialog({ org, onClose, onDone }: { org?: Org; onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState(org?.name ?? "");
  async function save() {
    if (org === undefined) {
      await of(client.POST("/api/orgs", { body: { name } }));
      tellDone(`${name.slice(0, 60)} created`);
    } else if (await rename(org, name)) tellDone("Renamed");
    onDone();
    onClose();
  }
  return (
    <FormDialog
      title={org === undefined ? "New organization" : "Rename organization"}
      action={org === undefined ? "Create organization" : "Rename"}
      onClose={onClose}
      onSubmit={save}
    >
      <TextInput
        label="Name"
        required
        withAsterisk={false}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
    </FormDialog>
  );
}
