import { Skeleton } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import {
  type CSSProperties,
  type KeyboardEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useRef,
  useState,
} from "react";
import { asProblem } from "../api/problem";
import { ChevronIcon, FolderIcon } from "../ui/icons";
import css from "./FolderTree.module.css";
import { childFoldersQuery } from "./folder";

interface TreeProps {
  /** The folder that is shown beside the tree; nothing for the root. */
  selected: string | undefined;
  /** Folders that are open because what is selected is in them. */
  open: string[];
  onSelect: (uid: string | undefined) => void;
  at?: string;
  rootLabel?: string;
}

/** Moves the focus as in every tree: up and down; right opens, left closes. */
function onTreeKey(event: KeyboardEvent<HTMLElement>) {
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>("[role=treeitem]")];
  const index = items.indexOf(document.activeElement as HTMLElement);
  const current = items[index];
  if (current === undefined) return;
  const isOpen = current.getAttribute("aria-expanded") === "true";
  const toggle = () => current.querySelector<HTMLElement>("[data-toggle]")?.click();
  if (event.key === "ArrowDown") items[index + 1]?.focus();
  else if (event.key === "ArrowUp") items[index - 1]?.focus();
  else if (event.key === "Home") items[0]?.focus();
  else if (event.key === "End") items.at(-1)?.focus();
  else if (event.key === "ArrowRight" && !isOpen) toggle();
  else if (event.key === "ArrowLeft" && isOpen) toggle();
  else if (event.key === "Enter" || event.key === " ") current.click();
  else return;
  event.preventDefault();
}

/**
 * Makes one item of the tree the one that Tab leads to: the one with the focus, else what is selected, else the first. What is
 * selected can be missing, because the folder that it is in is closed or not loaded.
 */
function setTabStop(tree: HTMLElement | null) {
  const items = [...(tree?.querySelectorAll<HTMLElement>("[role=treeitem]") ?? [])];
  const stop =
    items.find((item) => item === document.activeElement) ??
    items.find((item) => item.ariaSelected === "true") ??
    items[0];
  for (const item of items) item.tabIndex = item === stop ? 0 : -1;
}

/** All folders. What is in one is asked for when it is opened. */
export function FolderTree({ selected, open, onSelect, at, rootLabel = "All folders" }: TreeProps) {
  const tree = useRef<HTMLDivElement>(null);
  return (
    <div
      ref={tree}
      className={css.tree}
      role="tree"
      aria-label="Folders"
      onKeyDown={onTreeKey}
      onFocus={() => setTabStop(tree.current)}
    >
      <div
        role="treeitem"
        aria-selected={selected === undefined}
        className={css.item}
        onClick={() => onSelect(undefined)}
        onKeyDown={() => undefined}
      >
        <span className={css.spacer} />
        <FolderIcon size={15} /> <span className={css.label}>{rootLabel}</span>
      </div>
      <Level tree={tree} parent={undefined} depth={0} selected={selected} open={open} onSelect={onSelect} at={at} />
    </div>
  );
}

interface LevelProps extends TreeProps {
  tree: RefObject<HTMLDivElement | null>;
  parent: string | undefined;
  depth: number;
}

function Level({ parent, depth, ...props }: LevelProps) {
  const folders = useInfiniteQuery(childFoldersQuery(parent, props.at));
  // Without a list of dependencies, because items come and go with each drawing of a level. Not earlier than this, because the
  // tree around a level that is drawn at once is not known before.
  useEffect(() => setTabStop(props.tree.current));
  const style = { paddingLeft: `${0.25 + depth * 0.875}rem` };
  if (folders.isPending) return <Skeleton height={12} my={8} ml={28 + depth * 14} width="50%" />;
  if (folders.isError) {
    return (
      <Action style={style} level={depth + 2} onClick={() => void folders.refetch()}>
        {asProblem(folders.error).message} – try again
      </Action>
    );
  }
  return (
    <>
      {folders.data.pages.flat().map((folder) => (
        <Node key={folder.uid} uid={folder.uid} title={folder.title} parent={parent} depth={depth} {...props} />
      ))}
      {folders.hasNextPage && (
        <Action style={style} level={depth + 2} onClick={() => void folders.fetchNextPage()}>
          {folders.isFetchingNextPage ? "Loading…" : "Show more folders"}
        </Action>
      )}
    </>
  );
}

interface ActionProps {
  style: CSSProperties;
  level: number;
  onClick: () => void;
  children: ReactNode;
}

/** An item of the tree that is no folder, but does something about those beside it. */
function Action({ style, level, onClick, children }: ActionProps) {
  return (
    <div
      role="treeitem"
      aria-selected={false}
      aria-level={level}
      className={`${css.item} ${css.action}`}
      style={style}
      onClick={onClick}
      onKeyDown={() => undefined}
    >
      <span className={css.spacer} />
      <span>{children}</span>
    </div>
  );
}

function Node({ uid, title, depth, ...props }: LevelProps & { uid: string; title: string }) {
  const [isOpen, setOpen] = useState<boolean>();
  const isShown = isOpen ?? props.open.includes(uid);
  return (
    <>
      <div
        role="treeitem"
        aria-selected={props.selected === uid}
        aria-expanded={isShown}
        aria-level={depth + 2}
        className={css.item}
        style={{ paddingLeft: `${0.25 + depth * 0.875}rem` }}
        onClick={() => props.onSelect(uid)}
        onKeyDown={() => undefined}
        title={title.slice(0, 300)}
      >
        <span
          className={css.toggle}
          data-toggle
          data-open={isShown}
          aria-hidden="true"
          onClick={(event) => {
            event.stopPropagation();
            setOpen(!isShown);
          }}
        >
          <ChevronIcon size={14} />
        </span>
        <FolderIcon size={15} /> <bdi className={css.label}>{title}</bdi>
      </div>
      {isShown && <Level {...props} parent={uid} depth={depth + 1} />}
    </>
  );
}
