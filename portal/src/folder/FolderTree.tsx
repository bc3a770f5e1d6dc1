import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, useState } from "react";
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

/** All folders. What is in one is asked for when it is opened. */
export function FolderTree({ selected, open, onSelect, at, rootLabel = "All folders" }: TreeProps) {
  return (
    <div className={css.tree} role="tree" aria-label="Folders" onKeyDown={onTreeKey}>
      <div
        role="treeitem"
        aria-selected={selected === undefined}
        tabIndex={selected === undefined ? 0 : -1}
        className={css.item}
        onClick={() => onSelect(undefined)}
        onKeyDown={() => undefined}
      >
        <span className={css.spacer} />
        <FolderIcon size={15} /> <span className={css.label}>{rootLabel}</span>
      </div>
      <Level parent={undefined} depth={0} selected={selected} open={open} onSelect={onSelect} at={at} />
    </div>
  );
}

interface LevelProps extends TreeProps {
  parent: string | undefined;
  depth: number;
}

function Level({ parent, depth, ...props }: LevelProps) {
  const { data, isPending } = useQuery(childFoldersQuery(parent, props.at));
  if (isPending) return <Skeleton height={12} my={8} ml={28 + depth * 14} width="50%" />;
  return data?.map((folder) => (
    <Node key={folder.uid} uid={folder.uid} title={folder.title} parent={parent} depth={depth} {...props} />
  ));
}

function Node({ uid, title, depth, ...props }: LevelProps & { uid: string; title: string }) {
  const [isOpen, setOpen] = useState<boolean>();
  const isShown = isOpen ?? props.open.includes(uid);
  const isSelected = props.selected === uid;
  return (
    <>
      <div
        role="treeitem"
        aria-selected={isSelected}
        aria-expanded={isShown}
        aria-level={depth + 2}
        tabIndex={isSelected ? 0 : -1}
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
