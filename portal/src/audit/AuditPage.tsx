import {
  Autocomplete,
  Button,
  Group,
  Loader,
  Menu,
  Modal,
  NativeSelect,
  Progress,
  Skeleton,
  Text,
} from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { SearchIcon } from "../ui/icons";
import { Card, Empty, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { AuditTable } from "./AuditTable";
import { EventDialog } from "./EventDialog";
import { type AuditEvent, activityQuery, eventsQuery, exportEvents, save } from "./event";
import { type AuditFilter, completions, isKept, OUTCOMES, parse, QUALIFIERS, withQualifier } from "./qualifier";

const ActivityChart = lazy(() => import("./ActivityChart"));

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
const DAYS = 30;

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
  const activity = useQuery(activityQuery(DAYS));
  const events = useMemo(
    () => pages.data?.pages.flatMap((page) => page.events).filter((event) => isKept(filter, event)),
    [pages.data, filter],
  );
  const known = useMemo(() => knownValues(events ?? []), [events]);
  const set = (key: string, value: string | undefined) => setTyped(withQualifier(typed, key, value));
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = pages;
  // What is left out can leave a page empty: then the next one is needed at once.
  const isThin = events !== undefined && events.length < 50;
  useEffect(() => {
    if (isThin && hasNextPage && !isFetchingNextPage) void fetchNextPage();
  }, [isThin, hasNextPage, isFetchingNextPage, fetchNextPage]);

  return (
    <Page
      title="Audit log"
      description="Every change, every log-in, and everything that was denied."
      actions={<ExportMenu filter={filter} />}
    >
      <Card title={`Last ${DAYS} days`}>
        {activity.isPending && <Skeleton height={140} />}
        {activity.isError && <span className={ui.dim}>The activity could not be read: {activity.error.message}</span>}
        {activity.data !== undefined && (
          <Suspense fallback={<Skeleton height={140} />}>
            <ActivityChart
              buckets={activity.data.buckets}
              height={120}
              onPick={(day) => setTyped(withQualifier(withQualifier(typed, "after", day), "before", day))}
            />
          </Suspense>
        )}
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
          {events?.length === 0 &&
            (hasNextPage ? (
              <Empty title="Looking further back…" action={<Loader size="sm" />} />
            ) : (
              <Empty title="Nothing matches">Take a word away, or look at another time.</Empty>
            ))}
          {events !== undefined && events.length > 0 && (
            <AuditTable
              events={events}
              hasMore={hasNextPage}
              onMore={() => !isFetchingNextPage && void fetchNextPage()}
              onOpen={setOpened}
            />
          )}
        </Card>
      )}
      {opened !== undefined && <EventDialog event={opened} onClose={() => setOpened(undefined)} onFilter={set} />}
    </Page>
  );
}

function knownValues(events: AuditEvent[]) {
  const newest = events.slice(0, 5000);
  const unique = (values: string[]) => [...new Set(values)].sort();
  return {
    actors: unique(newest.map((event) => event.actor.login).filter(Boolean)),
    actions: unique(newest.map((event) => event.action)),
    types: unique([...NOUNS, ...newest.flatMap((event) => event.targets.map((target) => target.type))]),
  };
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

function ExportMenu({ filter }: { filter: AuditFilter }) {
  const [rows, setRows] = useState<number>();
  const stop = useRef<AbortController>(undefined);
  async function run(format: "ndjson" | "csv") {
    const controller = new AbortController();
    stop.current = controller;
    setRows(0);
    let count = 0;
    try {
      const blob = await exportEvents(filter, format, controller.signal, (now) => {
        count = now;
        setRows(now);
      });
      save(blob, `audit-${new Date().toISOString().slice(0, 10)}.${format}`);
      tellDone(`${count.toLocaleString("en")} entries exported`);
    } catch (error) {
      if (!controller.signal.aborted) tellProblem(error);
    }
    setRows(undefined);
  }
  return (
    <>
      <Menu position="bottom-end" shadow="md">
        <Menu.Target>
          <Button variant="default">Export</Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>What the filter lets through</Menu.Label>
          <Menu.Item onClick={() => void run("ndjson")}>As JSON, one entry a line</Menu.Item>
          <Menu.Item onClick={() => void run("csv")} disabled={filter.without.length > 0}>
            As CSV
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {rows !== undefined && (
        <Modal opened onClose={() => stop.current?.abort()} title="Exporting">
          <Progress value={100} animated aria-label="Exporting" />
          <Group justify="space-between" mt="md">
            <span role="status">{rows.toLocaleString("en")} entries so far</span>
            <Button variant="default" onClick={() => stop.current?.abort()}>
              Stop
            </Button>
          </Group>
        </Modal>
      )}
    </>
  );
}
