import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useMemo } from "react";
import { ProblemBox } from "../ui/ProblemBox";
import { SearchBox } from "../ui/SearchBox";
import ui from "../ui/ui.module.css";
import { useSearchText } from "../ui/useSearchText";
import { Filters } from "./Filters";
import { HitList } from "./HitList";
import { pagedSearchQuery } from "./search";

interface FoundDashboardsProps {
  folder: string | undefined;
  at: string | undefined;
  canEdit: boolean;
  onImport: () => void;
  onChanged: () => unknown;
}

/** What is in a folder, or what is found. A key draws this and nothing around it. */
export function FoundDashboards({ folder, at, canEdit, onImport, onChanged }: FoundDashboardsProps) {
  const { query = "", tags, starred, sort } = useSearch({ from: "/shell/dashboards" });
  const navigate = useNavigate({ from: "/dashboards" });
  const { text, turns, onSearch, onLeave } = useSearchText(query, (wanted) => {
    void navigate({ search: (old) => ({ ...old, query: wanted || undefined }), replace: true, resetScroll: false });
  });
  const isFiltered = text !== "" || tags !== undefined || starred !== undefined;
  const parameters = useMemo(
    () => ({
      query: text || undefined,
      tag: tags,
      starred,
      sort,
      folderUIDs: folder === undefined ? (isFiltered ? undefined : ["general"]) : [folder],
    }),
    [text, tags, starred, sort, folder, isFiltered],
  );
  const { data, error, hasNextPage, fetchNextPage, refetch } = useInfiniteQuery({
    ...pagedSearchQuery(parameters, at),
    placeholderData: keepPreviousData,
  });
  const hits = useMemo(() => data?.pages.flat(), [data]);
  const showMore = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  return (
    <>
      <div className={ui.bar}>
        <SearchBox
          className={ui.grow}
          label="Search folders and dashboards"
          placeholder={folder === undefined ? "Search all folders and dashboards" : "Search this folder"}
          text={text}
          turns={turns}
          onSearch={onSearch}
          onLeave={onLeave}
        />
        <Filters />
      </div>
      {error !== null ? (
        <ProblemBox error={error} onRetry={() => void refetch()} />
      ) : (
        <HitList
          hits={hits}
          isFiltered={isFiltered}
          canEdit={canEdit}
          showsFolder={isFiltered}
          at={at}
          hasMore={hasNextPage}
          onMore={showMore}
          onImport={onImport}
          onChanged={onChanged}
        />
      )}
    </>
  );
}
