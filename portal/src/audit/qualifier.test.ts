import { describe, expect, it } from "vitest";
import { completions, parameters, parse, withQualifier } from "./qualifier";

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
    expect(to).toMatch(/\.999999Z$/);
  });

  it("takes an exact moment as it is", () => {
    const { from, to } = parse("after:2026-11-01T00:00:00Z before:2026-11-01T23:59:59.999999Z");
    expect([from, to]).toEqual(["2026-11-01T00:00:00Z", "2026-11-01T23:59:59.999999Z"]);
    expect(parse("after:2026-11-01T02:00:00+02:00").from).toBe("2026-11-01T00:00:00.000Z");
  });

  it("says what it does not understand, and waits while somebody types", () => {
    expect(parse("colour:red outcome:maybe after:soon -trace:x").problems).toHaveLength(4);
    expect(parse("actor: -outcome:").problems).toEqual([]);
  });

  it("leaves out", () => {
    const filter = parse("-outcome:denied -outcome:failure -action:user.* -actor:Bot -target:star");
    expect(parameters(filter)).toMatchObject({
      outcome: undefined,
      excludeOutcome: ["denied", "failure"],
      excludeAction: ["user.*"],
      excludeActor: ["Bot"],
      excludeTargetType: ["star"],
    });
    expect(filter.problems).toEqual([]);
    expect(parse("-outcome:maybe -target:folder/x -after:2026-11-01").problems).toHaveLength(3);
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
