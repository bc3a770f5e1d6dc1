/** A value of which nothing is known yet. */
type Unknown = Record<string, unknown>;

/** A dashboard's document, of which anything may be missing or something else than expected. */
export type DashboardDocument = Unknown;

export function isObject(value: unknown): value is Unknown {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objects(value: unknown): Unknown[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

export function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}

/** A panel and its place on a grid of 24 columns. */
export interface Panel {
  /** What tells it from others in the same document. */
  key: string;
  id: number | undefined;
  title: string;
  type: string;
  description: string;
  x: number;
  y: number;
  w: number;
  h: number;
  json: Unknown;
}

/** Panels under a heading; the first ones may have none. */
export interface Section {
  title: string | undefined;
  isCollapsed: boolean;
  panels: Panel[];
}

const COLUMNS = 24;
/** What the spans of documents from before the grid count to. */
const OLD_COLUMNS = 12;
const OLD_HEIGHT = 8;

function number(value: unknown, fallback: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : fallback;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(Math.round(value), low), high);
}

/** A panel from its JSON. A place that cannot be is moved to one that can. */
function panel(json: Unknown, index: number): Panel {
  const place = isObject(json.gridPos) ? json.gridPos : {};
  const w = clamp(number(place.w, COLUMNS / 2), 1, COLUMNS);
  const id = typeof json.id === "number" ? json.id : undefined;
  const title = text(json.title);
  const type = text(json.type) || "panel";
  return {
    key: id === undefined ? `${type}:${title}:${index}` : `#${id}`,
    id,
    title,
    type,
    description: text(json.description),
    x: clamp(number(place.x, 0), 0, COLUMNS - w),
    y: clamp(number(place.y, 0), 0, 100_000),
    w,
    h: clamp(number(place.h, OLD_HEIGHT), 1, 200),
    json,
  };
}

/** The panels of a document with rows of spans, as they were before there was a grid. */
function oldRow(row: Unknown, index: number): Section {
  let x = 0;
  let y = 0;
  const panels = objects(row.panels).map((json, place) => {
    const w = clamp((number(json.span, OLD_COLUMNS) * COLUMNS) / OLD_COLUMNS, 1, COLUMNS);
    if (x + w > COLUMNS) {
      x = 0;
      y += OLD_HEIGHT;
    }
    const found = panel({ ...json, gridPos: { x, y, w, h: OLD_HEIGHT } }, index * 1000 + place);
    x += w;
    return { ...found, json };
  });
  return { title: text(row.title) || undefined, isCollapsed: row.collapse === true, panels };
}

/** What a document shows, in the order of reading. */
export function sections(document: DashboardDocument): Section[] {
  if (Array.isArray(document.rows) && !Array.isArray(document.panels)) return objects(document.rows).map(oldRow);
  const found: Section[] = [{ title: undefined, isCollapsed: false, panels: [] }];
  const all = objects(document.panels);
  const order = all
    .map((json, index) => ({ json, index, place: panel(json, index) }))
    .sort((a, b) => a.place.y - b.place.y || a.place.x - b.place.x || a.index - b.index);
  for (const { json, index, place } of order) {
    if (json.type !== "row") {
      found.at(-1)?.panels.push(place);
      continue;
    }
    const inside = objects(json.panels).map((inner, at) => panel(inner, index * 1000 + at));
    found.push({ title: text(json.title), isCollapsed: json.collapsed === true, panels: inside });
  }
  return found.filter((section) => section.title !== undefined || section.panels.length > 0);
}

/** All panels of a document, those in collapsed rows included. */
export function panels(document: DashboardDocument): Panel[] {
  return sections(document).flatMap((section) => section.panels);
}

/** How far down a section reaches from its first panel, in rows of the grid. */
export function extent(section: Section): { top: number; height: number } {
  if (section.panels.length === 0) return { top: 0, height: 0 };
  const top = Math.min(...section.panels.map((found) => found.y));
  const bottom = Math.max(...section.panels.map((found) => found.y + found.h));
  return { top, height: bottom - top };
}

/** A variable of a dashboard. */
export interface Variable {
  name: string;
  label: string;
  type: string;
  query: string;
}

export function variables(document: DashboardDocument): Variable[] {
  const list = isObject(document.templating) ? objects(document.templating.list) : [];
  return list.map((json) => ({
    name: text(json.name),
    label: text(json.label),
    type: text(json.type),
    query: isObject(json.query) ? text(json.query.query) || JSON.stringify(json.query) : text(json.query),
  }));
}

/** A link of a dashboard to somewhere else. */
export interface DashboardLink {
  title: string;
  url: string;
  tags: string[];
}

export function links(document: DashboardDocument): DashboardLink[] {
  return objects(document.links).map((json) => ({
    title: text(json.title) || text(json.url) || "Untitled",
    url: text(json.url),
    tags: texts(json.tags),
  }));
}

/** An address that a link may lead to. A document can say `javascript:`. */
export function safeUrl(url: string): string | undefined {
  return /^https?:\/\//i.test(url) ? url : undefined;
}
