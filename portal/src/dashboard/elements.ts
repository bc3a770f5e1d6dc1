import { COLUMNS, isObject, number, objects, type Panel, panel, type Section, text, USUAL_HEIGHT } from "./document";

/** What panels have that are elements beside a layout, as in the second version of the schema of dashboards. */
type Elements = Record<string, unknown>;

/** The panels of an automatic grid are put side by side, so many at most. */
const AUTO_COLUMNS = 3;

/** What a layout of elements shows, in the order of reading. Tabs are shown like rows, one below the other. */
export function sectionsOfElements(elements: Elements, layout: unknown): Section[] {
  return sectionsIn(elements, layout, "", undefined, false);
}

function sectionsIn(
  elements: Elements,
  layout: unknown,
  prefix: string,
  row: Panel | undefined,
  isCollapsed: boolean,
): Section[] {
  const spec = isObject(layout) && isObject(layout.spec) ? layout.spec : {};
  const parts = [...objects(spec.rows), ...objects(spec.tabs)];
  const panels = objects(spec.items).flatMap((item, index) => {
    const itemSpec = isObject(item.spec) ? item.spec : {};
    return elementAt(elements, itemSpec, `${prefix}${index}`, row?.key, autoPlace(spec, index)) ?? [];
  });
  const own = row !== undefined || panels.length > 0 ? [{ row, isCollapsed, panels }] : [];
  const inner = parts.flatMap((part, index) => {
    const json = isObject(part.spec) ? part.spec : {};
    const { layout: below, ...head } = json;
    const key = `${prefix}${index}`;
    const place = { x: 0, y: index, w: COLUMNS, h: 1 };
    const found = panel({ ...head, type: "row" }, key, undefined, place);
    return sectionsIn(elements, below, `${key}.`, found, json.collapse === true);
  });
  return [...own, ...inner];
}

function autoPlace(spec: Record<string, unknown>, index: number) {
  const columns = Math.min(Math.max(Math.round(number(spec.maxColumnCount, AUTO_COLUMNS)), 1), COLUMNS);
  const w = Math.floor(COLUMNS / columns);
  return { x: (index % columns) * w, y: Math.floor(index / columns) * USUAL_HEIGHT, w, h: USUAL_HEIGHT };
}

/** The element that an item of a layout names. */
function elementAt(
  elements: Elements,
  item: Record<string, unknown>,
  key: string,
  row: string | undefined,
  auto: Record<string, number>,
): Panel | undefined {
  const name = isObject(item.element) ? text(item.element.name) : "";
  const element = elements[name];
  const json = isObject(element) && isObject(element.spec) ? element.spec : {};
  const visualization = isObject(json.vizConfig) ? json.vizConfig : {};
  const { x, y, width, height } = item;
  const place = width === undefined ? auto : { x, y, w: width, h: height };
  // What draws it is in the group where the kind says only that it is a visualization.
  const type = text(visualization.group) || text(visualization.kind);
  return { ...panel(json, key, row, place), id: name || undefined, type: type || "panel" };
}
