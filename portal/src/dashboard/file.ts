import { isObject, text } from "./document";

/** The dashboard in a file's text: as it was exported, or as the API answers it. */
export function dashboardIn(content: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (error) {
    throw new Error(`This file is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const found = isObject(json) && isObject(json.dashboard) ? json.dashboard : json;
  if (!isObject(found)) throw new Error("This file holds JSON, but no dashboard: a dashboard is an object.");
  const isV2 = isObject(found.spec) && text(found.kind) === "Dashboard";
  const dashboard = isV2 && isObject(found.spec) ? found.spec : found;
  if (text(dashboard.title).trim() === "") throw new Error("This file holds no dashboard: it has no title.");
  if (!Array.isArray(dashboard.panels) && !Array.isArray(dashboard.rows) && !isObject(dashboard.elements)) {
    throw new Error("This file holds no dashboard: it has a title, but no panels.");
  }
  return dashboard;
}
