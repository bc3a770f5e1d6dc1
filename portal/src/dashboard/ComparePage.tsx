import { Button, Skeleton } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useMemo } from "react";
import { useMe } from "../session/session";
import { confirm } from "../ui/confirm";
import { Name, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import { exact } from "../ui/When";
import { Comparison, type ComparisonForm, FormSwitch } from "./Comparison";
import css from "./Comparison.module.css";
import { type DashboardDocument, text } from "./document";
import { restoreVersion, type Version, versionQuery } from "./version";

/** What the address bar says about a comparison. */
export interface CompareSearch {
  from: number;
  to: number;
  as?: ComparisonForm;
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
  const error = before.error ?? after.error;

  async function undo() {
    const isSure = await confirm({
      title: `Go back to version ${from}?`,
      body: `A new version will be created with the content of version ${from}. Version ${to} and all others stay in the history.`,
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
          <Name>{text(documents?.after.title) || "Dashboard"}</Name>
        </Link>
      }
      actions={
        <>
          <FormSwitch
            as={as}
            onChange={(form) => void navigate({ search: (old) => ({ ...old, as: form }), replace: true })}
          />
          {me.isEditor && <Button onClick={() => void undo()}>Restore version {from}</Button>}
        </>
      }
    >
      {error !== null && <ProblemBox error={error} />}
      {documents === undefined ? (
        error === null && <Skeleton height={400} radius="md" />
      ) : (
        <Comparison
          {...documents}
          as={as}
          titles={[<Side key="before" version={before.data} />, <Side key="after" version={after.data} />]}
        />
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
        <bdi>{version.createdBy.slice(0, 100)}</bdi>, {exact(version.created)}
      </span>
    </>
  );
}
