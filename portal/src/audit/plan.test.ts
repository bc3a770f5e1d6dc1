import { describe, expect, it } from "vitest";
import { labelOf, laterOf, obstacleOf, type UndoPlan } from "./plan";

type Step = UndoPlan["steps"][number];

function step(effect: string, text: string, logins: string[] = []): Step {
  const later = logins.map((actorLogin, index) => ({
    actorLogin,
    actorId: index,
    action: "dashboard.updated",
    position: index,
    recordedAt: "2026-11-01T00:00:00Z",
  }));
  return { type: "dashboard", uid: "cpu", name: "CPU", effect, text, laterCount: later.length, later };
}

function plan(steps: Step[], changed = steps.length): UndoPlan {
  return { correlationId: "c", steps, count: steps.length, changed, refused: false, seen: "s" };
}

describe("undoing a request", () => {
  it("is called after what it does", () => {
    expect(labelOf(plan([step("restore", "Restore folder “A”")]))).toBe("Restore");
    expect(labelOf(plan([step("end", "Move dashboard “A” to the trash")]))).toBe("Move dashboard “A” to the trash");
    expect(labelOf(plan([step("restore", "a"), step("restore", "b")]))).toBe("Undo all 2 changes of this request");
  });

  it("says whose later changes go too", () => {
    expect(laterOf(plan([step("revert", "a")]))).toBe("");
    expect(laterOf(plan([step("revert", "a", ["ann"])]))).toBe("This also reverts 1 later change, by ann.");
    const many = [step("revert", "a", ["ann", "bob", "ann"]), step("revert", "b", ["cy", "dee"])];
    expect(laterOf(plan(many))).toBe("This also reverts 5 later changes, by ann, bob, cy and others.");
  });

  it("says what is in the way", () => {
    expect(obstacleOf(plan([step("restore", "a"), step("refused", "Refused: b")]))).toBe("Refused: b");
    expect(obstacleOf(plan([step("impossible", "Cannot")], 0))).toBe("Cannot");
    expect(obstacleOf(plan([step("restore", "a"), step("impossible", "Cannot")], 1))).toBeUndefined();
    expect(obstacleOf(plan([step("nothing", "a")], 0))).toBeUndefined();
  });
});
