import { Button, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";
import { type AuditEvent, activityQuery, recentQuery } from "../audit/event";
import { searchQuery } from "../dashboard/search";
import { useMe } from "../session/session";
import { Card, Empty, Name, Page } from "../ui/Page";
import ui from "../ui/ui.module.css";
import { exact, When } from "../ui/When";
import { Counts } from "./Counts";
import css from "./OverviewPage.module.css";
import { thisVisit } from "./visit";

const loadChart = () => import("../audit/ActivityChart");
const ActivityChart = lazy(loadChart);

const DAYS = 30;
const RECENT = 12;

/** How the org is doing: what there is, what happens, and what is new. */
export function OverviewPage() {
  const me = useMe();
  return (
    <Page title="Overview" description={me.org === undefined ? undefined : <bdi>{me.org.name}</bdi>}>
      <Counts />
      {me.isAdmin && <Activity />}
      <div className={css.columns}>
        {me.isAdmin && <News />}
        <Starred />
      </div>
    </Page>
  );
}

function Activity() {
  const navigate = useNavigate();
  const activity = useQuery(activityQuery(DAYS));
  // The chart comes while its numbers are counted, not after.
  useEffect(() => void loadChart(), []);
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
