import { Autocomplete, Button, NativeSelect, Skeleton, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { SearchIcon } from "../ui/icons";
import { Card, Empty, Page } from "../ui/Page";
import { ProblemBox } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { AuditTable } from "./AuditTable";
import { Activity } from "./chart";
import { EventDialog } from "./EventDialog";
import { ExportMenu } from "./ExportMenu";
import { type AuditEvent, type Entries, entriesOf, eventsQuery } from "./event";
import { completions, OUTCOMES, parse, QUALIFIERS, withQualifier } from "./qualifier";
import { stretch, stretchName } from "./stretch";

/** What the address bar says about the page of the audit log. */
export interface AuditSearch {
  q?: string;
}

const NOUNS = [
  "dashboard",
  "folder",
  "resource_permission",
  "membership",
  "org",
  "user",
  "team",
  "service_account",
  "star",
  "preference",
  "invite",
];

/** Everything that happened in the org. */
export function AuditPage() {
  const { q = "" } = useSearch({ from: "/shell/audit" });
  const navigate = useNavigate({ from: "/audit" });
  const [typed, setTyped] = useState(q);
  const [wanted] = useDebouncedValue(typed, 250);
  const [opened, setOpened] = useState<AuditEvent>();
  useEffect(() => {
    if (wanted !== q) void navigate({ search: { q: wanted || undefined }, replace: true });
  }, [wanted, q, navigate]);
  const filter = useMemo(() => parse(wanted), [wanted]);
  const pages = useInfiniteQuery({ ...eventsQuery(filter), placeholderData: keepPreviousData });
  const charted = useMemo(() => stretch(filter, new Date()), [filter]);
  const events = useMemo(() => pages.data && entriesOf(pages.data.pages), [pages.data]);
  const known = useMemo(() => knownValues(events), [events]);
  const set = (key: string, value: string | undefined) => setTyped(withQualifier(typed, key, value));
  const setTimes = (after: string, before: string) =>
    setTyped(withQualifier(withQualifier(typed, "after", after), "before", before));
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = pages;

  return (
    <Page
      title="Audit log"
      description="Every change, every log-in, and everything that was denied."
      actions={<ExportMenu filter={filter} />}
    >
      <Card title={stretchName(charted)}>
        <Activity of={charted} height={120} onPick={setTimes} />
      </Card>
      <div className={ui.bar}>
        <Autocomplete
          className={ui.grow}
          leftSection={<SearchIcon size={16} />}
          placeholder="actor:alice action:dashboard.* -outcome:denied after:2026-11-01"
          aria-label="Search the audit log"
          value={typed}
          onChange={setTyped}
          data={completions(typed, known)}
          filter={({ options }) => options}
          renderOption={({ option }) => <Completion text={option.value} />}
          spellCheck={false}
        />
        <NativeSelect
          aria-label="Outcome"
          value={filter.outcome ?? ""}
          data={[{ value: "", label: "Any outcome" }, ...OUTCOMES]}
          onChange={(event) => set("outcome", event.currentTarget.value || undefined)}
        />
        <NativeSelect
          aria-label="What it was done to"
          value={filter.targetType ?? ""}
          data={[
            { value: "", label: "Anything" },
            ...known.types.map((type) => ({ value: type, label: type.replaceAll("_", " ") })),
          ]}
          onChange={(event) => set("target", event.currentTarget.value || undefined)}
        />
        <Button variant="default" disabled={typed === ""} onClick={() => setTyped("")}>
          Clear
        </Button>
      </div>
      {filter.problems.map((problem) => (
        <Text key={problem} c="red" size="sm" role="alert">
          {problem}
        </Text>
      ))}
      {pages.isError ? (
        <ProblemBox error={pages.error} onRetry={() => void pages.refetch()} />
      ) : (
        <Card isFlush>
          {events === undefined && <Skeleton height={360} radius="md" />}
          {events?.length === 0 && <Empty title="Nothing matches">Take a word away, or look at another time.</Empty>}
          {events !== undefined && events.length > 0 && (
            <AuditTable
              events={events}
              hasMore={hasNextPage}
              onMore={() => !isFetchingNextPage && void fetchNextPage()}
              onOpen={setOpened}
            />
          )}
          {events?.isCut && <Older events={events} onGo={(before) => set("before", before)} />}
        </Card>
      )}
      {opened !== undefined && <EventDialog event={opened} onClose={() => setOpened(undefined)} onFilter={set} />}
    </Page>
  );
}

/** The way on where there are more entries than the table has room for. */
function Older({ events, onGo }: { events: Entries; onGo: (before: string) => void }) {
  const last = events.at(events.length - 1);
  return (
    <Empty
      title={`These are the newest ${events.length.toLocaleString("en")} entries`}
      action={
        <Button variant="default" onClick={() => last && onGo(last.occurredAt)}>
          Go on with older ones
        </Button>
      }
    >
      Narrow the filter to find what you look for sooner.
    </Empty>
  );
}

const MAX_KNOWN_FROM = 2000;

/** What stands in the newest entries can be completed. */
function knownValues(events: Entries | undefined) {
  const [actors, actions, types] = [new Set<string>(), new Set<string>(), new Set(NOUNS)];
  for (let index = 0; index < Math.min(events?.length ?? 0, MAX_KNOWN_FROM); index += 1) {
    const event = events?.at(index);
    if (event === undefined) continue;
    if (event.actor.login !== "") actors.add(event.actor.login);
    actions.add(event.action);
    for (const target of event.targets) types.add(target.type);
  }
  return { actors: [...actors].sort(), actions: [...actions].sort(), types: [...types].sort() };
}

function Completion({ text }: { text: string }) {
  const word = text.slice(text.search(/\S*$/));
  const hint = QUALIFIERS[word.replace(/^-/, "").replace(/:$/, "")];
  return (
    <span>
      <bdi>{word}</bdi> {hint !== undefined && <span className={ui.dim}>{hint}</span>}
    </span>
  );
}
