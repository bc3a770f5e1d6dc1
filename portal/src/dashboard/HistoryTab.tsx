import { Button, Checkbox, Skeleton } from "@mantine/core";
import { useInfiniteQuery, useQueries, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { asProblem } from "../api/problem";
import { confirm } from "../ui/confirm";
import { Card, Empty } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { When } from "../ui/When";
import type { DashboardDocument } from "./document";
import css from "./HistoryTab.module.css";
import { restoreVersion, type Version, versionQuery, versionsQuery } from "./version";
import { compare, inWords } from "./words";

const MAX_WORDS = 6;

interface HistoryTabProps {
  uid: string;
  canEdit: boolean;
  /** Later versions do not show. */
  at: string | undefined;
}

/** The versions of a dashboard, each with who made it and what it changed. */
export function HistoryTab({ uid, canEdit, at }: HistoryTabProps) {
  const pages = useInfiniteQuery(versionsQuery(uid));
  const versions = useMemo(() => {
    const end = at === undefined ? Number.POSITIVE_INFINITY : new Date(at).getTime();
    return pages.data?.pages
      .flatMap((page) => page.versions)
      .filter((version) => new Date(version.created).getTime() <= end);
  }, [pages.data, at]);
  const { hasNextPage, isFetching, fetchNextPage } = pages;
  const isTooNew = versions?.length === 0 && hasNextPage;
  useEffect(() => {
    // All that came so far is later than the moment that is looked at.
    if (isTooNew && !isFetching) void fetchNextPage();
  }, [isTooNew, isFetching, fetchNextPage]);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const [chosen, setChosen] = useState<number[]>([]);
  if (pages.isError && at !== undefined && asProblem(pages.error).status === 404) return <NoVersions />;
  if (pages.isError) return <ProblemBox error={pages.error} onRetry={() => void pages.refetch()} />;
  if (versions === undefined || isTooNew) return <Skeleton height={240} radius="md" />;
  if (versions.length === 0) return <NoVersions />;
  const newest = versions[0]?.version ?? 0;

  function toggle(version: number) {
    setChosen((old) => (old.includes(version) ? old.filter((one) => one !== version) : [...old.slice(-1), version]));
  }
  function compareVersions(from: number, to: number) {
    void navigate({ to: "/dashboards/$uid/compare", params: { uid }, search: { from, to } });
  }
  async function restore(version: number) {
    const isSure = await confirm({
      title: `Restore version ${version}?`,
      body: `A new version ${newest + 1} will be created with the content of version ${version}. Nothing is lost: version ${newest} stays in the history.`,
      action: "Restore",
      isDestructive: false,
    });
    if (!isSure) return;
    try {
      const saved = await restoreVersion(uid, version);
      await queries.invalidateQueries();
      tellDone(`Version ${saved.version} is like version ${version}`);
    } catch (error) {
      tellProblem(error);
    }
  }

  return (
    <Card
      isFlush
      title="Versions"
      aside={
        <Button
          size="compact-sm"
          variant="default"
          disabled={chosen.length !== 2}
          onClick={() => compareVersions(Math.min(...chosen), Math.max(...chosen))}
        >
          {chosen.length === 2 ? "Compare the two" : "Choose two to compare"}
        </Button>
      }
    >
      <ol className={css.line} aria-label="Versions, newest first">
        {versions.map((version) => (
          <li key={version.version} className={css.entry}>
            <Checkbox
              size="xs"
              aria-label={`Compare version ${version.version}`}
              checked={chosen.includes(version.version)}
              onChange={() => toggle(version.version)}
            />
            <div className={css.what}>
              <div className={css.head}>
                <strong>Version {version.version}</strong>
                <span className={ui.dim}>
                  <bdi>{version.createdBy.slice(0, 100)}</bdi>, <When time={version.created} />
                </span>
                {version.restoredFrom > 0 && (
                  <span className={ui.dim}>restored from version {version.restoredFrom}</span>
                )}
              </div>
              {version.message !== "" && (
                <div className={css.message}>
                  <bdi>{version.message}</bdi>
                </div>
              )}
              <Words uid={uid} version={version} />
            </div>
            <div className={css.actions}>
              {version.parentVersion > 0 && (
                <Button
                  size="compact-sm"
                  variant="subtle"
                  onClick={() => compareVersions(version.parentVersion, version.version)}
                >
                  See the change
                </Button>
              )}
              {canEdit && version.version !== newest && (
                <Button size="compact-sm" variant="subtle" onClick={() => void restore(version.version)}>
                  Restore
                </Button>
              )}
            </div>
          </li>
        ))}
      </ol>
      {pages.hasNextPage && (
        <div className={css.more}>
          <Button variant="default" loading={pages.isFetchingNextPage} onClick={() => void pages.fetchNextPage()}>
            Show older versions
          </Button>
        </div>
      )}
    </Card>
  );
}

/** Versions end with the dashboard: what is looked at in the past may have been deleted since. */
function NoVersions() {
  return (
    <Card>
      <Empty title="No versions of then">
        This dashboard was deleted since, and its versions went with it. Once it is restored from the trash they show
        again.
      </Empty>
    </Card>
  );
}

/** What a version changed against the one before it. */
function Words({ uid, version }: { uid: string; version: Version }) {
  const isFirst = version.parentVersion <= 0;
  const [before, after] = useQueries({
    queries: [
      { ...versionQuery(uid, version.parentVersion), enabled: !isFirst },
      { ...versionQuery(uid, version.version), enabled: !isFirst },
    ],
  });
  const words = useMemo(() => {
    if (before.data === undefined || after.data === undefined) return undefined;
    return inWords(compare(before.data.data as DashboardDocument, after.data.data as DashboardDocument));
  }, [before.data, after.data]);
  if (isFirst) return <div className={css.words}>Created</div>;
  if (words === undefined) return before.isError || after.isError ? null : <Skeleton height={12} mt={6} width="60%" />;
  if (words.length === 0) return <div className={css.words}>No visible changes</div>;
  return (
    <ul className={css.words} aria-label={`What version ${version.version} changed`}>
      {words.slice(0, MAX_WORDS).map((word, index) => (
        // Two panels can have the same title, and the same done to them.
        // biome-ignore lint/suspicious/noArrayIndexKey: a version does not change.
        <li key={index}>
          <bdi>{word.slice(0, 200)}</bdi>
        </li>
      ))}
      {words.length > MAX_WORDS && <li>and {words.length - MAX_WORDS} more changes</li>}
    </ul>
  );
}
