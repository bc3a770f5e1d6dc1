import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { lines } from "../audit/change";
import type { AuditEvent } from "../audit/entries";
import { recentQuery } from "../audit/event";
import { parse, quoted } from "../audit/qualifier";
import { useMe } from "../session/session";
import { Card, Empty } from "../ui/Page";
import ui from "../ui/ui.module.css";
import { exact, When } from "../ui/When";
import css from "./OverviewPage.module.css";
import { thisVisit } from "./visit";

const RECENT = 12;

/** What others changed while somebody was away. Who looked, logged in or was refused changed nothing. */
function newsFilter(since: string | undefined, login: string): string {
  const time = since === undefined ? "" : `after:${since} `;
  return `${time}outcome:success -action:access.* -action:star.* -actor:${quoted(login)}`;
}

/** What changed since somebody's last visit. */
export function News() {
  const me = useMe();
  const [since] = useState(() => thisVisit(`${me.profile.id}:${me.profile.orgId}`));
  const text = newsFilter(since, me.profile.login);
  const filter = useMemo(() => parse(text), [text]);
  const recent = useQuery(recentQuery(filter, RECENT));
  const events = recent.data?.events;
  return (
    <Card
      isFlush
      title="Changed since your last visit"
      aside={<span className={ui.dim}>{since === undefined ? "this is your first" : exact(since)}</span>}
    >
      {recent.isPending && <Skeleton height={120} m="md" w="auto" />}
      {recent.isError && <Empty title="The log could not be read">{recent.error.message}</Empty>}
      {events?.length === 0 && <Empty title="Nothing changed">Nobody else changed anything.</Empty>}
      {events !== undefined && events.length > 0 && (
        <>
          <ul className={css.list} aria-label="Changes, newest first">
            {events.map((event) => (
              <li key={event.id}>
                <Change event={event} />
              </li>
            ))}
          </ul>
          <div className={css.all}>
            <Link to="/audit" search={{ q: text }} className={ui.link}>
              {since === undefined ? "All changes" : "All changes since then"}
            </Link>
          </div>
        </>
      )}
    </Card>
  );
}

function Change({ event }: { event: AuditEvent }) {
  const target = event.targets[0];
  const name = target?.name || target?.uid || "";
  const words = inWords(event);
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
        {words !== "" && (
          <span className={css.words}>
            <bdi>{words}</bdi>
          </span>
        )}
      </span>
      <span className={ui.dim}>
        <When time={event.occurredAt} />
      </span>
    </>
  );
}

const MAX_WORDS = 2;

/** What an entry changed, in a line. What came or went needs no more words than that. */
function inWords({ summary = [], changes = [] }: AuditEvent): string {
  const words =
    summary.length > 0 || changes.some((change) => change.path === "")
      ? summary
      : lines(changes).map(({ path, before, after }) => `${path}: ${before || "nothing"} → ${after || "nothing"}`);
  const more = words.length > MAX_WORDS ? `, and ${words.length - MAX_WORDS} more` : "";
  return words.slice(0, MAX_WORDS).join("; ").slice(0, 300) + more;
}
