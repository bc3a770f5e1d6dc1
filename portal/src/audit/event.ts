import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { client, of, orgHeader, problemOf, SERVER_PATH } from "../api/client";
import type { components } from "../api/schema";
import { type AuditFilter, isKept, parameters } from "./qualifier";

/** An entry of the audit log. */
export type AuditEvent = components["schemas"]["EntryBody"];

const PAGE = 500;

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
    getNextPageParam: (last) => last.next ?? undefined,
  });
}

/** The newest entries since a moment. */
export function recentQuery(from: string | undefined, limit: number) {
  return queryOptions({
    queryKey: ["audit", "recent", from, limit],
    queryFn: () => of(client.GET("/api/audit/events", { params: { query: { from, limit } } })),
    retry: false,
  });
}

/** How much happened in a stretch of time. */
export type Bucket = components["schemas"]["BucketBody"];

/** How much happened on each of the last days. */
export function activityQuery(days: number) {
  return queryOptions({
    queryKey: ["activity", days],
    queryFn: () => of(client.GET("/api/audit/activity", { params: { query: { days, interval: "day" } } })),
    retry: false,
  });
}

/** Exports what a filter lets through, and tells how many entries have come so far. */
export async function exportEvents(
  filter: AuditFilter,
  format: "ndjson" | "csv",
  signal: AbortSignal,
  onProgress: (rows: number) => void,
): Promise<Blob> {
  const url = new URL(`${window.location.origin}${SERVER_PATH}/api/audit/events/export`);
  url.searchParams.set("format", format);
  for (const [key, value] of Object.entries(parameters(filter))) {
    for (const one of Array.isArray(value) ? value : value === undefined ? [] : [value])
      url.searchParams.append(key, one);
  }
  const response = await fetch(url, { signal, headers: orgHeader() });
  if (!response.ok || response.body === null) throw problemOf(response, await response.json().catch(() => undefined));
  const parts: BlobPart[] = [];
  let rows = format === "csv" ? -1 : 0;
  let rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const lines = (rest + piece.value).split("\n");
    rest = lines.pop() ?? "";
    const kept = format === "csv" ? lines : lines.filter((line) => isKept(filter, JSON.parse(line) as AuditEvent));
    rows += kept.length;
    if (kept.length > 0) parts.push(`${kept.join("\n")}\n`);
    onProgress(Math.max(rows, 0));
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
