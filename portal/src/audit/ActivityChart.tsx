import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import css from "./ActivityChart.module.css";
import type { Bucket } from "./event";

interface ActivityChartProps {
  buckets: Bucket[];
  height?: number;
  /** Somebody chose a day. */
  onPick: (day: string) => void;
}

/** A day as the search box of the audit log takes it. */
export function dayOf(bucket: Bucket): string {
  return bucket.from.slice(0, 10);
}

function summary(buckets: Bucket[]): string {
  const total = buckets.reduce((sum, bucket) => sum + bucket.success + bucket.denied + bucket.failure, 0);
  const refused = buckets.reduce((sum, bucket) => sum + bucket.denied + bucket.failure, 0);
  return `${total.toLocaleString("en")} entries in ${buckets.length} days, ${refused.toLocaleString("en")} of them denied or failed`;
}

/** How much happened on each day. */
export default function ActivityChart({ buckets, height = 160, onPick }: ActivityChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme();
  const pick = useRef(onPick);
  pick.current = onPick;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the colors are read anew when the scheme changes.
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const style = getComputedStyle(document.documentElement);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const bars = uPlot.paths.bars?.({ size: [0.75, 28], radius: 0.15 });
    const axis = {
      stroke: color("--mantine-color-dimmed"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui",
    };
    const refused = buckets.map((bucket) => bucket.denied + bucket.failure);
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: { y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
        axes: [
          { ...axis, grid: { show: false } },
          { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000, 100_000, 1_000_000] },
        ],
        series: [
          {},
          {
            label: "all",
            fill: color("--mantine-color-accent-filled"),
            width: 0,
            paths: bars,
            points: { show: false },
          },
          { label: "denied or failed", fill: color("--removed-line"), width: 0, paths: bars, points: { show: false } },
        ],
      },
      [
        buckets.map((bucket) => new Date(bucket.from).getTime() / 1000),
        buckets.map((bucket, index) => bucket.success + (refused[index] ?? 0)),
        refused,
      ],
      element,
    );
    plot.over.addEventListener("click", () => {
      const bucket = buckets[plot.cursor.idx ?? -1];
      if (bucket !== undefined) pick.current(dayOf(bucket));
    });
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [buckets, height, scheme]);
  return (
    <figure className={css.figure}>
      <div ref={host} className={css.chart} style={{ height }} role="img" aria-label={summary(buckets)} />
      <figcaption className={css.caption}>{summary(buckets)}. Click a day to see its entries.</figcaption>
    </figure>
  );
}
