import type { components } from "../api/schema";

/** The preview of undoing a request. */
export type UndoPlan = components["schemas"]["UndoPlanBody"];

const MAX_AUTHORS = 3;

/** Why nothing can be undone, if it cannot. */
export function obstacleOf({ steps, changed }: UndoPlan): string | undefined {
  const refused = steps.find((step) => step.effect === "refused");
  if (refused !== undefined) return refused.text;
  return changed === 0 ? steps.find((step) => step.effect === "impossible")?.text : undefined;
}

const LABELS: Record<string, string> = {
  restore: "Restore",
  revert: "Revert to before this change",
  revoke: "Revoke",
};

/** The label of the button. */
export function labelOf({ steps, count }: UndoPlan): string {
  const [only] = steps;
  if (count > 1 || only === undefined) return `Undo all ${count} changes of this request`;
  return LABELS[only.effect] ?? only.text;
}

/** Which later changes go too, and whose they are. */
export function laterOf({ steps }: UndoPlan): string {
  const count = steps.reduce((sum, step) => sum + step.laterCount, 0);
  if (count === 0) return "";
  const logins = [...new Set(steps.flatMap((step) => step.later.map((change) => change.actorLogin)))];
  const named = logins.slice(0, MAX_AUTHORS).join(", ");
  const by = logins.length > MAX_AUTHORS ? `${named} and others` : named;
  return `This also reverts ${count} later ${count === 1 ? "change" : "changes"}, by ${by}.`;
}
