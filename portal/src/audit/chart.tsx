import { Skeleton } from "@mantine/core";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { whenUp } from "../api/chunk";
import ui from "../ui/ui.module.css";
import { activityQuery } from "./event";
import type { Stretch } from "./stretch";

const load = () => import("./ActivityChart");

/**
 * The chart itself, which comes with what only it needs. It is no lazy component: React keeps what stands in for one for some 300 ms
 * more, so that nothing flickers, and here the numbers are waited for in the same place.
 */
const chartQuery = queryOptions({
  queryKey: ["chart"],
  queryFn: whenUp(load),
  staleTime: Number.POSITIVE_INFINITY,
  structuralSharing: false,
});

/** How high what is written below the chart is: nothing moves when it comes. */
const CAPTION_PX = 23;

/** Fetches the chart while other things are done. What fails here fails again where it is shown, and is told there. */
export function fetchChart() {
  load().catch(() => undefined);
}

interface ActivityProps {
  of: Stretch;
  height: number;
  /** Somebody chose a stretch of time: its first and last moment. */
  onPick: (after: string, before: string) => void;
}

/** How much happened over time, as a chart. */
export function Activity({ of, height, onPick }: ActivityProps) {
  const activity = useQuery(activityQuery(of));
  const chart = useQuery(chartQuery);
  if (activity.isError) {
    return <span className={ui.dim}>The activity could not be read: {activity.error.message}</span>;
  }
  // A newer portal was installed since.
  if (chart.isError) {
    return <span className={ui.dim}>The chart could not be loaded. Load the page again to try once more.</span>;
  }
  if (activity.data === undefined || chart.data === undefined) return <Skeleton height={height + CAPTION_PX} />;
  const ActivityChart = chart.data.default;
  return <ActivityChart {...activity.data} height={height} onPick={onPick} />;
}
