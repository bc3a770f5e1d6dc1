import type { components } from "../api/schema";

/** An entry of the audit log. */
export type AuditEvent = components["schemas"]["EntryBody"];

/** How many entries are asked for at once. */
export const PAGE = 500;
/** How many pages are kept. More rows would be higher than a browser can draw, and more than it can hold. */
export const MAX_PAGES = 200;

type EventsPage = components["schemas"]["EventsBody"];

/** The entries of some pages, without a copy of them. */
export interface Entries {
  length: number;
  at: (index: number) => AuditEvent | undefined;
  /** Whether there are older ones that these pages have no room for. */
  isCut: boolean;
}

export function entriesOf(pages: EventsPage[]): Entries {
  const ends: number[] = [];
  for (const page of pages) ends.push((ends.at(-1) ?? 0) + page.events.length);
  const length = ends.at(-1) ?? 0;
  // All pages but the last are full, so the guess is right unless the server has other ideas of a page.
  const pageOf = (index: number) => {
    const guess = Math.floor(index / PAGE);
    const isRight = index < (ends[guess] ?? 0) && index >= (ends[guess - 1] ?? 0);
    return isRight ? guess : ends.findIndex((end) => index < end);
  };
  return {
    length,
    at: (index) => {
      const page = pageOf(index);
      return pages[page]?.events[index - (ends[page - 1] ?? 0)];
    },
    isCut: pages.length >= MAX_PAGES && pages.at(-1)?.next != null,
  };
}
