import type { components } from "../api/schema";
import { isObject } from "../dashboard/document";

/** A change in an object: where, what it was, and what it is. */
export type Change = components["schemas"]["ChangeBody"];

/** What became of the whole object. */
export function fateOf(changes: Change[]): "created" | "deleted" | "changed" {
  const whole = changes.find((change) => change.path === "");
  if (whole === undefined) return "changed";
  if (isNothing(whole.before)) return "created";
  return isNothing(whole.after) ? "deleted" : "changed";
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null;
}

/** A part of an object before and after. */
export interface Line {
  path: string;
  before: string;
  after: string;
}

/** What an object counts by itself is no news. */
const COUNTED = new Set(["version"]);

/** Changes as lines. An object that came or went as a whole has a line for each of its parts. */
export function lines(changes: Change[]): Line[] {
  return changes
    .flatMap((change) => (change.path === "" ? parts(change) : [change]))
    .map((change) => ({
      path: readable(change.from === undefined ? change.path : `${change.from} → ${change.path}`),
      before: shown(change.before),
      after: shown(change.after),
    }))
    .filter((line) => !COUNTED.has(line.path) && (line.before !== "" || line.after !== "" || line.path.includes("→")));
}

function parts({ op, before, after }: Change): Change[] {
  const [old, now] = [flat(before), flat(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])].map((key) => ({
    op,
    path: `/${key}`,
    before: old[key],
    after: now[key],
  }));
}

/** The members of an object, those of a dashboard's document beside the others. */
function flat(value: unknown): Record<string, unknown> {
  if (!isObject(value)) return {};
  const { dashboard, ...others } = value;
  return isObject(dashboard) ? { ...dashboard, ...others } : value;
}

function readable(path: string): string {
  return path
    .replaceAll(/(^|\s)\/(dashboard\/)?/g, "$1")
    .replaceAll("/", " › ")
    .replaceAll("~1", "/")
    .replaceAll("~0", "~");
}

const MAX_SHOWN = 300;

/** A value as text. What is empty says nothing. */
function shown(value: unknown): string {
  if (isNothing(value) || value === "") return "";
  if (Array.isArray(value) && value.length === 0) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
