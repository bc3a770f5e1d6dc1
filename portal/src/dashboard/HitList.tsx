import { Button, Checkbox, Loader, Skeleton } from "@mantine/core";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { memo, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { PickFolderDialog } from "../folder/PickFolderDialog";
import { Card, Empty } from "../ui/Page";
import ui from "../ui/ui.module.css";
import css from "./DashboardsPage.module.css";
import { HitRow } from "./HitRow";
import type { Hit } from "./search";
import { useBulk } from "./useBulk";

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
const NONE: ReadonlySet<string> = new Set();

/** Folders and dashboards as a list of any length, of which many can be moved and deleted at once. */
export const HitList = memo(function HitList(props: HitListProps) {
  const { hits, isFiltered, canEdit, onChanged } = props;
  const [chosen, setChosen] = useState(NONE);
  const [moving, setMoving] = useState<Hit[]>();
  const selected = useMemo(
    () => (chosen.size === 0 ? [] : (hits ?? []).filter((hit) => chosen.has(hit.uid))),
    [hits, chosen],
  );
  const finish = useCallback(() => {
    setChosen(NONE);
    onChanged();
  }, [onChanged]);
  const { progress, move, remove } = useBulk(finish);

  // Rows are drawn anew only when something of theirs changes, so what they are given stays the same.
  const toggle = useCallback((uid: string, isOn: boolean) => {
    setChosen((old) => {
      const next = new Set(old);
      if (isOn) next.add(uid);
      else next.delete(uid);
      return next;
    });
  }, []);
  const moveOne = useCallback((hit: Hit) => setMoving([hit]), []);
  const removeOne = useCallback((hit: Hit) => void remove([hit]), [remove]);

  if (hits?.length === 0) {
    return (
      <Card>
        {props.at !== undefined ? (
          <Empty title="Nothing existed at that time">
            Choose a later time, or use fewer words and tags. Newer objects show when you go back to now.
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
      <div
        className={css.head}
        data-selected={selected.length > 0 || progress !== undefined}
        role={progress && "status"}
      >
        {progress !== undefined ? (
          <>
            <Loader size={14} color="currentColor" />
            <strong className={ui.grow}>
              {progress.what} {progress.done.toLocaleString("en")} of {progress.total.toLocaleString("en")}…
            </strong>
          </>
        ) : (
          <Head
            count={selected.length}
            total={hits?.length}
            canEdit={canEdit}
            onAll={(isOn) => setChosen(isOn ? new Set(hits?.map((hit) => hit.uid as string)) : NONE)}
            onMove={() => setMoving(selected)}
            onDelete={() => void remove(selected)}
          />
        )}
      </div>
      {hits === undefined ? (
        SKELETONS.map((key) => <Skeleton key={key} height={14} m="md" width="60%" />)
      ) : (
        <Rows
          hits={hits}
          chosen={chosen}
          canEdit={canEdit}
          showsFolder={props.showsFolder}
          at={props.at}
          hasMore={props.hasMore}
          onMore={props.onMore}
          onChanged={onChanged}
          onToggle={toggle}
          onMove={moveOne}
          onDelete={removeOne}
        />
      )}
      {moving !== undefined && (
        <PickFolderDialog
          title={moving.length === 1 ? "Move to" : `Move ${moving.length} to`}
          onClose={() => setMoving(undefined)}
          onPick={(uid) => {
            setMoving(undefined);
            void move(moving, uid);
          }}
        />
      )}
    </Card>
  );
});

interface HeadProps {
  /** How many are selected, of how many. */
  count: number;
  total: number | undefined;
  canEdit: boolean;
  onAll: (isOn: boolean) => void;
  onMove: () => void;
  onDelete: () => void;
}

/** What stands above the list: what is selected, and what can be done with it. */
function Head({ count, total, canEdit, onAll, onMove, onDelete }: HeadProps) {
  return (
    <>
      {canEdit ? (
        <Checkbox
          size="xs"
          aria-label="Select all that are shown"
          checked={count > 0 && count === total}
          indeterminate={count > 0 && count !== total}
          onChange={(event) => onAll(event.currentTarget.checked)}
        />
      ) : (
        <span />
      )}
      {count > 0 ? (
        <>
          <strong className={ui.grow}>{count.toLocaleString("en")} selected</strong>
          <Button size="compact-sm" variant="default" onClick={onMove}>
            Move…
          </Button>
          <Button size="compact-sm" color="red" onClick={onDelete}>
            Delete…
          </Button>
        </>
      ) : (
        <span>Name</span>
      )}
    </>
  );
}

interface RowsProps extends Pick<HitListProps, "canEdit" | "showsFolder" | "at" | "hasMore" | "onMore" | "onChanged"> {
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
