import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useRef } from "react";
import { exact } from "../ui/When";
import css from "./AuditTable.module.css";
import type { AuditEvent, Entries } from "./entries";

const ROW_PX = 36;

interface AuditTableProps {
  events: Entries;
  hasMore: boolean;
  onMore: () => void;
  onOpen: (event: AuditEvent) => void;
}

/** The log as a table of which only what is seen is there. */
export function AuditTable({ events, hasMore, onMore, onOpen }: AuditTableProps) {
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: events.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 12,
  });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && last >= events.length - 200) onMore();
  }, [hasMore, last, events.length, onMore]);
  return (
    <div
      ref={box}
      className={css.box}
      role="table"
      aria-label="Entries, newest first"
      aria-rowcount={hasMore ? -1 : events.length + 1}
      // What scrolls must be reachable with the keyboard.
      // biome-ignore lint/a11y/noNoninteractiveTabindex: see above.
      tabIndex={0}
    >
      <div role="rowgroup" className={css.head}>
        <div role="row" className={css.line}>
          <span role="columnheader">When</span>
          <span role="columnheader">Who</span>
          <span role="columnheader">Did what</span>
          <span role="columnheader">To what</span>
          <span role="columnheader">Outcome</span>
        </div>
      </div>
      <div role="rowgroup" className={css.rows} style={{ height: rows.getTotalSize() }}>
        {items.map((item) => {
          const event = events.at(item.index);
          return (
            event !== undefined && (
              <Row key={item.key} event={event} index={item.index} start={item.start} onOpen={onOpen} />
            )
          );
        })}
      </div>
    </div>
  );
}

interface RowProps {
  event: AuditEvent;
  index: number;
  start: number;
  onOpen: (event: AuditEvent) => void;
}

const Row = memo(function Row({ event, index, start, onOpen }: RowProps) {
  const target = event.targets[0];
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className={`${css.line} ${css.row}`}
      style={{ transform: `translateY(${start}px)` }}
    >
      <span role="cell" className={css.when}>
        <button type="button" className={css.open} onClick={() => onOpen(event)}>
          {exact(event.occurredAt)}
        </button>
      </span>
      <span role="cell">
        <bdi>{event.actor.login.slice(0, 100) || event.actor.type}</bdi>
      </span>
      <span role="cell">{event.action}</span>
      <span role="cell">
        <bdi>{(target?.name || target?.uid || target?.type || "").slice(0, 200)}</bdi>
      </span>
      <span role="cell" data-outcome={event.outcome} className={css.outcome}>
        {event.outcome}
      </span>
    </div>
  );
});
