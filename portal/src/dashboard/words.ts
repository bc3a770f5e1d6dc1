import { type DashboardDocument, isObject, type Panel, text, texts, variableList } from "./document";
import { panels, rows } from "./layout";
import { match } from "./match";

/** What happened to a panel, or a row, between two versions. */
export interface PanelChange {
  kind: "added" | "removed" | "changed" | "same";
  /** Whether its place is another one. */
  isMoved: boolean;
  before: Panel | undefined;
  after: Panel | undefined;
  /** What changed besides, in words: "its query changed". */
  words: string[];
}

/** What is different between two versions of a dashboard. */
export interface Difference {
  panels: PanelChange[];
  rows: PanelChange[];
  /** What changed outside of the panels and rows, as sentences without a full stop. */
  others: string[];
}

/** What parts of a panel are called. */
const PARTS: Record<string, string> = {
  targets: "query",
  datasource: "data source",
  fieldConfig: "field settings",
  options: "display options",
  description: "description",
  transformations: "transformations",
  transparent: "background",
  alert: "alert",
  links: "links",
  repeat: "repetition",
  maxPerRow: "repetition",
  repeatDirection: "repetition",
  timeFrom: "time range",
  timeShift: "time range",
  interval: "interval",
  maxDataPoints: "resolution",
  pluginVersion: "plugin version",
  libraryPanel: "library panel",
  cacheTimeout: "caching",
  data: "query",
  vizConfig: "display options",
};

/** What parts of a dashboard are called. */
const DASHBOARD_PARTS: Record<string, string> = {
  description: "the description",
  time: "the time range",
  timepicker: "the time picker",
  refresh: "the refresh interval",
  timezone: "the time zone",
  annotations: "the annotations",
  links: "the links",
  editable: "whether it can be edited",
  graphTooltip: "the shared tooltip",
  fiscalYearStartMonth: "the start of the fiscal year",
  weekStart: "the start of the week",
  liveNow: "live updates",
  schemaVersion: "the schema version",
  style: "the style",
};

/** What is compared by itself, and what says nothing. */
const IGNORED = new Set([
  "id",
  "uid",
  "version",
  "panels",
  "rows",
  "elements",
  "layout",
  "title",
  "tags",
  "templating",
  "variables",
  "iteration",
]);

/** What of a panel is told by itself. */
const TOLD = new Set(["gridPos", "span", "title", "type", "id", "panels", "collapsed", "collapse"]);

function isSame(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => isSame(item, b[index]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => key in b && isSame(a[key], b[key]));
}

function changedKeys(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => !isSame(before[key], after[key]));
}

function panelWords(before: Panel, after: Panel): string[] {
  const words: string[] = [];
  if (before.title !== after.title) words.push(before.title === "" ? "got a title" : `renamed from “${before.title}”`);
  if (before.type !== after.type) words.push(`its type changed from ${before.type} to ${after.type}`);
  const wasCollapsed = isCollapsed(before);
  if (wasCollapsed !== isCollapsed(after)) words.push(wasCollapsed ? "expanded" : "collapsed");
  const parts = changedKeys(before.json, after.json)
    .filter((key) => !TOLD.has(key))
    .map((key) => PARTS[key] ?? key);
  for (const part of new Set(parts)) words.push(`its ${part} changed`);
  return words;
}

function isCollapsed({ json }: Panel): boolean {
  return json.collapsed === true || json.collapse === true;
}

function panelChange(before: Panel, after: Panel, isElsewhere: boolean): PanelChange {
  const isResized = before.w !== after.w || before.h !== after.h;
  const isMoved = isElsewhere || before.x !== after.x || before.y !== after.y;
  const words = panelWords(before, after);
  if (isResized) words.unshift("resized");
  return { kind: words.length > 0 || isMoved ? "changed" : "same", isMoved, before, after, words };
}

/** What became of panels. `isElsewhere` tells whether one is under another row than before. */
function comparePanels(
  before: Panel[],
  after: Panel[],
  isElsewhere: (before: Panel, after: Panel) => boolean,
): PanelChange[] {
  const { pairs, removed } = match(before, after);
  return [
    ...after.map((panel): PanelChange => {
      const old = pairs.get(panel);
      return old === undefined
        ? { kind: "added", isMoved: false, before: undefined, after: panel, words: [] }
        : panelChange(old, panel, isElsewhere(old, panel));
    }),
    ...removed.map(
      (panel): PanelChange => ({ kind: "removed", isMoved: false, before: panel, after: undefined, words: [] }),
    ),
  ];
}

