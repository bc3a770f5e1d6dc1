import { Button, Progress, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { SERVED } from "../api/served";
import { call } from "../api/upcoming";
import { type AuditEvent, activityQuery, recentQuery } from "../audit/event";
import { searchQuery } from "../dashboard/search";
import type { Quota } from "../org/quota";
import { useMe } from "../session/session";
import { Card, Empty, Name, Page } from "../ui/Page";
import ui from "../ui/ui.module.css";
import { exact, When } from "../ui/When";
import css from "./OverviewPage.module.css";
import { thisVisit } from "./visit";

const ActivityChart = lazy(() => import("../audit/ActivityChart"));

const DAYS = 30;
const RECENT = 12;

/** How the org is doing: what there is, what happens, and what is new. */
export function OverviewPage() {
  const me = useMe();
  return (
    <Page title="Overview" description={me.org === undefined ? undefined : <bdi>{me.org.name}</bdi>}>
      {SERVED.quotas && <Counts />}
      {SERVED.audit && me.isAdmin && <Activity />}
      <div className={css.columns}>
        {SERVED.audit && me.isAdmin && <News />}
        <Starred />
      </div>
    </Page>
  );
}

/** What quotas are about, and where more is said of it. */
const COUNTED: { target: string; label: string; to: string }[] = [
  { target: "dashboard", label: "Dashboards", to: "/dashboards" },
  { target: "folder", label: "Folders", to: "/dashboards" },
  { target: "org_user", label: "Members", to: "/people" },
];

function Counts() {
  const me = useMe();
  const quotas = useQuery({
    queryKey: ["quotas", "own"],
    queryFn: () => call<Quota[]>("get", "/api/org/quotas"),
    enabled: me.isAdmin,
    retry: false,
  });
  if (!me.isAdmin || quotas.isError) return null;
  const shown = COUNTED.map((counted) => ({
    ...counted,
    quota: quotas.data?.find((quota) => quota.target === counted.target),
  })).filter(({ quota }) => quotas.isPending || quota !== undefined);
  return (
    <div className={css.counts}>
      {shown.map(({ target, label, to, quota }) => (
        <Link key={target} to={to} className={css.count}>
          <span className={ui.dim}>{label}</span>
          {quota === undefined ? (
            <Skeleton height={28} width={72} my={4} />
          ) : (
            <>
              <strong>{quota.used.toLocaleString("en")}</strong>
              <span className={ui.dim}>
                {quota.limit < 0 ? "no limit" : `of ${quota.limit.toLocaleString("en")} allowed`}
              </span>
              {quota.limit > 0 && (
                <Progress
                  value={Math.min(100, (quota.used / quota.limit) * 100)}
                  color={quota.used >= quota.limit * 0.9 ? "red" : "accent"}
                  size="xs"
                  mt={6}
                  aria-label={`${label} used of the quota`}
                />
              )}
            </>
          )}
        </Link>
      ))}
    </div>
  );
}

function Activity() {
  const navigate = useNavigate();
  const activity = useQuery(activityQuery(DAYS));
  return (
    <Card
      title={`Activity of the last ${DAYS} days`}
      aside={
        <Button component={Link} to="/audit" size="compact-sm" variant="default">
          Audit log
        </Button>
      }
    >
      <div className={css.chart}>
        {activity.isError && <span className={ui.dim}>The activity could not be read: {activity.error.message}</span>}
        {activity.data !== undefined && (
          <Suspense>
            <ActivityChart
              buckets={activity.data.buckets}
              onPick={(day) => void navigate({ to: "/audit", search: { q: `after:${day} before:${day}` } })}
            />
          </Suspense>
        )}
      </div>
    </Card>
  );
}

function News() {
  const me = useMe();
  const [since] = useState(() => thisVisit(`${me.profile.id}:${me.profile.orgId}`));
  const recent = useQuery(recentQuery(since, RECENT));
  const events = recent.data?.events;
  return (
    <Card
      isFlush
      title="Changed since your last visit"
      aside={<span className={ui.dim}>{since === undefined ? "this is your first" : exact(since)}</span>}
    >
      {recent.isPending && <Skeleton height={120} m="md" w="auto" />}
      {recent.isError && <Empty title="The log could not be read">{recent.error.message}</Empty>}
      {events?.length === 0 && <Empty title="Nothing changed">All is as you left it.</Empty>}
      <ul className={css.list}>
        {events?.map((event) => (
          <li key={event.id}>
            <Change event={event} />
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Change({ event }: { event: AuditEvent }) {
  const target = event.targets[0];
  const name = target?.name || target?.uid || "";
  return (
    <>
      <span className={css.change}>
        <bdi>{event.actor.login.slice(0, 60) || "Somebody"}</bdi>{" "}
        <Link to="/audit" search={{ q: `action:${event.action}` }} className={css.action}>
          {event.action}
        </Link>{" "}
        {target?.type === "dashboard" ? (
          <Link to="/dashboards/$uid" params={{ uid: target.uid }} search={{ tab: "history" }}>
            <bdi>{name.slice(0, 120)}</bdi>
          </Link>
        ) : (
          <bdi>{name.slice(0, 120)}</bdi>
        )}
      </span>
      <span className={ui.dim}>
        <When time={event.occurredAt} />
      </span>
    </>
  );
}

function Starred() {
  const starred = useQuery(searchQuery({ starred: true, limit: RECENT }));
  const me = useMe();
  return (
    <Card isFlush title="Your starred dashboards">
      {starred.isPending && <Skeleton height={120} m="md" w="auto" />}
      {starred.data?.length === 0 && (
        <Empty
          title="No stars yet"
          action={
            <Button component={Link} to="/dashboards" variant="default">
              {me.isEditor ? "Open or import dashboards" : "Open dashboards"}
            </Button>
          }
        >
          Star the dashboards that you look at often, and find them here.
        </Empty>
      )}
      <ul className={css.list}>
        {starred.data?.map((hit) => (
          <li key={hit.uid}>
            <Link to="/dashboards/$uid" params={{ uid: hit.uid }} className={ui.link}>
              <Name>{hit.title}</Name>
            </Link>
            <span className={ui.dim}>
              <Name>{hit.folderTitle ?? ""}</Name>
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}
