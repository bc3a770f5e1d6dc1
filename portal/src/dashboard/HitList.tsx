import { Button, Checkbox, Skeleton } from "@mantine/core";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { PickFolderDialog } from "../folder/FolderDialogs";
import { countsIn } from "../folder/folder";
import { confirm } from "../ui/confirm";
import { Card, Empty } from "../ui/Page";
import { tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { deleteHit, forEach, isFolder, moveTo } from "./actions";
import css from "./DashboardsPage.module.css";
import { HitRow } from "./HitRow";
import type { Hit } from "./search";
import { restoreDeleted } from "./trash";

interface HitListProps {
  /** What was found, or nothing as long as it is not known. */
  hits: Hit[] | undefined;
  isFiltered: boolean;
  canEdit: boolean;
  showsFolder: boolean;
  at: string | undefined;
  hasMore: boolean;
  onMore: () => void;
  onImport: () => void;
  onChanged: () => unknown;
}

const ROW_PX = 48;
const SKELETONS = ["a", "b", "c", "d", "e", "f", "g", "h"];

/** Folders and dashboards as a list of any length, of which many can be moved and deleted at once. */
export function HitList(props: HitListProps) {
  const { hits, isFiltered, canEdit, onChanged } = props;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [moving, setMoving] = useState<Hit[]>();
  const selected = useMemo(() => (hits ?? []).filter((hit) => chosen.has(hit.uid)), [hits, chosen]);

  async function remove(list: Hit[]) {
    if (!(await askToDelete(list))) return;
    const failed = await forEach(list, deleteHit);
    finish(list, failed, "deleted", () => undoDelete(list.filter((hit) => !isFolder(hit))));
  }

  async function undoDelete(list: Hit[]) {
    const failed = await forEach(list, (hit) => restoreDeleted(hit.uid));
    finish(list, failed, "restored");
  }

  async function move(list: Hit[], folderUid: string | undefined) {
    setMoving(undefined);
    const failed = await forEach(list, (hit) => moveTo(hit, folderUid));
    finish(list, failed, "moved");
  }

  function finish(list: Hit[], failed: { item: Hit; error: unknown }[], done: string, undo?: () => void) {
    setChosen(new Set());
    onChanged();
    const count = list.length - failed.length;
    const canUndo = undo !== undefined && list.every((hit) => !isFolder(hit));
    if (count > 0) {
      tellDone(
        list.length === 1 ? `“${list[0]?.title.slice(0, 80)}” ${done}` : `${count} ${done}`,
        canUndo ? undo : undefined,
      );
    }
    for (const { error } of failed.slice(0, 3)) tellProblem(error);
  }

  function toggle(uid: string, isOn: boolean) {
    const next = new Set(chosen);
    if (isOn) next.add(uid);
    else next.delete(uid);
    setChosen(next);
  }

  if (hits?.length === 0) {
    return (
      <Card>
        {props.at !== undefined ? (
          <Empty title="Nothing was here then">
            Choose a later time, or fewer words and tags if you are searching. What came later shows when you go back to
            now.
          </Empty>
        ) : isFiltered ? (
          <Empty title="Nothing matches">Use fewer words or tags, or look in all folders.</Empty>
        ) : (
          <Empty
            title="No dashboards here yet"
            action={canEdit && <Button onClick={props.onImport}>Import dashboards</Button>}
          >
            {canEdit
              ? "Drop JSON files anywhere on this page, or save dashboards with the API, Terraform or any Grafana client."
              : "Somebody with the role Editor can add some."}
          </Empty>
        )}
      </Card>
    );
  }
  return (
    <Card isFlush>
      <div className={css.head} data-selected={selected.length > 0}>
        {canEdit ? (
          <Checkbox
            size="xs"
            aria-label="Select all that are shown"
            checked={selected.length > 0 && selected.length === hits?.length}
            indeterminate={selected.length > 0 && selected.length !== hits?.length}
            onChange={(event) =>
              setChosen(event.currentTarget.checked ? new Set(hits?.map((hit) => hit.uid as string)) : new Set())
            }
          />
        ) : (
          <span />
        )}
        {selected.length > 0 ? (
          <>
            <strong className={ui.grow}>{selected.length} selected</strong>
            <Button size="compact-sm" variant="default" onClick={() => setMoving(selected)}>
              Move…
            </Button>
            <Button size="compact-sm" color="red" onClick={() => void remove(selected)}>
              Delete…
            </Button>
          </>
        ) : (
          <span>Name</span>
        )}
      </div>
      {hits === undefined ? (
        SKELETONS.map((key) => <Skeleton key={key} height={14} m="md" width="60%" />)
      ) : (
        <Rows
          {...props}
          hits={hits}
          chosen={chosen}
          onToggle={toggle}
          onMove={(hit) => setMoving([hit])}
          onDelete={(hit) => void remove([hit])}
        />
      )}
      {moving !== undefined && (
        <PickFolderDialog
          title={moving.length === 1 ? "Move to" : `Move ${moving.length} to`}
          onClose={() => setMoving(undefined)}
          onPick={(uid) => void move(moving, uid)}
        />
      )}
    </Card>
  );
}

/** Asks, saying what will be gone. Dashboards alone go to the trash, so one of them needs no question. */
async function askToDelete(list: Hit[]): Promise<boolean> {
  const folders = list.filter(isFolder);
  const dashboards = list.length - folders.length;
  if (folders.length === 0 && dashboards === 1) return true;
  const counts = await Promise.all(folders.map((folder) => countsIn(folder.uid).catch(() => undefined)));
  const inside = counts.reduce((sum, count) => sum + (count?.dashboard ?? 0), 0);
  return confirm({
    title: list.length === 1 ? "Delete this folder?" : `Delete ${list.length} items?`,
    body: (
      <>
        {folders.length > 0 && (
          <p>
            {folders.length === 1 ? "The folder" : `${folders.length} folders`}{" "}
            {folders.slice(0, 3).map((folder) => (
              <bdi key={folder.uid}>“{folder.title.slice(0, 80)}” </bdi>
            ))}
            will be deleted with everything inside: {inside} {inside === 1 ? "dashboard" : "dashboards"}.
          </p>
        )}
        {dashboards > 0 && <p>{dashboards} dashboards go to the trash, from where they can be restored.</p>}
      </>
    ),
    action: "Delete",
  });
}

interface RowsProps extends HitListProps {
  hits: Hit[];
  chosen: ReadonlySet<string>;
  onToggle: (uid: string, isOn: boolean) => void;
  onMove: (hit: Hit) => void;
  onDelete: (hit: Hit) => void;
}

function Rows({ hits, chosen, hasMore, onMore, ...props }: RowsProps) {
  const list = useRef<HTMLDivElement>(null);
  const rows = useWindowVirtualizer({
    count: hits.length,
    estimateSize: () => ROW_PX,
    overscan: 6,
    scrollMargin: list.current?.offsetTop ?? 0,
  });
  const items = rows.getVirtualItems();
  const last = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && last >= hits.length - 20) onMore();
  }, [hasMore, last, hits.length, onMore]);
  return (
    <div ref={list} className={css.rows} style={{ height: rows.getTotalSize() }}>
      {items.map((item) => {
        const hit = hits[item.index];
        if (hit === undefined) return null;
        return (
          <div
            // Another hit at the same place changes texts, which is faster than another row.
            key={item.index}
            className={css.row}
            data-last={item.index === hits.length - 1}
            style={{ transform: `translateY(${item.start - rows.options.scrollMargin}px)` }}
          >
            <HitRow hit={hit} isChosen={chosen.has(hit.uid)} {...props} />
          </div>
        );
      })}
    </div>
  );
}
