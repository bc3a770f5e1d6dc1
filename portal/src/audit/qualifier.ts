/** What the search box of the audit log means. */
export interface AuditFilter {
  actors: string[];
  actions: string[];
  targetType: string | undefined;
  targetUid: string | undefined;
  outcome: Outcome | undefined;
  /** Moments in the form that the API takes. */
  from: string | undefined;
  to: string | undefined;
  traceId: string | undefined;
  /** What must not be. */
  without: { actors: string[]; actions: string[]; outcomes: Outcome[]; targetTypes: string[] };
  /** Words that mean nothing, each with why. */
  problems: string[];
}

/** The qualifiers and what stands after them. */
export const QUALIFIERS: Record<string, string> = {
  actor: "the actor: a login, or a login prefix with *",
  action: "the action: dashboard.updated, or dashboard.*",
  target: "the target: a type, or type/uid",
  outcome: "success, denied or failure",
  after: "the earliest date or time",
  before: "the latest date or time",
  trace: "a trace id",
};

/** Those that can be left out, with a - before them. */
const NEGATIVE = ["actor", "action", "target", "outcome"];

export const OUTCOMES = ["success", "denied", "failure"] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Splits at spaces outside of quotes. */
export function words(text: string): string[] {
  return (text.match(/(?:[^\s"]+|"[^"]*"?)+/g) ?? []).map((word) => word.replaceAll('"', ""));
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;
const EXACT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/;

/** A day or a moment as the API takes it: a day is one of this place, and means its beginning, or its end. */
export function moment(value: string, isEnd: boolean): string | undefined {
  const isDay = DAY.test(value);
  const time = new Date(isDay ? `${value}T00:00:00` : value);
  if (Number.isNaN(time.getTime())) return undefined;
  if (isDay && isEnd) {
    time.setDate(time.getDate() + 1);
    return endBefore(time);
  }
  return EXACT.test(value) ? value : time.toISOString();
}

/** The last moment before another. The log counts microseconds, of which a browser knows nothing. */
export function endBefore(time: Date): string {
  return new Date(time.getTime() - 1).toISOString().replace("Z", "999Z");
}

/** The filter that a text means. */
export function parse(text: string): AuditFilter {
  const filter: AuditFilter = {
    actors: [],
    actions: [],
    targetType: undefined,
    targetUid: undefined,
    outcome: undefined,
    from: undefined,
    to: undefined,
    traceId: undefined,
    without: { actors: [], actions: [], outcomes: [], targetTypes: [] },
    problems: [],
  };
  for (const word of words(text)) {
    const isNegative = word.startsWith("-");
    const [key = "", ...rest] = (isNegative ? word.slice(1) : word).split(":");
    const value = rest.join(":");
    if (rest.length === 0) {
      // A word without a qualifier is somebody, unless it looks like an action.
      (word.includes(".") ? filter.actions : filter.actors).push(word);
    } else if (value === "") {
      // Somebody is still typing.
    } else if (isNegative) {
      exclude(filter, key, value);
    } else {
      include(filter, key, value);
    }
  }
  return filter;
}

function exclude({ without, problems }: AuditFilter, key: string, value: string) {
  if (key === "actor") without.actors.push(value);
  else if (key === "action") without.actions.push(value);
  else if (key === "outcome") without.outcomes.push(...outcome(problems, key, value));
  else if (key !== "target")
    problems.push(`“-${key}:” is not known: actor, action, target and outcome can be left out`);
  else if (value.includes("/")) problems.push(`“-target:${value}” is not known: only a whole type can be left out`);
  else without.targetTypes.push(value);
}

function include(filter: AuditFilter, key: string, value: string) {
  if (key === "actor") filter.actors.push(value);
  else if (key === "action") filter.actions.push(value);
  else if (key === "target") [filter.targetType, filter.targetUid] = target(value);
  else if (key === "outcome") filter.outcome = outcome(filter.problems, key, value)[0] ?? filter.outcome;
  else if (key === "trace") filter.traceId = value;
  else if (key === "after" || key === "before") setMoment(filter, key, value);
  else filter.problems.push(`“${key}:” is not known: use ${Object.keys(QUALIFIERS).join(", ")}`);
}

function target(value: string): [string, string | undefined] {
  const [type = "", ...uid] = value.split("/");
  return [type, uid.length > 0 && uid.join("/") !== "" ? uid.join("/") : undefined];
}

/** The outcome of that name, or a problem. */
function outcome(problems: string[], key: string, value: string): Outcome[] {
  const known = OUTCOMES.filter((one) => one === value);
  if (known.length === 0) problems.push(`“${key}:${value}” is not known: use ${OUTCOMES.join(", ")}`);
  return known;
}

function setMoment(filter: AuditFilter, key: "after" | "before", value: string) {
  const time = moment(value, key === "before");
  if (time === undefined) filter.problems.push(`“${value}” is no day: use one like 2026-11-01`);
  else if (key === "after") filter.from = time;
  else filter.to = time;
}

/** The parameters of the API for a filter. */
export function parameters(filter: AuditFilter) {
  const some = <T>(values: T[]) => (values.length > 0 ? values : undefined);
  return {
    actor: some(filter.actors),
    action: some(filter.actions),
    targetType: filter.targetType,
    targetUid: filter.targetUid,
    outcome: filter.outcome,
    from: filter.from,
    to: filter.to,
    traceId: filter.traceId,
    excludeActor: some(filter.without.actors),
    excludeAction: some(filter.without.actions),
    excludeOutcome: some(filter.without.outcomes),
    excludeTargetType: some(filter.without.targetTypes),
  };
}

/** A value as it stands in the search box. */
export function quoted(value: string): string {
  return /\s/.test(value) ? `"${value}"` : value;
}

/** A text with a qualifier set to a value, or taken away. */
export function withQualifier(text: string, key: string, value: string | undefined): string {
  const others = (text.match(/(?:[^\s"]+|"[^"]*"?)+/g) ?? []).filter((word) => !word.startsWith(`${key}:`));
  if (value !== undefined) others.push(`${key}:${quoted(value)}`);
  return others.join(" ");
}

/** What the last word of a text could become, as whole texts. */
export function completions(text: string, known: { actors: string[]; actions: string[]; types: string[] }): string[] {
  const at = text.search(/\S*$/);
  const [before, last] = [text.slice(0, at), text.slice(at)];
  const sign = last.startsWith("-") ? "-" : "";
  const word = last.slice(sign.length).toLowerCase();
  const nouns = [...new Set(known.actions.map((action) => `${action.split(".")[0]}.*`))];
  const values: Record<string, readonly string[]> = {
    actor: known.actors,
    action: [...nouns, ...known.actions],
    target: known.types,
    outcome: OUTCOMES,
    after: [daysAgo(0), daysAgo(7), daysAgo(30)],
    before: [daysAgo(0), daysAgo(7), daysAgo(30)],
  };
  const [key = "", value] = word.split(":", 2);
  const options =
    value === undefined
      ? (sign === "" ? Object.keys(QUALIFIERS) : NEGATIVE).map((name) => `${name}:`)
      : (values[key] ?? []).map((option) => `${key}:${quoted(option)}`);
  return options
    .filter((option) => option.toLowerCase().startsWith(word) && option.toLowerCase() !== word)
    .slice(0, 12)
    .map((option) => `${before}${sign}${option}`);
}

function daysAgo(days: number): string {
  const time = new Date(Date.now() - days * 86_400_000);
  const pad = (number: number) => String(number).padStart(2, "0");
  return `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
}
