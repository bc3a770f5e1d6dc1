import { expect, it } from "vitest";
import { nextVisit } from "./visit";

it("takes pages opened within half an hour for one visit", () => {
  const first = nextVisit(undefined, new Date("2026-01-01T10:00:00Z"));
  expect(first.before).toBeUndefined();
  const same = nextVisit(first, new Date("2026-01-01T10:20:00Z"));
  expect(same.before).toBeUndefined();
  const later = nextVisit(same, new Date("2026-01-02T09:00:00Z"));
  expect(later.before).toBe("2026-01-01T10:20:00.000Z");
});
