import { Button, Skeleton } from "@mantine/core";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import { Card, Empty } from "../ui/Page";
import { ProblemBox } from "../ui/ProblemBox";
import { AuditTable } from "./AuditTable";
import { EventDialog } from "./EventDialog";
import { type AuditEvent, type Entries, entriesOf } from "./entries";
import { eventsQuery } from "./event";
import type { AuditFilter } from "./qualifier";

interface EventListProps {
  filter: AuditFilter;
  /** Somebody wants only those with a value. */
  onFilter: (key: string, value: string) => void;
}

/** What a filter lets through. A page that comes while somebody scrolls draws this anew, and nothing around it. */
export function EventList({ filter, onFilter }: EventListProps) {
  const pages = useInfiniteQuery({ ...eventsQuery(filter), placeholderData: keepPreviousData });
  const [opened, setOpened] = useState<AuditEvent>();
  const events = useMemo(() => pages.data && entriesOf(pages.data.pages), [pages.data]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = pages;
  const onMore = useCallback(() => {
    if (!isFetchingNextPage) void fetchNextPage();
  }, [isFetchingNextPage, fetchNextPage]);
  if (pages.isError) return <ProblemBox error={pages.error} onRetry={() => void pages.refetch()} />;
  return (
    <Card isFlush>
      {events === undefined && <Skeleton height={360} radius="md" />}
      {events?.length === 0 && (
        <Empty title="Nothing matches">Remove a word of the filter, or choose another time.</Empty>
      )}
      {events !== undefined && events.length > 0 && (
        <AuditTable events={events} hasMore={hasNextPage} onMore={onMore} onOpen={setOpened} />
      )}
      {events?.isCut && <Older events={events} onGo={(before) => onFilter("before", before)} />}
      {opened !== undefined && <EventDialog event={opened} onClose={() => setOpened(undefined)} onFilter={onFilter} />}
    </Card>
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
          Continue with older entries
        </Button>
      }
    >
      Narrow the filter to find what you look for sooner.
    </Empty>
  );
}
