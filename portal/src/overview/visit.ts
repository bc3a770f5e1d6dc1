const GAP_MS = 30 * 60_000;

interface Visits {
  /** When the visit before the current one ended. */
  before: string | undefined;
  /** When this page was last open. */
  now: string;
}

/** When somebody's last visit ended. Pages opened within half an hour belong to the same visit. */
export function nextVisit(stored: Visits | undefined, now: Date): Visits {
  if (stored === undefined) return { before: undefined, now: now.toISOString() };
  const isSame = now.getTime() - new Date(stored.now).getTime() < GAP_MS;
  return { before: isSame ? stored.before : stored.now, now: now.toISOString() };
}

/** Notes a visit in this browser, and answers when the one before it ended. */
export function thisVisit(who: string): string | undefined {
  const key = `kymograph-visit:${who}`;
  try {
    const stored = localStorage.getItem(key);
    const visits = nextVisit(stored === null ? undefined : (JSON.parse(stored) as Visits), new Date());
    localStorage.setItem(key, JSON.stringify(visits));
    return visits.before;
  } catch {
    // A browser may keep nothing; then every visit is the first.
    return undefined;
  }
}
