import { describe, expect, it } from "vitest";
import { type AuditEvent, entriesOf, MAX_PAGES, PAGE } from "./entries";

/** Pages of such lengths, whose entries are counted through. */
function pages(lengths: number[], next: string | null = "more") {
  let id = 0;
  return lengths.map((length) => ({
    events: Array.from({ length }, () => ({ id: id++ }) as AuditEvent),
    next,
    previous: null,
  }));
}

describe("the entries of pages", () => {
  it("are found without a copy, whatever the length of a page", () => {
    for (const lengths of [[], [3], [PAGE, PAGE, 7], [PAGE, 0, 3, PAGE, 1], [1, 2, 3]]) {
      const entries = entriesOf(pages(lengths));
      expect(entries.length).toBe(lengths.reduce((sum, length) => sum + length, 0));
      for (let index = 0; index < entries.length; index += 1) expect(entries.at(index)?.id).toBe(index);
      expect(entries.at(entries.length)).toBeUndefined();
    }
  });

  it("end before a browser does, and say so", () => {
    const full = Array.from({ length: MAX_PAGES }, () => PAGE);
    expect(entriesOf(pages(full)).isCut).toBe(true);
    expect(entriesOf(pages(full, null)).isCut).toBe(false);
    expect(entriesOf(pages(full.slice(1))).isCut).toBe(false);
    // Chromium draws nothing that is further down than this, and a row is 36 pixels high.
    expect(entriesOf(pages(full)).length * 36).toBeLessThan(33_000_000);
  });
});
