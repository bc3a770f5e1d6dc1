import { Autocomplete, Button, NativeSelect, Text } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { SearchIcon } from "../ui/icons";
import { Card, Page } from "../ui/Page";
import ui from "../ui/ui.module.css";
import { Activity } from "./chart";
import { EventList } from "./EventList";
import { ExportMenu } from "./ExportMenu";
import type { AuditEvent } from "./entries";
import { eventsQuery } from "./event";
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

const ANYTHING = parse("");
const NOTHING_KNOWN = { actors: [], actions: [], types: NOUNS };

/** Everything that happened in the org. */
export function AuditPage() {
  const { q = "" } = useSearch({ from: "/shell/audit" });
  const navigate = useNavigate({ from: "/audit" });
  const [typed, setTyped] = useState(q);
  const [wanted] = useDebouncedValue(typed, 250);
  // What this page wrote into the address is known here already; what a link or the way back wrote is not.
  const written = useRef(q);
  useEffect(() => {
    if (q === written.current) return;
    written.current = q;
    setTyped(q);
  }, [q]);
  useEffect(() => {
    if (wanted === written.current) return;
    written.current = wanted;
    void navigate({ search: { q: wanted || undefined }, replace: true });
  }, [wanted, navigate]);
  const filter = useMemo(() => parse(wanted), [wanted]);
  const charted = useMemo(() => stretch(filter, new Date()), [filter]);
  const newest = useInfiniteQuery({ ...eventsQuery(ANYTHING), select: knownValues });
  const known = newest.data ?? NOTHING_KNOWN;
  const set = (key: string, value: string | undefined) => setTyped(withQualifier(typed, key, value));
  const setTimes = (after: string, before: string) =>
    setTyped(withQualifier(withQualifier(typed, "after", after), "before", before));

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
          aria-label="Target"
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
      <EventList filter={filter} onFilter={set} />
    </Page>
  );
}

/** What stands in the newest entries can be completed. */
function knownValues({ pages }: { pages: { events: AuditEvent[] }[] }) {
  const [actors, actions, types] = [new Set<string>(), new Set<string>(), new Set(NOUNS)];
  for (const event of pages[0]?.events ?? []) {
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
