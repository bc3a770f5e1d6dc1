import { type AuditFilter, endBefore, parameters } from "./qualifier";

/** How long a bar of the chart is. */
export type Interval = "hour" | "day";

const HOUR_MS = 3_600_000;
export const LENGTH_MS: Record<Interval, number> = { hour: HOUR_MS, day: 24 * HOUR_MS };

/** How many days are shown if the filter says nothing of the time. */
export const USUAL_DAYS = 30;
/** What is not longer than this is shown by the hour. */
const MAX_BY_HOUR_MS = 4 * LENGTH_MS.day;
/** The server counts up to 400 buckets; one more than there are days can be cut at both ends. */
const MAX_DAYS = 398;

/** What is asked of the server for a chart. */
export interface Stretch extends ReturnType<typeof parameters> {
  /** How many days up to the end, where there is no beginning. */
  days?: number;
  interval: Interval;
}

/** What the chart of a filter shows. */
export function stretch(filter: AuditFilter, now: Date): Stretch {
  const { from, to, ...others } = parameters(filter);
  if (from === undefined) return { ...others, from, to, days: USUAL_DAYS, interval: "day" };
  const end = to === undefined ? now.getTime() : new Date(to).getTime();
  const length = end - new Date(from).getTime();
  if (length <= MAX_BY_HOUR_MS) return { ...others, from, to, interval: "hour" };
  // What is longer shows its end.
  const start = length > MAX_DAYS * LENGTH_MS.day ? new Date(end - MAX_DAYS * LENGTH_MS.day).toISOString() : from;
  return { ...others, from: start, to, interval: "day" };
}

/** The first and the last moment of a bucket, as the search box takes them. Days are those of UTC. */
export function momentsOf(from: string, interval: Interval): { after: string; before: string } {
  const begin = new Date(from);
  return { after: from, before: endBefore(new Date(begin.getTime() + LENGTH_MS[interval])) };
}

const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: "UTC" });
const minute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

/** What a bucket is called. */
export function bucketName(from: string, interval: Interval): string {
  const time = new Date(from);
  if (interval === "hour") return minute.format(time);
  return `${day.format(time)}${time.getTimezoneOffset() === 0 ? "" : " (UTC)"}`;
}

/** What a chart shows, as its title. */
export function stretchName({ from, to, interval }: Stretch): string {
  const end = to === undefined ? "" : ` until ${minute.format(new Date(to))}`;
  if (from === undefined) return to === undefined ? `Last ${USUAL_DAYS} days` : `${USUAL_DAYS} days${end}`;
  return `By the ${interval} from ${minute.format(new Date(from))}${end}`;
}
