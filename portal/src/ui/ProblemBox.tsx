import { Button } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { asProblem } from "../api/problem";
import css from "./ui.module.css";

/** Why something failed, in the server's words, and what to try. */
export function ProblemBox({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const problem = asProblem(error);
  return (
    <div className={css.problem} role="alert">
      <p>
        <strong>
          <bdi>{problem.message}</bdi>
        </strong>
      </p>
      <p>{problem.advice}</p>
      {problem.status >= 500 && problem.requestId !== undefined && <p>Request id: {problem.requestId}</p>}
      {onRetry !== undefined && (
        <Button size="xs" variant="default" onClick={onRetry}>
          Try again
        </Button>
      )}
    </div>
  );
}

/** Says in a corner of the page that something failed. */
export function tellProblem(error: unknown) {
  const problem = asProblem(error);
  notifications.show({
    color: "red",
    title: problem.message.slice(0, 300),
    message: problem.advice,
    autoClose: 12_000,
  });
}

/** Says in a corner of the page that something was done, with a way back if there is one. */
export function tellDone(message: string, undo?: () => void) {
  const id = notifications.show({
    color: "accent",
    message: undo ? (
      <span className={css.bar}>
        <bdi className={css.grow}>{message}</bdi>
        <Button
          size="compact-xs"
          variant="light"
          onClick={() => {
            notifications.hide(id);
            undo();
          }}
        >
          Undo
        </Button>
      </span>
    ) : (
      <bdi>{message}</bdi>
    ),
    autoClose: undo ? 15_000 : 5000,
  });
}
