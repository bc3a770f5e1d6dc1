import { MultiSelect, NativeSelect, Switch } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { memo } from "react";
import { client, of } from "../api/client";
import css from "./DashboardsPage.module.css";
import { type Sorting, sortingQuery } from "./search";

const FROM = { from: "/shell/dashboards" } as const;

/** What else than words says what is listed, and in which order. It is drawn only when one of these changes. */
export const Filters = memo(function Filters() {
  const tags = useSearch({ ...FROM, select: (search) => search.tags });
  const isStarred = useSearch({ ...FROM, select: (search) => search.starred === true });
  const sort = useSearch({ ...FROM, select: (search) => search.sort });
  const navigate = useNavigate({ from: "/dashboards" });
  const tagList = useQuery({ queryKey: ["tags"], queryFn: () => of(client.GET("/api/dashboards/tags")) });
  const sorting = useQuery(sortingQuery);
  return (
    <>
      <MultiSelect
        className={css.tags}
        data={(tagList.data ?? []).map((tag) => tag.term)}
        value={tags ?? []}
        onChange={(value) =>
          void navigate({
            search: (old) => ({ ...old, tags: value.length > 0 ? value : undefined }),
            resetScroll: false,
          })
        }
        placeholder={tags === undefined ? "Tags" : undefined}
        aria-label="Tags"
        limit={50}
        searchable
        clearable
      />
      <NativeSelect
        aria-label="Sort by"
        data={[
          { value: "", label: "Folders first" },
          ...(sorting.data ?? []).map(({ name, displayName }) => ({ value: name, label: displayName })),
        ]}
        value={sort ?? ""}
        onChange={(event) => {
          const chosen = (event.currentTarget.value || undefined) as Sorting | undefined;
          void navigate({ search: (old) => ({ ...old, sort: chosen }), resetScroll: false });
        }}
      />
      <Switch
        label="Starred"
        checked={isStarred}
        onChange={(event) => {
          const isOn = event.currentTarget.checked;
          void navigate({ search: (old) => ({ ...old, starred: isOn || undefined }), resetScroll: false });
        }}
      />
    </>
  );
});
