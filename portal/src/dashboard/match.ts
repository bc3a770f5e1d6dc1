import type { Panel } from "./document";

/** What panels are known again by, the surest first. Ids can be missing, and can be there twice. */
const SIGNS: ((panel: Panel) => string | undefined)[] = [
  ({ id, type, title }) => id && JSON.stringify([id, type, title]),
  ({ id, title }) => id && JSON.stringify([id, title]),
  ({ id }) => id,
  ({ json }) => JSON.stringify(json),
  ({ type, title }) => title && JSON.stringify([type, title]),
  ({ title }) => title,
  ({ type, row, x, y, w, h }) => JSON.stringify([type, row, x, y, w, h]),
];

/** Panels with their counterparts before, and those that have none after. */
export interface Matching {
  pairs: Map<Panel, Panel>;
  removed: Panel[];
}

/** Finds each panel again that was there before. Two that have different ids are two. */
export function match(before: Panel[], after: Panel[]): Matching {
  const pairs = new Map<Panel, Panel>();
  let rest = before;
  for (const sign of SIGNS) {
    const known = new Map<string, Panel[]>();
    for (const old of rest) {
      const value = sign(old);
      if (value) known.set(value, [...(known.get(value) ?? []), old]);
    }
    const taken = new Set<Panel>();
    for (const panel of after) {
      if (pairs.has(panel)) continue;
      const candidates = known.get(sign(panel) || "") ?? [];
      const old = candidates.find((one) => !taken.has(one) && canBe(one, panel));
      if (old === undefined) continue;
      taken.add(old);
      pairs.set(panel, old);
    }
    rest = rest.filter((old) => !taken.has(old));
  }
  return { pairs, removed: rest };
}

function canBe(before: Panel, after: Panel): boolean {
  return before.id === undefined || after.id === undefined || before.id === after.id;
}
