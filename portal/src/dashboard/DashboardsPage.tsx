import { Button, MultiSelect, NativeSelect, Switch } from "@mantine/core";
import { useDebouncedValue, useDisclosure } from "@mantine/hooks";
import { keepPreviousData, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { client, of } from "../api/client";
import { FolderDialog } from "../folder/FolderDialogs";
import { FolderTree } from "../folder/FolderTree";
import { folderQuery } from "../folder/folder";
import { useMe } from "../session/session";
import { TimeSlider } from "../shell/TimeSlider";
import { PlusIcon, UploadIcon } from "../ui/icons";
import { Card, Page } from "../ui/Page";
import { ProblemBox } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import css from "./DashboardsPage.module.css";
import { HitList } from "./HitList";
import { ImportDialog, useDrop } from "./ImportDialog";
import { SearchBox } from "./SearchBox";
import { pagedSearchQuery, type Sorting, sortingQuery } from "./search";

/** What the address bar says about the page of dashboards. */
export interface DashboardsSearch {
  folder?: string;
  query?: string;
  tags?: string[];
  starred?: boolean;
  sort?: Sorting;
  at?: string;
}

const ADDRESS_DELAY_MS = 300;

/** Folders and dashboards: a tree beside a list. */
export function DashboardsPage() {
  const { folder, query = "", tags = [], starred = false, sort, at } = useSearch({ from: "/shell/dashboards" });
  const navigate = useNavigate({ from: "/dashboards" });
  const queries = useQueryClient();
  const me = useMe();
  const [wanted, setWanted] = useState(query);
  const [shown, setShown] = useState(folder);
  // Who opens a folder wants to see what is in it, not what was searched before.
  if (shown !== folder) {
    setShown(folder);
    setWanted("");
  }
  const [isMaking, making] = useDisclosure(false);
  const [isChanging, changing] = useDisclosure(false);
  const [files, setFiles] = useState<File[]>();
  const canEdit = me.isEditor && at === undefined;
  const isDropping = useDrop(canEdit ? setFiles : undefined);
  // The address bar follows when somebody pauses, because each change of it draws everything around the page, too.
  const [settled] = useDebouncedValue(wanted, ADDRESS_DELAY_MS);
  useEffect(() => {
    void navigate({ search: (old) => ({ ...old, query: settled || undefined }), replace: true });
  }, [settled, navigate]);

  const isFiltered = wanted !== "" || tags.length > 0 || starred;
  const parameters = useMemo(
    () => ({
      query: wanted || undefined,
      tag: tags.length > 0 ? tags : undefined,
      starred: starred || undefined,
      sort,
      folderUIDs: folder === undefined ? (isFiltered ? undefined : ["general"]) : [folder],
    }),
    [wanted, tags, starred, sort, folder, isFiltered],
  );
  const hits = useInfiniteQuery({ ...pagedSearchQuery(parameters, at), placeholderData: keepPreviousData });
  const found = useMemo(() => hits.data?.pages.flat(), [hits.data]);
  const current = useQuery({ ...folderQuery(folder ?? "", at), enabled: folder !== undefined });
  const tagList = useQuery({ queryKey: ["tags"], queryFn: () => of(client.GET("/api/dashboards/tags")) });
  const sorting = useQuery(sortingQuery);
  const parents = current.data?.parents ?? [];
  const problem = (folder === undefined ? null : current.error) ?? hits.error;
  const reload = () => queries.invalidateQueries();

  return (
    <Page
      title={folder === undefined ? "Dashboards" : (current.data?.title ?? "Folder")}
      description={
        folder === undefined ? undefined : (
          <nav aria-label="Where this folder is" className={css.crumbs}>
            <Link to="/dashboards" search={(old) => ({ ...old, folder: undefined })}>
              Dashboards
            </Link>
            {parents.map((parent) => (
              <Link key={parent.uid} to="/dashboards" search={(old) => ({ ...old, folder: parent.uid })}>
                <bdi>{parent.title}</bdi>
              </Link>
            ))}
            {current.data?.description && <bdi>{current.data.description}</bdi>}
          </nav>
        )
      }
      actions={
        <>
          <TimeSlider />
          {canEdit && folder !== undefined && current.data !== undefined && (
            <Button variant="default" onClick={changing.open}>
              Rename
            </Button>
          )}
          {canEdit && (
            <>
              <Button variant="default" leftSection={<PlusIcon size={15} />} onClick={making.open}>
                New folder
              </Button>
              <Button leftSection={<UploadIcon size={15} />} onClick={() => setFiles([])}>
                Import
              </Button>
            </>
          )}
        </>
      }
    >
      <div className={css.columns}>
        <aside className={css.side}>
          <Card isFlush>
            <FolderTree
              selected={folder}
              open={[...parents.map((parent) => parent.uid as string), ...(folder === undefined ? [] : [folder])]}
              onSelect={(uid) => void navigate({ search: (old) => ({ ...old, folder: uid }) })}
              at={at}
            />
          </Card>
        </aside>
        <div className={ui.stack}>
          <div className={ui.bar}>
            <SearchBox
              key={folder}
              initial={wanted}
              placeholder={folder === undefined ? "Search all folders and dashboards" : "Search this folder"}
              onSearch={setWanted}
            />
            <MultiSelect
              className={css.tags}
              data={(tagList.data ?? []).map((tag) => tag.term)}
              value={tags}
              onChange={(value) =>
                void navigate({ search: (old) => ({ ...old, tags: value.length > 0 ? value : undefined }) })
              }
              placeholder={tags.length === 0 ? "Tags" : undefined}
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
                const chosen = event.currentTarget.value;
                void navigate({ search: (old) => ({ ...old, sort: (chosen || undefined) as Sorting | undefined }) });
              }}
            />
            <Switch
              label="Starred"
              checked={starred}
              onChange={(event) => {
                const isOn = event.currentTarget.checked;
                void navigate({ search: (old) => ({ ...old, starred: isOn || undefined }) });
              }}
            />
          </div>
          {problem !== null ? (
            <ProblemBox error={problem} onRetry={() => void Promise.all([current.refetch(), hits.refetch()])} />
          ) : (
            <HitList
              hits={found}
              isFiltered={isFiltered}
              canEdit={canEdit}
              showsFolder={isFiltered}
              at={at}
              hasMore={hits.hasNextPage}
              onMore={() => void hits.fetchNextPage()}
              onImport={() => setFiles([])}
              onChanged={reload}
            />
          )}
        </div>
      </div>
      {isMaking && (
        <FolderDialog
          parentUid={folder}
          onClose={making.close}
          onDone={() => {
            making.close();
            void reload();
          }}
        />
      )}
      {isChanging && current.data !== undefined && (
        <FolderDialog
          folder={current.data}
          parentUid={folder}
          onClose={changing.close}
          onDone={() => {
            changing.close();
            void reload();
          }}
        />
      )}
      {files !== undefined && (
        <ImportDialog files={files} folderUid={folder} onClose={() => setFiles(undefined)} onImported={reload} />
      )}
      {isDropping && <div className={css.drop}>Drop dashboards here to import them</div>}
    </Page>
  );
}
