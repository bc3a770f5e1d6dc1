import { useComputedColorScheme } from "@mantine/core";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import css from "./ActivityChart.module.css";
import type { Bucket } from "./event";
import { bucketName, type Interval, LENGTH_MS, momentsOf } from "./stretch";

interface ActivityChartProps {
  buckets: Bucket[];
  interval: Interval;
  height: number;
  onPick: (after: string, before: string) => void;
}

function refusedIn({ denied, failure }: Bucket): number {
  return denied + failure;
}

function summary(buckets: Bucket[], interval: Interval): string {
  const refused = buckets.reduce((sum, bucket) => sum + refusedIn(bucket), 0);
  const total = buckets.reduce((sum, bucket) => sum + bucket.success, refused);
  const length = `${buckets.length} ${interval}${buckets.length === 1 ? "" : "s"}`;
  return `${count(total)} in ${length}, ${refused.toLocaleString("en")} of them denied or failed`;
}

function count(entries: number): string {
  return `${entries.toLocaleString("en")} ${entries === 1 ? "entry" : "entries"}`;
}

function words(bucket: Bucket, interval: Interval): string {
  const refused = refusedIn(bucket);
  const all = count(bucket.success + refused);
  return `${bucketName(bucket.from, interval)}: ${all}, ${refused.toLocaleString("en")} denied or failed`;
}

/** How much happened on each day, or in each hour. One of them is chosen with the mouse or with the arrow keys. */
export default function ActivityChart({ buckets, interval, height, onPick }: ActivityChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const scheme = useComputedColorScheme();
  const [pointed, setPointed] = useState<number>();
  const pick = useRef<(index: number | undefined) => void>(undefined);
  pick.current = (index) => {
    const bucket = buckets[index ?? -1];
    if (bucket === undefined) return;
    const { after, before } = momentsOf(bucket.from, interval);
    onPick(after, before);
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: the colors are read anew when the scheme changes.
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const made = draw(element, buckets, interval, height, (index) => setPointed(index ?? undefined));
    plot.current = made;
    made.over.addEventListener("click", () => pick.current?.(made.cursor.idx ?? undefined));
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
    };
  }, [buckets, interval, height, scheme]);

  const last = buckets.length - 1;
  const current = Math.min(pointed ?? last, last);
  function point(index: number) {
    const [made, bucket] = [plot.current, buckets[index]];
    if (made === undefined || bucket === undefined) return;
    made.setCursor({ left: made.valToPos(new Date(bucket.from).getTime() / 1000, "x"), top: 0 });
    setPointed(index);
  }
  function onKeyDown(event: KeyboardEvent) {
    const targets: Record<string, number> = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: last };
    const to = targets[event.key];
    if (event.key === "Enter" || event.key === " ") pick.current?.(current);
    else if (to !== undefined) point(Math.min(Math.max(to, 0), last));
    else return;
    event.preventDefault();
  }

  const chosen = buckets[current];
  return (
    <figure className={css.figure}>
      <div
        ref={host}
        className={css.chart}
        style={{ height }}
        role="slider"
        tabIndex={0}
        aria-label={`${summary(buckets, interval)}. Enter shows the entries of the ${interval}`}
        aria-valuemin={0}
        aria-valuemax={Math.max(last, 0)}
        aria-valuenow={Math.max(current, 0)}
        aria-valuetext={chosen && words(chosen, interval)}
        onKeyDown={onKeyDown}
        onFocus={() => point(current)}
      />
      <figcaption className={css.caption}>
        {pointed !== undefined && chosen !== undefined
          ? words(chosen, interval)
          : `${summary(buckets, interval)}. Choose ${interval === "day" ? "a day" : "an hour"} to see its entries.`}
      </figcaption>
    </figure>
  );
}

function draw(
  element: HTMLElement,
  buckets: Bucket[],
  interval: Interval,
  height: number,
  onPoint: (index: number | null | undefined) => void,
): uPlot {
  const style = getComputedStyle(document.documentElement);
  const color = (name: string) => style.getPropertyValue(name).trim();
  const bars = { width: 0, paths: uPlot.paths.bars?.({ size: [0.75, 28], radius: 0.15 }), points: { show: false } };
  const axis = {
    stroke: color("--mantine-color-dimmed"),
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui",
  };
  const times = buckets.map((bucket) => new Date(bucket.from).getTime() / 1000);
  const half = LENGTH_MS[interval] / 2000;
  const refused = buckets.map(refusedIn);
  return new uPlot(
    {
      width: element.clientWidth,
      height,
      // Days are those of UTC, and are called so wherever somebody is.
      tzDate: (time) => (interval === "day" ? uPlot.tzDate(new Date(time * 1000), "Etc/UTC") : new Date(time * 1000)),
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      hooks: { setCursor: [(made) => onPoint(made.cursor.idx)] },
      scales: {
        x: { range: () => [(times[0] ?? 0) - half, (times.at(-1) ?? 1) + half] },
        y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] },
      },
      axes: [
        { ...axis, grid: { show: false } },
        { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000, 100_000, 1_000_000] },
      ],
      series: [
        {},
        { label: "all", fill: color("--mantine-color-accent-filled"), ...bars },
        { label: "denied or failed", fill: color("--removed-line"), ...bars },
      ],
    },
    [times, buckets.map((bucket, index) => bucket.success + (refused[index] ?? 0)), refused],
    element,
  );
}
