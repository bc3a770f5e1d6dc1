import { describe, expect, it } from "vitest";
import { completions, isKept, parameters, parse, withQualifier } from "./qualifier";

describe("the search box of the audit log", () => {
  it("reads qualifiers", () => {
    const filter = parse('actor:alice actor:"Bob B" action:dashboard.* target:dashboard/cpu outcome:success trace:abc');
    expect(parameters(filter)).toMatchObject({
      actor: ["alice", "Bob B"],
      action: ["dashboard.*"],
      targetType: "dashboard",
      targetUid: "cpu",
      outcome: "success",
      traceId: "abc",
    });
    expect(filter.problems).toEqual([]);
  });

  it("takes a day from its beginning to its end", () => {
    const { from, to } = parse("after:2026-11-01 before:2026-11-01");
    expect(new Date(from ?? "").getTime()).toBe(new Date("2026-11-01T00:00:00").getTime());
    expect(new Date(to ?? "").getTime()).toBe(new Date("2026-11-02T00:00:00").getTime() - 1);
  });

  it("says what it does not understand, and waits while somebody types", () => {
    expect(parse("colour:red outcome:maybe after:soon -target:x").problems).toHaveLength(4);
    expect(parse("actor: -outcome:").problems).toEqual([]);
  });

  it("leaves out", () => {
    const filter = parse("-outcome:denied -action:user.* -actor:Bot");
    const entry = { action: "dashboard.saved", outcome: "success", actor: { login: "ann" } };
    expect(isKept(filter, entry)).toBe(true);
    expect(isKept(filter, { ...entry, outcome: "denied" })).toBe(false);
    expect(isKept(filter, { ...entry, action: "user.created" })).toBe(false);
    expect(isKept(filter, { ...entry, actor: { login: "bot" } })).toBe(false);
  });

  it("takes a bare word for somebody, and one with a dot for an action", () => {
    expect(parse("ann folder.created")).toMatchObject({ actors: ["ann"], actions: ["folder.created"] });
  });

  it("changes one qualifier and keeps the others", () => {
    expect(withQualifier("actor:ann outcome:denied", "outcome", "success")).toBe("actor:ann outcome:success");
    expect(withQualifier('actor:"a b" outcome:denied', "outcome", undefined)).toBe('actor:"a b"');
  });

  it("completes the last word", () => {
    const known = { actors: ["ann"], actions: ["dashboard.saved"], types: ["dashboard"] };
    expect(completions("out", known)).toEqual(["outcome:"]);
    expect(completions("actor:ann -outcome:d", known)).toEqual(["actor:ann -outcome:denied"]);
    expect(completions("action:da", known)).toEqual(["action:dashboard.*", "action:dashboard.saved"]);
  });
});
