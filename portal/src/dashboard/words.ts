import { type DashboardDocument, isObject, objects, type Panel, panels, text, texts } from "./document";

/** What happened to a panel between two versions. */
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
  /** What changed outside of the panels, as sentences without a full stop. */
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

const IGNORED = new Set(["id", "uid", "version", "panels", "rows", "title", "tags", "templating", "iteration"]);

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
  const parts = changedKeys(before.json, after.json)
    .filter((key) => !["gridPos", "span", "title", "type", "id", "panels"].includes(key))
    .map((key) => PARTS[key] ?? key);
  for (const part of new Set(parts)) words.push(`its ${part} changed`);
  return words;
}

function panelChange(before: Panel, after: Panel): PanelChange {
  const isResized = before.w !== after.w || before.h !== after.h;
  const isMoved = before.x !== after.x || before.y !== after.y;
  const words = panelWords(before, after);
  if (isResized) words.unshift("resized");
  return { kind: words.length > 0 || isMoved ? "changed" : "same", isMoved, before, after, words };
}

function comparePanels(before: DashboardDocument, after: DashboardDocument): PanelChange[] {
  const old = new Map(panels(before).map((panel) => [panel.key, panel]));
  const changes: PanelChange[] = [];
  for (const panel of panels(after)) {
    const match = old.get(panel.key);
    old.delete(panel.key);
    changes.push(
      match === undefined
        ? { kind: "added", isMoved: false, before: undefined, after: panel, words: [] }
        : panelChange(match, panel),
    );
  }
  for (const panel of old.values()) {
    changes.push({ kind: "removed", isMoved: false, before: panel, after: undefined, words: [] });
  }
  return changes;
}

function named(before: unknown, after: unknown, noun: string): string[] {
  const list = (value: unknown) =>
    new Map((isObject(value) ? objects(value.list) : []).map((item) => [text(item.name), item]));
  const [old, now] = [list(before), list(after)];
  const words: string[] = [];
  for (const [name, item] of now) {
    const match = old.get(name);
    if (match === undefined) words.push(`${noun} “${name}” added`);
    else if (!isSame(match, item)) words.push(`${noun} “${name}” changed`);
  }
  for (const name of old.keys()) if (!now.has(name)) words.push(`${noun} “${name}” removed`);
  return words;
}

function compareTags(before: string[], after: string[]): string[] {
  const added = after.filter((tag) => !before.includes(tag)).map((tag) => `tag “${tag}” added`);
  const removed = before.filter((tag) => !after.includes(tag)).map((tag) => `tag “${tag}” removed`);
  return [...added, ...removed];
}

/** What is different between two documents. */
export function compare(before: DashboardDocument, after: DashboardDocument): Difference {
  const others: string[] = [];
  if (before.title !== after.title) others.push(`renamed from “${text(before.title)}” to “${text(after.title)}”`);
  others.push(...compareTags(texts(before.tags), texts(after.tags)));
  others.push(...named(before.templating, after.templating, "variable"));
  for (const key of changedKeys(before, after)) {
    if (!IGNORED.has(key)) others.push(`${DASHBOARD_PARTS[key] ?? key} changed`);
  }
  return { panels: comparePanels(before, after), others };
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
function sentence(name: string, words: string): string {
  return `panel “${name}”${words.startsWith("its ") ? ":" : ""} ${words}`;
}

/** Panels that only moved because others did are told as one. */
const MANY_MOVES = 4;

/** A difference as a list of short sentences. */
export function inWords(difference: Difference): string[] {
  const changed = difference.panels.filter((change) => change.kind !== "same");
  const onlyMoved = changed.filter((change) => change.isMoved && change.words.length === 0);
  const isMany = onlyMoved.length >= MANY_MOVES;
  const words = changed
    .filter((change) => !isMany || !onlyMoved.includes(change))
    .map((change) => sentence(panelName(change.after ?? change.before), changeWords(change)));
  if (isMany) words.push(`${onlyMoved.length} panels moved`);
  return [...words, ...difference.others];
}
