import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { whenUp } from "../api/chunk";
import ui from "../ui/ui.module.css";
import { activityQuery } from "./event";
import type { Stretch } from "./stretch";

const load = () => import("./ActivityChart");
const loadWhenUp = whenUp(load);

/** What is shown where a newer portal was installed since. */
function NoChart() {
  return <span className={ui.dim}>The chart could not be loaded. Load the page again to try once more.</span>;
}

/** How high what is written below the chart is: nothing moves when it comes. */
const CAPTION_PX = 23;

const ActivityChart = lazy(() => loadWhenUp().catch(() => ({ default: NoChart })));

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
  const empty = <Skeleton height={height + CAPTION_PX} />;
  if (activity.isError) {
    return <span className={ui.dim}>The activity could not be read: {activity.error.message}</span>;
  }
  if (activity.data === undefined) return empty;
  return (
    <Suspense fallback={empty}>
      <ActivityChart {...activity.data} height={height} onPick={onPick} />
    </Suspense>
  );
}
