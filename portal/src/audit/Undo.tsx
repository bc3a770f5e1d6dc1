import { Button } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import css from "./EventDialog.module.css";
import type { AuditEvent } from "./entries";
import { labelOf, laterOf, obstacleOf, type UndoPlan } from "./plan";
import { undo, undoQuery } from "./undoing";

const MAX_STEPS = 12;

interface UndoProps {
  event: AuditEvent;
  onClose: () => void;
}

/** The preview of undoing the request of an entry, and the button that undoes it. */
export function Undo({ event, onClose }: UndoProps) {
  const queries = useQueryClient();
  const [isBusy, setBusy] = useState(false);
  const { data: plan } = useQuery(undoQuery(event.id));
  if (plan === undefined) return null;
  const obstacle = obstacleOf(plan);
  if (obstacle !== undefined) {
    return (
      <span className={ui.dim}>
        <bdi>{obstacle}</bdi>
      </span>
    );
  }
  if (plan.changed === 0) return null;

  async function run(seen: string) {
    setBusy(true);
    try {
      const { message } = await undo(event.id, seen);
      await queries.invalidateQueries();
      tellDone(message);
      onClose();
    } catch (error) {
      // The preview may be outdated.
      void queries.invalidateQueries({ queryKey: undoQuery(event.id).queryKey });
      tellProblem(error);
    }
    setBusy(false);
  }

  const later = laterOf(plan);
  return (
    <>
      {plan.count > 1 && <Steps plan={plan} />}
      <Button size="xs" loading={isBusy} onClick={() => void run(plan.seen)}>
        {labelOf(plan)}
      </Button>
      {later !== "" && (
        <span className={ui.dim}>
          <bdi>{later}</bdi>
        </span>
      )}
    </>
  );
}

function Steps({ plan }: { plan: UndoPlan }) {
  const rest = plan.count - Math.min(plan.steps.length, MAX_STEPS);
  return (
    <ul className={css.steps} aria-label="Effects of the undo">
      {plan.steps.slice(0, MAX_STEPS).map((step) => (
        <li key={`${step.type} ${step.uid}`}>
          <bdi>{step.text}</bdi>
        </li>
      ))}
      {rest > 0 && <li>and {rest} more</li>}
    </ul>
  );
}
