import { Button, SegmentedControl, Skeleton } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useMemo } from "react";
import { useMe } from "../session/session";
import { confirm } from "../ui/confirm";
import { Card, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { exact } from "../ui/When";
import css from "./ComparePage.module.css";
import { type DashboardDocument, text } from "./document";
import { LayoutPicture } from "./LayoutPicture";
import { restoreVersion, type Version, versionQuery } from "./version";
import { compare, inWords } from "./words";

const JsonView = lazy(() => import("./JsonView"));

/** What the address bar says about a comparison. */
export interface CompareSearch {
  from: number;
  to: number;
  as?: "panels" | "json";
}

/** Two versions of a dashboard side by side. */
export function ComparePage() {
  const { uid } = useParams({ from: "/shell/dashboards/$uid/compare" });
  const { from, to, as = "panels" } = useSearch({ from: "/shell/dashboards/$uid/compare" });
  const navigate = useNavigate({ from: "/dashboards/$uid/compare" });
  const queries = useQueryClient();
  const me = useMe();
  const before = useQuery(versionQuery(uid, from));
  const after = useQuery(versionQuery(uid, to));
  const documents = useMemo(
    () =>
      before.data === undefined || after.data === undefined
        ? undefined
        : { before: before.data.data as DashboardDocument, after: after.data.data as DashboardDocument },
    [before.data, after.data],
  );
  const difference = useMemo(() => documents && compare(documents.before, documents.after), [documents]);
  const words = difference === undefined ? [] : inWords(difference);
  const error = before.error ?? after.error;

  async function undo() {
    const isSure = await confirm({
      title: `Go back to version ${from}?`,
      body: `A new version will be made that is like version ${from}. Version ${to} and all others stay in the history.`,
      action: `Restore version ${from}`,
      isDestructive: false,
    });
    if (!isSure) return;
    try {
      const saved = await restoreVersion(uid, from);
      await queries.invalidateQueries();
      tellDone(`Version ${saved.version} is like version ${from}`);
      await navigate({ to: "/dashboards/$uid", params: { uid }, search: { tab: "history" } });
    } catch (failure) {
      tellProblem(failure);
    }
  }

  return (
    <Page
      title={`Version ${from} and version ${to}`}
      description={
        <Link to="/dashboards/$uid" params={{ uid }} search={{ tab: "history" }}>
          <bdi>{text(documents?.after.title) || "Dashboard"}</bdi>
        </Link>
      }
      actions={
        <>
          <SegmentedControl
            data={[
              { value: "panels", label: "Panels" },
              { value: "json", label: "JSON" },
            ]}
            value={as}
            aria-label="How the versions are shown"
            onChange={(value) =>
              void navigate({ search: (old) => ({ ...old, as: value as "panels" | "json" }), replace: true })
            }
          />
          {me.isEditor && <Button onClick={() => void undo()}>Restore version {from}</Button>}
        </>
      }
    >
      {error !== null && <ProblemBox error={error} />}
      {documents === undefined || difference === undefined ? (
        error === null && <Skeleton height={400} radius="md" />
      ) : (
        <>
          <Card title="What changed">
            {words.length === 0 ? (
              <span className={ui.dim}>Nothing: the two versions are the same.</span>
            ) : (
              <ul className={css.words}>
                {words.map((word) => (
                  <li key={word}>
                    <bdi>{word}</bdi>
                  </li>
                ))}
              </ul>
            )}
          </Card>
          {as === "panels" ? (
            <>
              <div className={css.legend} aria-hidden="true">
                <span data-change="added">added</span>
                <span data-change="removed">removed</span>
                <span data-change="changed">moved or changed</span>
              </div>
              <div className={css.sides}>
                <Card title={<Side version={before.data} />}>
                  <LayoutPicture document={documents.before} difference={difference} side="before" />
                </Card>
                <Card title={<Side version={after.data} />}>
                  <LayoutPicture document={documents.after} difference={difference} side="after" />
                </Card>
              </div>
            </>
          ) : (
            <Suspense fallback={<Skeleton height={400} radius="md" />}>
              <JsonView before={documents.before} after={documents.after} />
            </Suspense>
          )}
        </>
      )}
    </Page>
  );
}

function Side({ version }: { version: Version | undefined }) {
  if (version === undefined) return null;
  return (
    <>
      Version {version.version}{" "}
      <span className={css.by}>
        <bdi>{version.createdBy}</bdi>, {exact(version.created)}
      </span>
    </>
  );
}
