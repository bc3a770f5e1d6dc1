import { useState } from "react";
import { isObject, type Panel, type Section } from "./document";
import css from "./LayoutPicture.module.css";
import { extent, sections } from "./layout";
import { changeWords, type Difference, type PanelChange } from "./words";

interface LayoutPictureProps {
  document: Record<string, unknown>;
  /** What changed against another version, and which of both this is. */
  difference?: Difference;
  side?: "before" | "after";
}

const MAX_PANELS = 300;

/** The panels of a dashboard where they are, as a drawing. */
export function LayoutPicture({ document, difference, side = "after" }: LayoutPictureProps) {
  const all = sections(document);
  const changes = new Map(
    [...(difference?.panels ?? []), ...(difference?.rows ?? [])].map((change) => [
      (side === "after" ? change.after : change.before)?.key,
      change,
    ]),
  );
  if (all.length === 0) {
    const isUnknown = isObject(document.elements) && Object.keys(document.elements).length > 0;
    return (
      <p className={css.none}>{isUnknown ? "This kind of layout cannot be drawn." : "This dashboard has no panels."}</p>
    );
  }
  return (
    <div className={css.picture}>
      {all.map((section) => (
        <Part key={section.row?.key ?? ""} section={section} changes={changes} />
      ))}
    </div>
  );
}

function Part({ section, changes }: { section: Section; changes: Map<string | undefined, PanelChange> }) {
  const [isOpen, setOpen] = useState(!section.isCollapsed || changes.size > 0);
  const { top } = extent(section);
  const { row } = section;
  const change = row && changes.get(row.key);
  const words = wordsOf(change);
  const isCrowded = section.panels.length > MAX_PANELS;
  return (
    <section>
      {row !== undefined && (
        <button
          type="button"
          className={css.row}
          data-change={change?.kind}
          aria-expanded={isOpen}
          onClick={() => setOpen(!isOpen)}
        >
          <span aria-hidden="true">{isOpen ? "▾" : "▸"}</span> <bdi>{row.title || "Row"}</bdi>
          <span className={css.count}>
            {section.panels.length} {section.panels.length === 1 ? "panel" : "panels"}
          </span>
          {words !== "" && <bdi className={css.count}>{words}</bdi>}
        </button>
      )}
      {isOpen && section.panels.length > 0 && (
        <ul className={css.grid} aria-label={row === undefined ? "Panels" : `Panels of ${row.title.slice(0, 80)}`}>
          {section.panels.slice(0, MAX_PANELS).map((panel) => (
            <Tile key={panel.key} panel={panel} top={top} change={changes.get(panel.key)} />
          ))}
        </ul>
      )}
      {isOpen && isCrowded && <p className={css.none}>and {section.panels.length - MAX_PANELS} more</p>}
    </section>
  );
}

function wordsOf(change: PanelChange | undefined): string {
  return change === undefined || change.kind === "same" ? "" : changeWords(change);
}

function Tile({ panel, top, change }: { panel: Panel; top: number; change: PanelChange | undefined }) {
  const words = wordsOf(change);
  return (
    <li
      className={css.tile}
      data-change={change?.kind}
      style={{
        gridColumn: `${panel.x + 1} / span ${panel.w}`,
        gridRow: `${panel.y - top + 1} / span ${panel.h}`,
      }}
      title={[panel.title.slice(0, 300), panel.type, panel.description.slice(0, 300), words].filter(Boolean).join("\n")}
    >
      <bdi className={css.title}>{panel.title || "Untitled"}</bdi>
      <span className={css.type}>{panel.type}</span>
      {words !== "" && <bdi className={css.words}>{words}</bdi>}
    </li>
  );
}
