import { describe, expect, it } from "vitest";
import { dashboardIn } from "./file";

describe("the dashboard in a file", () => {
  it("is found as it was exported and as the API answers it", () => {
    const dashboard = { title: "D", panels: [] };
    expect(dashboardIn(JSON.stringify(dashboard))).toEqual(dashboard);
    expect(dashboardIn(JSON.stringify({ meta: {}, dashboard }))).toEqual(dashboard);
  });

  it("is missed with a reason", () => {
    for (const [content, reason] of [
      ["<html>", /not JSON/],
      ["[1]", /no dashboard/],
      ["{}", /no title/],
      ['{"title":"x"}', /no panels/],
    ] as const) {
      expect(() => dashboardIn(content)).toThrow(reason);
    }
  });
});
