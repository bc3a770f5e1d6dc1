import { useState } from "react";
import { extent, type Panel, type Section, sections } from "./document";
import css from "./LayoutPicture.module.css";
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
    (difference?.panels ?? []).map((change) => [(side === "after" ? change.after : change.before)?.key, change]),
  );
  if (all.length === 0) return <p className={css.none}>This dashboard has no panels.</p>;
  return (
    <div className={css.picture}>
      {all.map((section, index) => (
        // Sections have nothing of their own that tells them apart.
        // biome-ignore lint/suspicious/noArrayIndexKey: the list is drawn anew with each document.
        <Part key={index} section={section} changes={changes} />
      ))}
    </div>
  );
}

function Part({ section, changes }: { section: Section; changes: Map<string | undefined, PanelChange> }) {
  const [isOpen, setOpen] = useState(!section.isCollapsed || changes.size > 0);
  const { top } = extent(section);
  const isCrowded = section.panels.length > MAX_PANELS;
  return (
    <section>
      {section.title !== undefined && (
        <button type="button" className={css.row} aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
          <span aria-hidden="true">{isOpen ? "▾" : "▸"}</span> <bdi>{section.title || "Row"}</bdi>
          <span className={css.count}>
            {section.panels.length} {section.panels.length === 1 ? "panel" : "panels"}
          </span>
        </button>
      )}
      {isOpen && section.panels.length > 0 && (
        <ul
          className={css.grid}
          aria-label={section.title === undefined ? "Panels" : `Panels of ${section.title.slice(0, 80)}`}
        >
          {section.panels.slice(0, MAX_PANELS).map((panel, index) => (
            // Two panels can have the same id in a document.
            // biome-ignore lint/suspicious/noArrayIndexKey: the list is drawn anew with each document.
            <Tile key={`${panel.key}:${index}`} panel={panel} top={top} change={changes.get(panel.key)} />
          ))}
        </ul>
      )}
      {isOpen && isCrowded && <p className={css.none}>and {section.panels.length - MAX_PANELS} more</p>}
    </section>
  );
}

function Tile({ panel, top, change }: { panel: Panel; top: number; change: PanelChange | undefined }) {
  const words = change === undefined || change.kind === "same" ? "" : changeWords(change);
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