function compareLayout(before: DashboardDocument, after: DashboardDocument): Pick<Difference, "panels" | "rows"> {
  const rowChanges = comparePanels(rows(before), rows(after), () => false);
  const newKeys = new Map<string | undefined, string | undefined>([[undefined, undefined]]);
  for (const { before: old, after: now } of rowChanges) if (old !== undefined) newKeys.set(old.key, now?.key);
  // A row that came or went takes panels with it, which did not move by themselves.
  const arrived = new Set(rowChanges.filter((change) => change.kind === "added").map((change) => change.after?.key));
  const isElsewhere = (old: Panel, panel: Panel) => {
    const row = newKeys.get(old.row);
    const isGone = old.row !== undefined && row === undefined;
    return !isGone && !arrived.has(panel.row) && row !== panel.row;
  };
  return { panels: comparePanels(panels(before), panels(after), isElsewhere), rows: rowChanges };
}

function compareVariables(before: DashboardDocument, after: DashboardDocument): string[] {
  const list = (document: DashboardDocument) => variableList(document).map((item) => [text(item.name), item] as const);
  const [old, now] = [new Map(list(before)), new Map(list(after))];
  const words: string[] = [];
  for (const [name, item] of now) {
    const match = old.get(name);
    if (match === undefined) words.push(`variable “${name}” added`);
    else if (!isSame(match, item)) words.push(`variable “${name}” changed`);
  }
  for (const name of old.keys()) if (!now.has(name)) words.push(`variable “${name}” removed`);
  if (words.length === 0 && !isSame([...old.keys()], [...now.keys()])) words.push("the order of the variables changed");
  return words;
}

function compareTags(before: string[], after: string[]): string[] {
  const added = after.filter((tag) => !before.includes(tag)).map((tag) => `tag “${tag}” added`);
  const removed = before.filter((tag) => !after.includes(tag)).map((tag) => `tag “${tag}” removed`);
  return [...added, ...removed];
}

const COUNTED = new Set(["id", "uid", "version"]);

/** Whether two documents are the same but for what the server counts. */
export function areSame(before: DashboardDocument, after: DashboardDocument): boolean {
  return changedKeys(before, after).every((key) => COUNTED.has(key));
}

/** What is different between two documents. */
export function compare(before: DashboardDocument, after: DashboardDocument): Difference {
  const others: string[] = [];
  if (before.title !== after.title) others.push(`renamed from “${text(before.title)}” to “${text(after.title)}”`);
  others.push(...compareTags(texts(before.tags), texts(after.tags)));
  others.push(...compareVariables(before, after));
  for (const key of changedKeys(before, after)) {
    if (!IGNORED.has(key)) others.push(`${DASHBOARD_PARTS[key] ?? key} changed`);
  }
  return { ...compareLayout(before, after), others };
}

/** The name of a panel in a sentence. */
export function panelName(panel: Panel | undefined): string {
  if (panel === undefined) return "";
  return panel.title || `${panel.type} without a title`;
}

/** A panel's change as a phrase, to be put after its name. */
export function changeWords(change: PanelChange): string {
  if (change.kind === "added" || change.kind === "removed") return change.kind;
  return [...(change.isMoved ? ["moved"] : []), ...change.words].join("; ");
}

/** “panel CPU moved”, but “panel CPU: its query changed”. */
function sentence(noun: string, name: string, words: string): string {
  return `${noun} “${name}”${words.startsWith("its ") ? ":" : ""} ${words}`;
}

/** Panels that only moved because others did are told as one. */
const MANY_MOVES = 4;

function changesInWords(changes: PanelChange[], noun: string, nameOf: (panel: Panel | undefined) => string): string[] {
  const changed = changes.filter((change) => change.kind !== "same");
  const onlyMoved = changed.filter((change) => change.isMoved && change.words.length === 0);
  const isMany = onlyMoved.length >= MANY_MOVES;
  const words = changed
    .filter((change) => !isMany || !onlyMoved.includes(change))
    .map((change) => sentence(noun, nameOf(change.after ?? change.before), changeWords(change)));
  if (isMany) words.push(`${onlyMoved.length} ${noun}s moved`);
  return words;
}

/** A difference as a list of short sentences. */
export function inWords(difference: Difference): string[] {
  return [
    ...changesInWords(difference.rows, "row", (row) => row?.title || "without a title"),
    ...changesInWords(difference.panels, "panel", panelName),
    ...difference.others,
  ];
}
