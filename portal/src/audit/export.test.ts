import { describe, expect, it } from "vitest";
import { EntryCounter } from "./export";

/** Counts a text that comes in pieces of some bytes. */
function counted(format: "ndjson" | "csv", text: string, size: number): number {
  const counter = new EntryCounter(format);
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) counter.add(bytes.subarray(at, at + size));
  return counter.entries;
}

describe("the entries of an export", () => {
  it("are counted, not the line breaks inside of them", () => {
    const csv = 'id,name\r\n1,plain\r\n2,"two\nlines, and ""quotes""\n"\r\n3,"é"\r\n';
    for (const size of [1, 2, 7, 1000]) expect(counted("csv", csv, size)).toBe(3);
    expect(counted("ndjson", '{"name":"a \\" b"}\n{"name":"\\n"}\n', 3)).toBe(2);
  });

  it("can be none", () => {
    expect(counted("csv", "id,name\r\n", 4)).toBe(0);
    expect(counted("csv", "", 1)).toBe(0);
    expect(counted("ndjson", "", 1)).toBe(0);
  });
});
