import { describe, expect, it } from "vitest";
import { panels, safeUrl, sections } from "./document";
import { compare, inWords } from "./words";

const panel = (id: number, title: string, more: object = {}) => ({
  id,
  title,
  type: "timeseries",
  gridPos: { x: 0, y: id * 8, w: 12, h: 8 },
  ...more,
});

describe("a document's layout", () => {
  it("puts panels under the row before them, and those of a collapsed row inside it", () => {
    const document = {
      panels: [
        panel(1, "Top"),
        { id: 2, type: "row", title: "Disk", gridPos: { x: 0, y: 16, w: 24, h: 1 } },
        panel(3, "Reads"),
        {
          id: 4,
          type: "row",
          title: "Net",
          collapsed: true,
          gridPos: { x: 0, y: 90, w: 24, h: 1 },
          panels: [panel(5, "In")],
        },
      ],
    };
    expect(sections(document).map(({ title, panels }) => [title, panels.map((found) => found.title)])).toEqual([
      [undefined, ["Top"]],
      ["Disk", ["Reads"]],
      ["Net", ["In"]],
    ]);
  });

  it("reads the spans of old documents", () => {
    const document = {
      rows: [
        {
          title: "A",
          panels: [
            { id: 1, span: 6 },
            { id: 2, span: 6 },
            { id: 3, span: 12 },
          ],
        },
      ],
    };
    expect(panels(document).map(({ x, y, w }) => [x, y, w])).toEqual([
      [0, 0, 12],
      [12, 0, 12],
      [0, 8, 24],
    ]);
  });

  it("survives what is no layout", () => {
    for (const panels of [null, 3, "x", [null, 4, { gridPos: { x: -5, y: Number.NaN, w: 9e9, h: "z" } }]]) {
      for (const section of sections({ panels })) {
        for (const { x, w, h } of section.panels) expect(x + w <= 24 && w >= 1 && h >= 1).toBe(true);
      }
    }
  });
});

describe("a difference in words", () => {
  it("tells what changed of a panel", () => {
    const before = { title: "D", panels: [panel(1, "CPU", { targets: [{ expr: "a" }] })] };
    const after = {
      title: "D",
      panels: [panel(1, "CPU", { targets: [{ expr: "b" }], gridPos: { x: 12, y: 8, w: 12, h: 8 } })],
    };
    expect(inWords(compare(before, after))).toEqual(["panel “CPU” moved; its query changed"]);
  });

  it("tells what came and went", () => {
    const before = { title: "D", tags: ["a"], panels: [panel(1, "CPU")], templating: { list: [{ name: "job" }] } };
    const after = { title: "E", tags: ["b"], panels: [panel(2, "RAM")], templating: { list: [{ name: "node" }] } };
    expect(inWords(compare(before, after))).toEqual([
      "panel “RAM” added",
      "panel “CPU” removed",
      "renamed from “D” to “E”",
      "tag “b” added",
      "tag “a” removed",
      "variable “node” added",
      "variable “job” removed",
    ]);
  });

  it("tells many moves as one, and nothing of what is the same", () => {
    const all = [1, 2, 3, 4, 5].map((id) => panel(id, `P${id}`));
    const moved = all.map((found) => ({ ...found, gridPos: { ...found.gridPos, y: found.gridPos.y + 1 } }));
    expect(inWords(compare({ panels: all }, { panels: moved }))).toEqual(["5 panels moved"]);
    expect(inWords(compare({ panels: all, version: 1 }, { panels: all, version: 2 }))).toEqual([]);
  });
});

describe("links", () => {
  it("lead to the web only", () => {
    expect(safeUrl("https://example.org/")).toBe("https://example.org/");
    for (const url of ["javascript:alert(1)", "data:text/html,x", " javascript:1", ""])
      expect(safeUrl(url)).toBeUndefined();
  });
});
