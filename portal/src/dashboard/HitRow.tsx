import { Menu } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { type ComponentProps, memo, useState } from "react";
import { DashboardIcon, DotsIcon, FolderIcon, StarIcon } from "../ui/icons";
import { tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { isFolder, setStarred } from "./actions";
import css from "./DashboardsPage.module.css";
import type { Hit } from "./search";

interface HitRowProps {
  hit: Hit;
  isChosen: boolean;
  canEdit: boolean;
  showsFolder: boolean;
  at: string | undefined;
  onToggle: (uid: string, isOn: boolean) => void;
  onMove: (hit: Hit) => void;
  onDelete: (hit: Hit) => void;
  onChanged: () => unknown;
}

/** A folder or dashboard in a list. Each key of a search draws dozens of these, so they are made of plain elements. */
export const HitRow = memo(function HitRow({
  hit,
  canEdit,
  showsFolder,
  at,
  onToggle,
  onChanged,
  ...props
}: HitRowProps) {
  const short = hit.title.slice(0, 80);
  async function star() {
    try {
      await setStarred(hit.uid, !hit.isStarred);
      onChanged();
    } catch (error) {
      tellProblem(error);
    }
  }
  return (
    <>
      {canEdit ? (
        <input
          type="checkbox"
          className={css.check}
          aria-label={`Select ${short}`}
          checked={props.isChosen}
          onChange={(event) => onToggle(hit.uid, event.currentTarget.checked)}
        />
      ) : (
        <span />
      )}
      <div className={css.title}>
        {isFolder(hit) ? <FolderIcon size={16} /> : <DashboardIcon size={16} />}
        <div className={css.text}>
          {isFolder(hit) ? (
            <Link to="/dashboards" search={{ folder: hit.uid, at }} className={ui.link}>
              <bdi>{hit.title}</bdi>
            </Link>
          ) : (
            <Link to="/dashboards/$uid" params={{ uid: hit.uid }} search={{ at }} className={ui.link}>
              <bdi>{hit.title}</bdi>
            </Link>
          )}
          {showsFolder && (
            <span className={css.place}>
              in <bdi>{hit.folderTitle ?? "the top level"}</bdi>
            </span>
          )}
        </div>
      </div>
      <div className={css.tagList}>
        {hit.tags.slice(0, 4).map((tag) => (
          <bdi key={tag} className={css.tag}>
            {tag}
          </bdi>
        ))}
      </div>
      {isFolder(hit) || at !== undefined ? (
        <span />
      ) : (
        <button
          type="button"
          className={`${css.icon} ${css.star}`}
          aria-pressed={hit.isStarred}
          aria-label={hit.isStarred ? `Remove the star of ${short}` : `Star ${short}`}
          onClick={() => void star()}
        >
          <StarIcon size={16} />
        </button>
      )}
      {canEdit ? <HitMenu key={hit.uid} hit={hit} {...props} /> : <span />}
    </>
  );
});

/** What can be done with a hit. The menu itself is made when it is opened first. */
function HitMenu({ hit, onMove, onDelete }: Pick<HitRowProps, "hit" | "onMove" | "onDelete">) {
  const [isUsed, setUsed] = useState(false);
  const label = `What can be done with ${hit.title.slice(0, 80)}`;
  if (!isUsed) {
    return <DotsButton aria-label={label} aria-haspopup="menu" aria-expanded={false} onClick={() => setUsed(true)} />;
  }
  return (
    <Menu position="bottom-end" shadow="md" defaultOpened returnFocus>
      <Menu.Target>
        <DotsButton aria-label={label} />
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => onMove(hit)}>Move…</Menu.Item>
        <Menu.Item c="red" onClick={() => onDelete(hit)}>
          {isFolder(hit) ? "Delete…" : "Move to trash"}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function DotsButton(props: ComponentProps<"button">) {
  return (
    <button {...props} type="button" className={css.icon}>
      <DotsIcon size={16} />
    </button>
  );
}
