import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import { expect, it } from "vitest";
import { SERVER } from "./support";

it("is generated from the document that the server serves", async () => {
  const document = await (await fetch(`${SERVER}/api/openapi.json`)).text();
  const types = astToString(await openapiTS(document));
  const written = readFileSync(new URL("../src/api/schema.d.ts", import.meta.url), "utf8");
  expect(written.includes(types.trim()), "run `scripts/portal client`").toBe(true);
});
