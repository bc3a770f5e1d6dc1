import { Button, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { PORTAL_PATH } from "../api/client";
import { Activity, fetchChart } from "../audit/chart";
import { parse } from "../audit/qualifier";
import { stretch, USUAL_DAYS } from "../audit/stretch";
import { searchQuery } from "../dashboard/search";
import { useMe } from "../session/session";
import { Card, Empty, Name, Page } from "../ui/Page";
import ui from "../ui/ui.module.css";
import { Counts } from "./Counts";
import { News } from "./News";
import css from "./OverviewPage.module.css";

// Somebody who comes to this page first needs the chart as soon as it is known who that is.
if (`${window.location.pathname.replace(/\/$/, "")}/` === PORTAL_PATH) fetchChart();

const RECENT = 12;

/** How the org is doing: what there is, what happens, and what is new. */
export function OverviewPage() {
  const me = useMe();
  return (
    <Page title="Overview" description={me.org === undefined ? undefined : <Name>{me.org.name}</Name>}>
      <Counts />
      {me.isAdmin && <Lately />}
      <div className={css.columns}>
        {me.isAdmin && <News />}
        <Starred />
      </div>
    </Page>
  );
}

/** The filter of what happened lately, which is all without a word. */
const LATELY = parse("");

function Lately() {
  const navigate = useNavigate();
  const of = useMemo(() => stretch(LATELY, new Date()), []);
  return (
    <Card
      title={`Activity of the last ${USUAL_DAYS} days`}
      aside={
        <Button component={Link} to="/audit" size="compact-sm" variant="default">
          Audit log
        </Button>
      }
    >
      <div className={css.chart}>
        <Activity
          of={of}
          height={160}
          onPick={(after, before) => void navigate({ to: "/audit", search: { q: `after:${after} before:${before}` } })}
        />
      </div>
    </Card>
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
