import { describe, expect, it } from "vitest";
import { fateOf, lines } from "./change";

describe("the changes of an entry", () => {
  it("are told where, before and after", () => {
    const changes = [
      { op: "replace", path: "/dashboard/panels/0/title", before: "R", after: "R2" },
      { op: "replace", path: "/version", before: 1, after: 2 },
      { op: "add", path: "/dashboard/a~1b", after: [1] },
      { op: "move", path: "/dashboard/panels/0", from: "/dashboard/panels/1" },
    ];
    expect(fateOf(changes)).toBe("changed");
    expect(lines(changes)).toEqual([
      { path: "panels › 0 › title", before: "R", after: "R2" },
      { path: "a/b", before: "", after: "[1]" },
      { path: "panels › 1 → panels › 0", before: "", after: "" },
    ]);
  });

  it("of a whole object are told part by part, without what is empty", () => {
    const created = [
      {
        op: "replace",
        path: "",
        before: null,
        after: { dashboard: { title: "D", panels: [] }, folderUid: "", isBig: true },
      },
    ];
    expect(fateOf(created)).toBe("created");
    expect(lines(created)).toEqual([
      { path: "title", before: "", after: "D" },
      { path: "isBig", before: "", after: "true" },
    ]);
    const deleted = [{ op: "replace", path: "", before: { title: "x".repeat(1000) }, after: null }];
    expect(fateOf(deleted)).toBe("deleted");
    expect(lines(deleted)[0]?.before).toHaveLength(301);
  });

  it("can be none", () => {
    expect(lines([])).toEqual([]);
    expect(fateOf([])).toBe("changed");
  });
});
