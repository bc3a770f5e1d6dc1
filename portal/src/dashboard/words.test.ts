import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { type DashboardDocument, objects, safeUrl } from "./document";
import { panels, rows, sections } from "./layout";
import { areSame, compare, inWords } from "./words";

const REAL = new URL("../../../tests/data/dashboards/", import.meta.url);

/** The real dashboards of the repository, each anew. */
function realDashboards(): [string, DashboardDocument][] {
  return readdirSync(REAL)
    .filter((file) => file.endsWith(".json"))
    .map((file) => [file, JSON.parse(readFileSync(new URL(file, REAL), "utf8")) as DashboardDocument]);
}

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
    expect(sections(document).map(({ row, panels }) => [row?.title, panels.map((found) => found.title)])).toEqual([
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

  it("of the second version of the schema is drawn, too", () => {
    const element = (name: string) => ({ kind: "ElementReference", name });
    const grid = (x: number, name: string) => ({
      kind: "GridLayoutItem",
      spec: { x, y: 0, width: 12, height: 6, element: element(name) },
    });
    const elements = Object.fromEntries(
      ["a", "b", "c"].map((name) => [
        name,
        { kind: "Panel", spec: { id: 1, title: name.toUpperCase(), vizConfig: { kind: "stat" } } },
      ]),
    );
    const auto = { kind: "AutoGridLayout", spec: { maxColumnCount: 2, items: [{ spec: { element: element("c") } }] } };
    const rows = [
      {
        kind: "RowsLayoutRow",
        spec: { title: "First", layout: { kind: "GridLayout", spec: { items: [grid(0, "a"), grid(12, "b")] } } },
      },
      { kind: "RowsLayoutRow", spec: { title: "Second", collapse: true, layout: auto } },
    ];
    const document = { title: "D", elements, layout: { kind: "RowsLayout", spec: { rows } } };
    const found = sections(document).map(({ row, isCollapsed, panels }) => [
      row?.title,
      isCollapsed,
      panels.map(({ title, type, x, w }) => `${title} ${type} ${x} ${w}`),
    ]);
    expect(found).toEqual([
      ["First", false, ["A stat 0 12", "B stat 12 12"]],
      ["Second", true, ["C stat 0 12"]],
    ]);
    const renamed = structuredClone(document);
    (renamed.layout.spec.rows[0] as { spec: { title: string } }).spec.title = "Start";
    expect(inWords(compare(document, renamed))).toEqual(["row “Start” renamed from “First”"]);
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

describe("a difference of rows", () => {
  const row = (id: number | undefined, title: string, more: object = {}) => ({
    ...(id !== undefined && { id }),
    type: "row",
    title,
    collapsed: false,
    panels: [] as object[],
    gridPos: { x: 0, y: 0, w: 24, h: 1 },
    ...more,
  });

  it("is told: renamed, collapsed, added, removed", () => {
    const before = { panels: [row(1, "Disk"), panel(2, "Reads")] };
    expect(inWords(compare(before, { panels: [row(1, "Disks"), panel(2, "Reads")] }))).toEqual([
      "row “Disks” renamed from “Disk”",
    ]);
    const collapsed = { panels: [row(1, "Disk", { collapsed: true, panels: [panel(2, "Reads")] })] };
    expect(inWords(compare(before, collapsed))).toEqual(["row “Disk” collapsed"]);
    expect(inWords(compare(collapsed, before))).toEqual(["row “Disk” expanded"]);
    const more = { panels: [...before.panels, row(3, "Net", { gridPos: { x: 0, y: 90, w: 24, h: 1 } })] };
    expect(inWords(compare(before, more))).toEqual(["row “Net” added"]);
    expect(inWords(compare(more, before))).toEqual(["row “Net” removed"]);
    const repeated = { panels: [row(1, "Disk", { repeat: "host" }), panel(2, "Reads")] };
    expect(inWords(compare(before, repeated))).toEqual(["row “Disk”: its repetition changed"]);
  });

  it("tells that a panel went into another row, even at the same place", () => {
    const spans = (first: object[], second: object[]) => ({
      rows: [
        { title: "A", panels: first },
        { title: "B", panels: second },
      ],
    });
    const one = { id: 7, title: "CPU", type: "graph", span: 6 };
    expect(inWords(compare(spans([one], []), spans([], [one])))).toEqual(["panel “CPU” moved"]);
    expect(inWords(compare(spans([one], []), spans([one], [])))).toEqual([]);
  });

  for (const [name, document] of realDashboards()) {
    it(`is told of each row of ${name}`, () => {
      expect(inWords(compare(document, structuredClone(document)))).toEqual([]);
      expect(areSame(document, { ...document, version: 99 })).toBe(true);
      for (const found of rows(document)) {
        const after = structuredClone(document);
        const at = Number(found.key);
        const changed = objects(after.panels)[at];
        if (changed === undefined) throw new Error(`${name} has no ${found.key}`);
        changed.title = "Renamed";
        expect(inWords(compare(document, after))).toEqual([`row “Renamed” renamed from “${found.title}”`]);
        const without = { ...document, panels: objects(document.panels).filter((_, index) => index !== at) };
        expect(inWords(compare(document, without))).toContain(`row “${found.title}” removed`);
      }
    });

    it(`takes the panels of ${name} for the same without ids`, () => {
      const before = withoutIds(document);
      const after = { ...before, panels: [{ ...panel(0, "New one"), id: undefined }, ...objects(before.panels)] };
      expect(inWords(compare(before, after))).toEqual(["panel “New one” added"]);
      expect(inWords(compare(after, before))).toEqual(["panel “New one” removed"]);
      expect(panels(after)).toHaveLength(panels(document).length + 1);
    });
  }

  it("keeps panels with the same id apart", () => {
    const before = { panels: [panel(1, "CPU"), panel(1, "RAM")] };
    const after = { panels: [panel(1, "New"), panel(1, "CPU"), panel(1, "RAM", { description: "x" })] };
    expect(inWords(compare(before, after)).sort()).toEqual([
      "panel “New” added",
      "panel “RAM”: its description changed",
    ]);
  });
});

function withoutIds(document: DashboardDocument): DashboardDocument {
  return JSON.parse(JSON.stringify(document, (key, value) => (key === "id" ? undefined : value))) as DashboardDocument;
}

describe("links", () => {
  it("lead to the web only", () => {
    expect(safeUrl("https://example.org/")).toBe("https://example.org/");
    for (const url of ["javascript:alert(1)", "data:text/html,x", " javascript:1", ""])
      expect(safeUrl(url)).toBeUndefined();
  });
});
