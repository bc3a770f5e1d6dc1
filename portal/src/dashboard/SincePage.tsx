import { Button, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { asProblem } from "../api/problem";
import { Card, Empty, Name, Page } from "../ui/Page";
import { ProblemBox } from "../ui/ProblemBox";
import { exact } from "../ui/When";
import { dashboardQuery } from "./actions";
import { Comparison, type ComparisonForm, FormSwitch } from "./Comparison";
import css from "./Comparison.module.css";
import { type DashboardDocument, text } from "./document";

/** What the address bar says about a comparison with the past. */
export interface SinceSearch {
  since?: string;
  as?: ComparisonForm;
}

/** A dashboard as it was at a moment, beside what it is now. */
export function SincePage() {
  const { uid } = useParams({ from: "/shell/dashboards/$uid/since" });
  const { since, as = "panels" } = useSearch({ from: "/shell/dashboards/$uid/since" });
  const navigate = useNavigate({ from: "/dashboards/$uid/since" });
  const then = useQuery(dashboardQuery(uid, since));
  const now = useQuery(dashboardQuery(uid, undefined));
  const before = then.data?.dashboard as DashboardDocument | undefined;
  const after = now.data?.dashboard as DashboardDocument | undefined;
  return (
    <Page
      title={since === undefined ? "Then and now" : `What changed since ${exact(since)}`}
      description={
        <Link to="/dashboards/$uid" params={{ uid }} search={{ at: since }}>
          <Name>{text((after ?? before)?.title) || "Dashboard"}</Name>
        </Link>
      }
      actions={
        <>
          <FormSwitch
            as={as}
            onChange={(form) => void navigate({ search: (old) => ({ ...old, as: form }), replace: true })}
          />
          <Button
            variant="default"
            onClick={() => void navigate({ to: "/dashboards/$uid", params: { uid }, search: { tab: "history" } })}
          >
            History
          </Button>
        </>
      }
    >
      {then.isError && <ProblemBox error={then.error} />}
      {now.isError && <GoneNow error={now.error} />}
      {(then.isPending || now.isPending) && <Skeleton height={400} radius="md" />}
      {before !== undefined && after !== undefined && (
        <Comparison
          before={before}
          after={after}
          as={as}
          titles={[
            <Side key="then" when="Then" version={then.data?.meta.version} by={then.data?.meta.updatedBy} />,
            <Side key="now" when="Now" version={now.data?.meta.version} by={now.data?.meta.updatedBy} />,
          ]}
        />
      )}
    </Page>
  );
}

function Side({ when, version, by = "" }: { when: string; version: number | undefined; by: string | undefined }) {
  return (
    <>
      {when}{" "}
      <span className={css.by}>
        version {version} by <bdi>{by.slice(0, 100)}</bdi>
      </span>
    </>
  );
}

/** What was there then may be there no more. */
function GoneNow({ error }: { error: unknown }) {
  if (asProblem(error).status !== 404) return <ProblemBox error={error} />;
  return (
    <Card>
      <Empty title="It no longer exists">
        This dashboard was deleted since. An editor can bring it back while it is in the trash.
      </Empty>
    </Card>
  );
}
