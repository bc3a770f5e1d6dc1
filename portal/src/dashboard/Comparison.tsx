import { SegmentedControl, Skeleton } from "@mantine/core";
import { lazy, type ReactNode, Suspense, useMemo } from "react";
import { whenUp } from "../api/chunk";
import { LongText } from "../ui/LongText";
import { Card } from "../ui/Page";
import ui from "../ui/ui.module.css";
import css from "./Comparison.module.css";
import type { DashboardDocument } from "./document";
import { LayoutPicture } from "./LayoutPicture";
import { areSame, compare, inWords } from "./words";

const JsonView = lazy(whenUp(() => import("./JsonView")));

/** How two documents are shown side by side. */
export type ComparisonForm = "panels" | "json";

/** Chooses how two documents are shown. */
export function FormSwitch({ as, onChange }: { as: ComparisonForm; onChange: (form: ComparisonForm) => void }) {
  return (
    <SegmentedControl
      data={[
        { value: "panels", label: "Panels" },
        { value: "json", label: "JSON" },
      ]}
      value={as}
      aria-label="How the versions are shown"
      onChange={(value) => onChange(value as ComparisonForm)}
    />
  );
}

interface ComparisonProps {
  before: DashboardDocument;
  after: DashboardDocument;
  /** What is said of each side. */
  titles: [ReactNode, ReactNode];
  as: ComparisonForm;
}

/** Two documents of a dashboard: what changed in words, and both side by side. */
export function Comparison({ before, after, titles, as }: ComparisonProps) {
  const difference = useMemo(() => compare(before, after), [before, after]);
  const words = inWords(difference);
  return (
    <>
      <Card title="What changed">
        {words.length === 0 ? (
          <span className={ui.dim}>
            {areSame(before, after) ? "The versions are identical." : "No visible differences: only the JSON differs."}
          </span>
        ) : (
          <ul className={css.words}>
            {words.map((word, index) => (
              // Two panels can have the same title, and the same done to them.
              // biome-ignore lint/suspicious/noArrayIndexKey: the list is written anew with each difference.
              <li key={index}>
                <LongText>{word}</LongText>
              </li>
            ))}
          </ul>
        )}
      </Card>
      {as === "panels" ? (
        <>
          <div className={css.legend} aria-hidden="true">
            <span data-change="added">added</span>
            <span data-change="removed">removed</span>
            <span data-change="changed">moved or changed</span>
          </div>
          <div className={css.sides}>
            <Card title={titles[0]}>
              <LayoutPicture document={before} difference={difference} side="before" />
            </Card>
            <Card title={titles[1]}>
              <LayoutPicture document={after} difference={difference} side="after" />
            </Card>
          </div>
        </>
      ) : (
        <Suspense fallback={<Skeleton height={400} radius="md" />}>
          <JsonView before={before} after={after} />
        </Suspense>
      )}
    </>
  );
}
