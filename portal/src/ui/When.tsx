const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** How long ago a moment was, in words. */
export function ago(time: Date, now = new Date()): string {
  const seconds = (time.getTime() - now.getTime()) / 1000;
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return "just now";
}

/** The server's word for who was never seen is a moment ten years ago. */
const NEVER_SECONDS = 9 * 31_536_000;

/** A moment, as how long ago it was; the exact time shows on pointing at it. */
export function When({ time }: { time: string }) {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return <span>unknown</span>;
  if ((Date.now() - date.getTime()) / 1000 > NEVER_SECONDS) return <span>never</span>;
  return (
    <time dateTime={time} title={absolute.format(date)}>
      {ago(date)}
    </time>
  );
}

/** A moment with date and time. */
export function exact(time: string | Date): string {
  return absolute.format(typeof time === "string" ? new Date(time) : time);
}
