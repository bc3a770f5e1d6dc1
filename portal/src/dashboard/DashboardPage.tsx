import { ActionIcon, Badge, Button, Menu, Skeleton, Tabs } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { whenUp } from "../api/chunk";
import { PickFolderDialog } from "../folder/PickFolderDialog";
import { TimeSlider } from "../shell/TimeSlider";
import { DotsIcon, StarIcon } from "../ui/icons";
import { LongText } from "../ui/LongText";
import { Card, Empty, Name, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { When } from "../ui/When";
import { dashboardQuery, deleteDashboard, setStarred } from "./actions";
import list from "./DashboardsPage.module.css";
import { type DashboardDocument, links, safeUrl, text, variables } from "./document";
import { HistoryTab } from "./HistoryTab";
import { LayoutPicture } from "./LayoutPicture";
import { panels } from "./layout";
import { moveDashboard } from "./moveDashboard";
import { restoreDeleted } from "./trash";

const JsonView = lazy(whenUp(() => import("./JsonView")));

export type DashboardTab = "layout" | "history" | "variables" | "json";

/** What the address bar says about the page of a dashboard. */
export interface DashboardSearch {
  tab?: DashboardTab;
  at?: string;
}

/** One dashboard: what it shows, what it needs, and how it came to be. */
export function DashboardPage() {
  const { uid } = useParams({ from: "/shell/dashboards/$uid" });
  const { tab = "layout", at } = useSearch({ from: "/shell/dashboards/$uid" });
  const navigate = useNavigate({ from: "/dashboards/$uid" });
  const queries = useQueryClient();
  const [isMoving, setMoving] = useState(false);
  const found = useQuery(dashboardQuery(uid, at));
  if (found.isError) {
    return (
      <Page title="Dashboard" actions={<TimeSlider />}>
        <ProblemBox error={found.error} onRetry={() => void found.refetch()} />
      </Page>
    );
  }
  const meta = found.data?.meta;
  const document = (found.data?.dashboard ?? {}) as DashboardDocument;
  const title = text(document.title);
  const canEdit = meta?.canSave === true && at === undefined;

  async function act(work: () => Promise<unknown>, done?: string) {
    try {
      await work();
      await queries.invalidateQueries();
      if (done !== undefined) tellDone(done);
    } catch (error) {
      tellProblem(error);
    }
  }

  async function remove() {
    await act(async () => {
      await deleteDashboard(uid);
      await navigate({ to: "/dashboards", search: { folder: meta?.folderUid || undefined } });
      tellDone(`“${title.slice(0, 80)}” moved to the trash`, () => void act(() => restoreDeleted(uid), "Restored"));
    });
  }

  return (
    <Page
      title={found.isPending ? "Dashboard" : title}
      description={
        meta === undefined ? (
          " "
        ) : (
          <nav aria-label="Where this dashboard is" className={list.crumbs}>
            <Link to="/dashboards" search={{ at }}>
              Dashboards
            </Link>
            {meta.folderUid !== "" && (
              <Link to="/dashboards" search={{ folder: meta.folderUid, at }}>
                <Name>{meta.folderTitle}</Name>
              </Link>
            )}
            <span>
              version {meta.version}, changed <When time={meta.updated} /> by <bdi>{meta.updatedBy.slice(0, 100)}</bdi>
            </span>
          </nav>
        )
      }
      actions={
        <>
          <TimeSlider />
          {at !== undefined && meta !== undefined && (
            <Button
              variant="default"
              onClick={() => void navigate({ to: "/dashboards/$uid/since", params: { uid }, search: { since: at } })}
            >
              Compare with now
            </Button>
          )}
          {at === undefined && meta !== undefined && (
            <ActionIcon
              size={36}
              variant="default"
              className={list.star}
              aria-pressed={meta.isStarred}
              aria-label={meta.isStarred ? "Remove the star" : "Star"}
              onClick={() => void act(() => setStarred(uid, !meta.isStarred))}
            >
              <StarIcon size={17} />
            </ActionIcon>
          )}
          {canEdit && (
            <Menu position="bottom-end" shadow="md">
              <Menu.Target>
                <ActionIcon size={36} variant="default" aria-label="What can be done with this dashboard">
                  <DotsIcon size={17} />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item onClick={() => setMoving(true)}>Move…</Menu.Item>
                <Menu.Item c="red" onClick={() => void remove()}>
                  Move to trash
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          )}
        </>
      }
    >
      <Tabs
        value={tab}
        onChange={(value) => void navigate({ search: (old) => ({ ...old, tab: value as DashboardTab }) })}
        keepMounted={false}
      >
        <Tabs.List className={list.tabs}>
          <Tabs.Tab value="layout">Layout</Tabs.Tab>
          {(meta?.canSave === true || at !== undefined) && <Tabs.Tab value="history">History</Tabs.Tab>}
          <Tabs.Tab value="variables">Variables and links</Tabs.Tab>
          <Tabs.Tab value="json">JSON</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="layout" pt="md">
          {found.isPending ? <Skeleton height={360} radius="md" /> : <LayoutTab document={document} />}
        </Tabs.Panel>
        <Tabs.Panel value="history" pt="md">
          <HistoryTab uid={uid} canEdit={canEdit} at={at} />
        </Tabs.Panel>
        <Tabs.Panel value="variables" pt="md">
          <VariablesTab document={document} />
        </Tabs.Panel>
        <Tabs.Panel value="json" pt="md">
          <Suspense fallback={<Skeleton height={360} radius="md" />}>
            {!found.isPending && <JsonView after={document} />}
          </Suspense>
        </Tabs.Panel>
      </Tabs>
      {isMoving && (
        <PickFolderDialog
          title="Move to"
          onClose={() => setMoving(false)}
          onPick={(folderUid) => {
            setMoving(false);
            if (found.data === undefined) return;
            void act(async () => {
              if (await moveDashboard(uid, found.data, folderUid)) tellDone("Moved");
            });
          }}
        />
      )}
    </Page>
  );
}

function LayoutTab({ document }: { document: DashboardDocument }) {
  const tags = Array.isArray(document.tags) ? document.tags.map(String) : [];
  const description = text(document.description);
  const count = panels(document).length;
  return (
    <div className={ui.stack}>
      {(description !== "" || tags.length > 0) && (
        <div className={ui.bar}>
          {description !== "" && (
            <p style={{ margin: 0, flex: "1 1 24rem", overflowWrap: "anywhere" }}>
              <LongText>{description}</LongText>
            </p>
          )}
          {tags.map((tag) => (
            <Badge key={tag} color="gray" variant="light" tt="none" fw={500} maw={240}>
              {tag}
            </Badge>
          ))}
        </div>
      )}
      <Card
        title={`${count} ${count === 1 ? "panel" : "panels"}`}
        aside={<span className={`${ui.dim} ${ui.wideOnly}`}>where they are on the dashboard</span>}
      >
        <LayoutPicture document={document} />
      </Card>
    </div>
  );
}

function VariablesTab({ document }: { document: DashboardDocument }) {
  const all = variables(document);
  const to = links(document);
  return (
    <div className={ui.stack}>
      <Card title="Variables" isFlush>
        {all.length === 0 ? (
          <Empty title="No variables">Its panels do not depend on variables.</Empty>
        ) : (
          <div className={ui.scroll}>
            <table
              className={ui.table}
              aria-label="Variables"
              style={{ tableLayout: "fixed", overflowWrap: "anywhere" }}
            >
              <thead>
                <tr>
                  <th scope="col" style={{ width: "35%" }}>
                    Name
                  </th>
                  <th scope="col" style={{ width: "20%" }}>
                    Type
                  </th>
                  <th scope="col">Query</th>
                </tr>
              </thead>
              <tbody>
                {all.map((variable, index) => (
                  // Two variables can have the same name in a document.
                  // biome-ignore lint/suspicious/noArrayIndexKey: the list is drawn anew with each document.
                  <tr key={index}>
                    <td>
                      <Name>{variable.label || variable.name}</Name>
                      <div className={ui.dim}>
                        <code>${variable.name.slice(0, 100)}</code>
                      </div>
                    </td>
                    <td>{variable.type}</td>
                    <td>
                      <code>{variable.query.slice(0, 500)}</code>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </Card>
      <Card title="Links">
        {to.length === 0 ? (
          <Empty title="No links">It has no links.</Empty>
        ) : (
          <ul style={{ margin: 0, paddingLeft: "1.25rem" }}>
            {to.map((link, index) => {
              const url = safeUrl(link.url);
              return (
                // biome-ignore lint/suspicious/noArrayIndexKey: the list is drawn anew with each document.
                <li key={index}>
                  {url === undefined ? (
                    <Name>{link.title}</Name>
                  ) : (
                    <a href={url} rel="noreferrer noopener" target="_blank">
                      <Name>{link.title}</Name>
                    </a>
                  )}{" "}
                  <span className={ui.dim}>{link.tags.join(", ").slice(0, 500)}</span>
                </li>
              );
            })}
          </ul>
        )}
      </Card>
    </div>
  );
}
