import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import type { components } from "../api/schema";
import { MAX_PAGES, PAGE } from "./entries";
import { EntryCounter, type ExportFormat } from "./export";
import { type AuditFilter, parameters } from "./qualifier";
import { type Stretch, stretch } from "./stretch";

/** What was scrolled through further is not read anew, page by page, when something changed: the past does not. */
const MAX_REFRESHED_PAGES = 2;

/** The entries that a filter lets through, newest first, a page at a time. */
export function eventsQuery(filter: AuditFilter) {
  return infiniteQueryOptions({
    queryKey: ["audit", parameters(filter)],
    queryFn: ({ pageParam, signal }) =>
      of(
        client.GET("/api/audit/events", {
          params: { query: { ...parameters(filter), limit: PAGE, cursor: pageParam || undefined } },
          signal,
        }),
      ),
    initialPageParam: "",
    getNextPageParam: (last, all) => (all.length < MAX_PAGES ? (last.next ?? undefined) : undefined),
    enabled: (query) => (query.state.data?.pages.length ?? 0) <= MAX_REFRESHED_PAGES,
    refetchOnWindowFocus: false,
  });
}

/** The newest entries that a filter lets through, each with what it changed. */
export function recentQuery(filter: AuditFilter, limit: number) {
  const query = { ...parameters(filter), limit, changes: true };
  return queryOptions({
    queryKey: ["audit", "recent", query],
    queryFn: () => of(client.GET("/api/audit/events", { params: { query } })),
    retry: false,
  });
}

/** How much happened in a stretch of time. */
export type Bucket = components["schemas"]["BucketBody"];

/** How much happened over time, of what a filter lets through. */
export function activityQuery(wanted: Stretch) {
  return queryOptions({
    queryKey: ["activity", wanted],
    queryFn: async ({ signal }) => {
      const { buckets } = await of(client.GET("/api/audit/activity", { params: { query: wanted }, signal }));
      return { buckets, interval: wanted.interval };
    },
    placeholderData: keepPreviousData,
    retry: false,
  });
}

/** How many entries a filter lets through; `undefined` if they go back further than can be counted. */
async function totalOf(filter: AuditFilter, signal: AbortSignal): Promise<number | undefined> {
  const query = { ...parameters(filter), order: "oldest" as const, limit: 1 };
  const { events } = await of(client.GET("/api/audit/events", { params: { query }, signal }));
  const first = events[0]?.occurredAt;
  if (first === undefined) return 0;
  const counted = stretch({ ...filter, from: first }, new Date());
  if (counted.from !== first) return undefined;
  const { buckets } = await of(client.GET("/api/audit/activity", { params: { query: counted }, signal }));
  return buckets.reduce((sum, { success, denied, failure }) => sum + success + denied + failure, 0);
}

/** How far an export is. */
export interface Progress {
  entries: number;
  /** How many there will be, where that is known by now. */
  total: number | undefined;
}

/** Exports what a filter lets through, and tells how far it is. */
export async function exportEvents(
  filter: AuditFilter,
  format: ExportFormat,
  signal: AbortSignal,
  onProgress: (progress: Progress) => void,
): Promise<Blob> {
  let total: number | undefined;
  // The export does not wait for the count, and does not fail with it.
  totalOf(filter, signal).then(
    (count) => {
      total = count;
    },
    () => undefined,
  );
  const query = { ...parameters(filter), format };
  const params = { query };
  const stream = await of(client.GET("/api/audit/events/export", { params, parseAs: "stream", signal }));
  const parts: BlobPart[] = [];
  const counter = new EntryCounter(format);
  const reader = (stream as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    parts.push(piece.value);
    counter.add(piece.value);
    onProgress({ entries: counter.entries, total });
  }
  return new Blob(parts, { type: format === "csv" ? "text/csv" : "application/x-ndjson" });
}

/** Has the browser save a file. */
export function save(blob: Blob, name: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
