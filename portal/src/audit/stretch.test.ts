import { afterEach, describe, expect, it, vi } from "vitest";
import { parameters, parse, withQualifier } from "./qualifier";
import { bucketName, momentsOf, stretch } from "./stretch";

const NOW = new Date("2026-11-28T12:00:00Z");

describe("the chart of a filter", () => {
  it("shows the last days, by the day, and what the filter lets through", () => {
    expect(stretch(parse("actor:ann -outcome:denied"), NOW)).toMatchObject({
      days: 30,
      interval: "day",
      actor: ["ann"],
      excludeOutcome: ["denied"],
    });
    expect(stretch(parse("before:2026-11-01T00:00:00Z"), NOW)).toMatchObject({ days: 30, to: "2026-11-01T00:00:00Z" });
  });

  it("shows a short time by the hour, a long one by the day, and the end of one that is longer", () => {
    expect(stretch(parse("after:2026-11-27T00:00:00Z"), NOW)).toMatchObject({ interval: "hour", to: undefined });
    expect(stretch(parse("after:2026-10-27T00:00:00Z"), NOW)).toMatchObject({ interval: "day" });
    const longest = stretch(parse("after:2001-01-01T00:00:00Z before:2026-11-28T00:00:00Z"), NOW);
    expect(longest).toMatchObject({ interval: "day", from: "2025-10-26T00:00:00.000Z" });
  });
});

describe("a picked bucket", () => {
  afterEach(() => vi.unstubAllEnvs());

  for (const zone of ["UTC", "America/Los_Angeles", "Pacific/Auckland"]) {
    it(`filters for its own moments in ${zone}`, () => {
      vi.stubEnv("TZ", zone);
      const { after, before } = momentsOf("2026-11-27T00:00:00Z", "day");
      const text = withQualifier(withQualifier("actor:ann", "after", after), "before", before);
      expect(parameters(parse(text))).toMatchObject({
        actor: ["ann"],
        from: "2026-11-27T00:00:00Z",
        to: "2026-11-27T23:59:59.999999Z",
      });
      expect(bucketName("2026-11-27T00:00:00Z", "day")).toMatch(/^27 Nov 2026/);
    });
  }
});
