import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import { FolderDialog } from "../folder/FolderDialog";
import { FolderTree } from "../folder/FolderTree";
import { folderQuery } from "../folder/folder";
import { useMe } from "../session/session";
import { TimeSlider } from "../shell/TimeSlider";
import { PlusIcon, UploadIcon } from "../ui/icons";
import { LongText } from "../ui/LongText";
import { Card, Name, Page } from "../ui/Page";
import { ProblemBox } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import css from "./DashboardsPage.module.css";
import { FoundDashboards } from "./FoundDashboards";
import { ImportDialog, useDrop } from "./ImportDialog";
import type { Sorting } from "./search";

/** What the address bar says about the page of dashboards. */
export interface DashboardsSearch {
  folder?: string;
  query?: string;
  tags?: string[];
  starred?: boolean;
  sort?: Sorting;
  at?: string;
}

/** Folders and dashboards: a tree beside a list. */
export function DashboardsPage() {
  // What is typed is not looked at here: a key draws what is found, and not the tree beside it.
  const folder = useSearch({ from: "/shell/dashboards", select: (search) => search.folder });
  const at = useSearch({ from: "/shell/dashboards", select: (search) => search.at });
  const navigate = useNavigate({ from: "/dashboards" });
  const queries = useQueryClient();
  const me = useMe();
  const [isMaking, making] = useDisclosure(false);
  const [isChanging, changing] = useDisclosure(false);
  const [files, setFiles] = useState<File[]>();
  const canEdit = me.isEditor && at === undefined;
  const isDropping = useDrop(canEdit ? setFiles : undefined);
  const current = useQuery({ ...folderQuery(folder ?? "", at), enabled: folder !== undefined });
  const parents = current.data?.parents ?? [];
  const reload = useCallback(() => queries.invalidateQueries(), [queries]);
  const startImport = useCallback(() => setFiles([]), []);

  return (
    <Page
      title={folder === undefined ? "Dashboards" : (current.data?.title ?? "Folder")}
      description={
        folder === undefined ? undefined : (
          <nav aria-label="Where this folder is" className={css.crumbs}>
            <Link to="/dashboards" search={(old) => ({ ...old, folder: undefined, query: undefined })}>
              Dashboards
            </Link>
            {parents.map((parent) => (
              <Link
                key={parent.uid}
                to="/dashboards"
                search={(old) => ({ ...old, folder: parent.uid, query: undefined })}
              >
                <Name>{String(parent.title)}</Name>
              </Link>
            ))}
            {current.data?.description && (
              <span>
                <LongText key={folder}>{current.data.description}</LongText>
              </span>
            )}
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
              <Button leftSection={<UploadIcon size={15} />} onClick={startImport}>
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
              // Who opens a folder wants to see what is in it, not what was searched before.
              onSelect={(uid) => void navigate({ search: (old) => ({ ...old, folder: uid, query: undefined }) })}
              at={at}
            />
          </Card>
        </aside>
        <div className={ui.stack}>
          {folder !== undefined && current.isError ? (
            <ProblemBox error={current.error} onRetry={() => void current.refetch()} />
          ) : (
            <FoundDashboards folder={folder} at={at} canEdit={canEdit} onImport={startImport} onChanged={reload} />
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
