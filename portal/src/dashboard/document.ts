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

/** A panel, or a row that panels are under, and its place on a grid of 24 columns. */
export interface Panel {
  /** Where it stands in its document, which no other does. */
  key: string;
  /** The key of the row that it is under. */
  row: string | undefined;
  id: string | undefined;
  title: string;
  type: string;
  description: string;
  x: number;
  y: number;
  w: number;
  h: number;
  json: Unknown;
}

/** Panels under a row; the first ones may have none. */
export interface Section {
  row: Panel | undefined;
  isCollapsed: boolean;
  panels: Panel[];
}

export const COLUMNS = 24;
/** How high a panel is that does not say so. */
export const USUAL_HEIGHT = 8;

export function number(value: unknown, fallback: number): number {
  return typeof value === "number" && Number.isFinite(value) ? value : fallback;
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(Math.round(value), low), high);
}

/** A panel from its JSON. A place that cannot be is moved to one that can. */
export function panel(json: Unknown, key: string, row?: string, grid: unknown = json.gridPos): Panel {
  const place = isObject(grid) ? grid : {};
  const w = clamp(number(place.w, COLUMNS / 2), 1, COLUMNS);
  return {
    key,
    row,
    id: text(json.id) || undefined,
    title: text(json.title),
    type: text(json.type) || "panel",
    description: text(json.description),
    x: clamp(number(place.x, 0), 0, COLUMNS - w),
    y: clamp(number(place.y, 0), 0, 100_000),
    w,
    h: clamp(number(place.h, USUAL_HEIGHT), 1, 200),
    json,
  };
}

/** A variable of a dashboard. */
export interface Variable {
  name: string;
  label: string;
  type: string;
  query: string;
}

/** The variables of a document as it has them. */
export function variableList(document: DashboardDocument): Unknown[] {
  if (isObject(document.elements)) {
    return objects(document.variables).map(({ kind, spec }) => ({
      type: variableType(kind),
      ...(isObject(spec) && spec),
    }));
  }
  return isObject(document.templating) ? objects(document.templating.list) : [];
}

/** “QueryVariable” is called “query” elsewhere. */
function variableType(kind: unknown): string {
  return text(kind)
    .replace(/Variable$/, "")
    .toLowerCase();
}

export function variables(document: DashboardDocument): Variable[] {
  return variableList(document).map((json) => ({
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
