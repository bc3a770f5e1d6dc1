import {
  COLUMNS,
  clamp,
  type DashboardDocument,
  isObject,
  number,
  objects,
  type Panel,
  panel,
  type Section,
  USUAL_HEIGHT,
} from "./document";
import { sectionsOfElements } from "./elements";

/** What the spans of documents from before the grid count to. */
const OLD_COLUMNS = 12;

/** A row of spans with its panels, as they were before there was a grid. */
function oldRow(json: DashboardDocument, index: number): Section {
  let x = 0;
  let y = 0;
  const key = `${index}`;
  const row = panel({ ...json, type: "row" }, key, undefined, { x: 0, y: index, w: COLUMNS, h: 1 });
  const panels = objects(json.panels).map((inner, place) => {
    const w = clamp((number(inner.span, OLD_COLUMNS) * COLUMNS) / OLD_COLUMNS, 1, COLUMNS);
    if (x + w > COLUMNS) {
      x = 0;
      y += USUAL_HEIGHT;
    }
    const found = panel(inner, `${key}.${place}`, key, { x, y, w, h: USUAL_HEIGHT });
    x += w;
    return found;
  });
  return { row, isCollapsed: json.collapse === true, panels };
}

function sectionsOnGrid(document: DashboardDocument): Section[] {
  const found: Section[] = [{ row: undefined, isCollapsed: false, panels: [] }];
  const order = objects(document.panels)
    .map((json, index) => panel(json, `${index}`))
    .sort((a, b) => a.y - b.y || a.x - b.x);
  for (const place of order) {
    const section = found.at(-1);
    if (place.type !== "row") {
      section?.panels.push({ ...place, row: section.row?.key });
      continue;
    }
    const panels = objects(place.json.panels).map((json, at) => panel(json, `${place.key}.${at}`, place.key));
    found.push({ row: place, isCollapsed: place.json.collapsed === true, panels });
  }
  return found;
}

/** What a document shows, in the order of reading. */
export function sections(document: DashboardDocument): Section[] {
  return allSections(document).filter((section) => section.row !== undefined || section.panels.length > 0);
}

function allSections(document: DashboardDocument): Section[] {
  if (isObject(document.elements)) return sectionsOfElements(document.elements, document.layout);
  if (Array.isArray(document.rows) && !Array.isArray(document.panels)) return objects(document.rows).map(oldRow);
  return sectionsOnGrid(document);
}

/** All panels of a document, those in collapsed rows included. */
export function panels(document: DashboardDocument): Panel[] {
  return sections(document).flatMap((section) => section.panels);
}

/** The rows of a document that panels are under. */
export function rows(document: DashboardDocument): Panel[] {
  return sections(document).flatMap((section) => section.row ?? []);
}

/** How far down a section reaches from its first panel, in rows of the grid. */
export function extent(section: Section): { top: number; height: number } {
  if (section.panels.length === 0) return { top: 0, height: 0 };
  const top = Math.min(...section.panels.map((found) => found.y));
  const bottom = Math.max(...section.panels.map((found) => found.y + found.h));
  return { top, height: bottom - top };
}
