import { Button, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { whenUp } from "../api/chunk";
import { ProblemBox } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { fateOf, type Line, lines } from "./change";
import css from "./EventDialog.module.css";
import type { AuditEvent } from "./entries";
import { entryQuery } from "./history";
import { Undo } from "./Undo";

const SideBySide = lazy(whenUp(() => import("./SideBySide")));

const MAX_WORDS = 12;
const MAX_LINES = 40;

const TITLES = { created: "What was created", deleted: "What was deleted", changed: "What changed" };

interface EventChangeProps {
  event: AuditEvent;
  onClose: () => void;
  /** Somebody wants to see both sides, which need room. */
  onWide: () => void;
}

/** What an entry changed of anything that has a history, and the way back. */
export function EventChange({ event, onClose, onWide }: EventChangeProps) {
  const target = event.targets[0];
  // What was denied changed nothing, and what has no version is no object's change.
  const isChange = target?.version !== undefined && event.outcome === "success";
  const entry = useQuery({ ...entryQuery(event.id), enabled: isChange });
  const [isSplit, setSplit] = useState(false);
  if (!isChange) return null;
  if (entry.isError) return <ProblemBox error={entry.error} onRetry={() => void entry.refetch()} />;
  if (entry.isPending) return <Skeleton height={96} radius="md" />;
  const changes = entry.data.changes ?? [];
  const fate = fateOf(changes);
  const canSplit = target.type === "dashboard" && fate === "changed" && changes.length > 0;
  return (
    <section className={css.change} aria-label={TITLES[fate]}>
      <strong>{TITLES[fate]}</strong>
      {isSplit ? (
        <div className={css.sides}>
          <Suspense fallback={<Skeleton height={240} />}>
            <SideBySide uid={target.uid} version={target.version ?? 0} />
          </Suspense>
        </div>
      ) : (
        <>
          <Words words={entry.data.summary ?? []} />
          <Lines lines={lines(changes)} isCut={entry.data.truncated === true} />
        </>
      )}
      <div className={css.acts}>
        {canSplit && !isSplit && (
          <Button
            size="xs"
            variant="default"
            onClick={() => {
              setSplit(true);
              onWide();
            }}
          >
            See both side by side
          </Button>
        )}
        <Undo event={event} onClose={onClose} />
      </div>
    </section>
  );
}

function Words({ words }: { words: string[] }) {
  if (words.length === 0) return null;
  return (
    <ul>
      {words.slice(0, MAX_WORDS).map((word, index) => (
        // Two panels can have the same title, and the same done to them.
        // biome-ignore lint/suspicious/noArrayIndexKey: the past does not change.
        <li key={index}>
          <bdi>{word}</bdi>
        </li>
      ))}
      {words.length > MAX_WORDS && <li>and {words.length - MAX_WORDS} more</li>}
    </ul>
  );
}

function Lines({ lines: all, isCut }: { lines: Line[]; isCut: boolean }) {
  if (all.length === 0) {
    return (
      <p className={ui.dim}>{isCut ? "The change is too large to show here." : "No changes that its history shows."}</p>
    );
  }
  const hasBefore = all.some((line) => line.before !== "");
  const hasAfter = all.some((line) => line.after !== "");
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard.
    <div className={css.lines} tabIndex={0} role="region" aria-label="Before and after">
      <table>
        <thead>
          <tr>
            <th scope="col">What</th>
            {hasBefore && <th scope="col">Before</th>}
            {hasAfter && <th scope="col">After</th>}
          </tr>
        </thead>
        <tbody>
          {all.slice(0, MAX_LINES).map((line, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the past does not change.
            <tr key={index}>
              <th scope="row">
                <bdi>{line.path}</bdi>
              </th>
              {hasBefore && <Value text={line.before} kind="removed" />}
              {hasAfter && <Value text={line.after} kind="added" />}
            </tr>
          ))}
        </tbody>
      </table>
      {(all.length > MAX_LINES || isCut) && <p className={ui.dim}>and more than fits here</p>}
    </div>
  );
}

function Value({ text, kind }: { text: string; kind: "removed" | "added" }) {
  return (
    <td>
      {text === "" ? (
        <span className={ui.dim}>nothing</span>
      ) : (
        <bdi className={css.value} data-change={kind}>
          {text}
        </bdi>
      )}
    </td>
  );
}
