import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";

const CORE = new URL("../node_modules/@mantine/core/", import.meta.url).pathname;
const NOTIFICATIONS = new URL("../node_modules/@mantine/notifications/esm/", import.meta.url).pathname;
const SOURCES = new URL("./", import.meta.url).pathname;

function filesIn(folder: string, end: RegExp): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => end.test(file))
    .map((file) => join(folder, file));
}

/** What a text imports: names and where from. Types have no styles. */
function importsIn(text: string): { names: string[]; from: string }[] {
  const found = text.matchAll(/import\s+(?!type)(?:\{([^}]*)\}|(\w+))\s+from\s+"([^"]+)"/g);
  return [...found].map(([, names, name, from = ""]) => ({
    names: (names ?? name ?? "")
      .split(",")
      .map((one) => one.trim())
      .filter((one) => one !== "" && !one.startsWith("type "))
      .map((one) => one.split(/\s+as\s+/)[0] ?? one),
    from,
  }));
}

/** The names of the style sheets of what is imported from Mantine, and of all that it is made of. */
function neededSheets(): Set<string> {
  const index = importsIn(readFileSync(join(CORE, "esm/index.mjs"), "utf8"));
  const sources = [...filesIn(SOURCES, /\.tsx?$/), ...filesIn(NOTIFICATIONS, /\.mjs$/)];
  const names = sources
    .flatMap((file) => importsIn(readFileSync(file, "utf8")))
    .filter(({ from }) => from === "@mantine/core")
    .flatMap((one) => one.names);
  const waiting = index
    .filter((one) => one.names.some((name) => names.includes(name)))
    .map(({ from }) => join(CORE, "esm", from));
  const [seen, sheets] = [new Set<string>(), new Set<string>()];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file) || !existsSync(file)) continue;
    seen.add(file);
    for (const { from } of importsIn(readFileSync(file, "utf8"))) {
      const sheet = /\/(\w+)\.module\.mjs$/.exec(from)?.[1];
      if (sheet !== undefined) sheets.add(`${sheet}.css`);
      else if (from.startsWith(".")) waiting.push(join(dirname(file), from));
    }
  }
  return sheets;
}

it("has the style sheets of the components in use, in Mantine's order", () => {
  const text = readFileSync(join(SOURCES, "mantine.css"), "utf8");
  const imported = [...text.matchAll(/@mantine\/core\/styles\/([\w-]+\.css)/g)].map(([, sheet = ""]) => sheet);
  const all = readFileSync(join(CORE, "styles.css"), "utf8");
  const place = (sheet: string) => all.indexOf(readFileSync(join(CORE, "styles", sheet), "utf8").trim());
  const basis = ["baseline.css", "default-css-variables.css", "global.css"];
  const needed = [...new Set([...basis, ...neededSheets()])].sort((a, b) => place(a) - place(b));
  expect(needed.filter((sheet) => place(sheet) < 0)).toEqual([]);
  expect(imported).toEqual(needed);
});
