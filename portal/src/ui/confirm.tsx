import { Button, Group, Modal, Text, TextInput } from "@mantine/core";
import { type ReactNode, useState, useSyncExternalStore } from "react";

interface Question {
  title: string;
  /** What will happen. */
  body: ReactNode;
  action: string;
  /** A text that has to be typed first. */
  typed?: string;
  isDestructive?: boolean;
}

interface Asked extends Question {
  id: number;
  answer: (isConfirmed: boolean) => void;
}

let asked: Asked | undefined;
let count = 0;
const listeners = new Set<() => void>();

function set(next: Asked | undefined) {
  asked = next;
  for (const listener of listeners) listener();
}

/** Asks before something is done. */
export function confirm(question: Question): Promise<boolean> {
  asked?.answer(false);
  return new Promise((resolve) => {
    count += 1;
    set({
      ...question,
      id: count,
      answer: (isConfirmed) => {
        set(undefined);
        resolve(isConfirmed);
      },
    });
  });
}

/** The dialog in which [`confirm`] asks. It is on the page once. */
export function ConfirmDialog() {
  const question = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => asked,
  );
  if (question === undefined) return null;
  return <Dialog key={question.id} question={question} />;
}

function Dialog({ question }: { question: Asked }) {
  const [typed, setTyped] = useState("");
  const isTyped = question.typed === undefined || typed === question.typed;
  return (
    <Modal opened onClose={() => question.answer(false)} title={question.title}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isTyped) question.answer(true);
        }}
      >
        <Text component="div" size="sm">
          {question.body}
        </Text>
        {question.typed !== undefined && (
          <TextInput
            mt="md"
            label={
              <>
                Type <bdi>{question.typed}</bdi> to go on
              </>
            }
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            data-autofocus
          />
        )}
        <Group mt="lg" justify="flex-end" gap="xs">
          <Button variant="default" onClick={() => question.answer(false)}>
            Cancel
          </Button>
          <Button
            type="submit"
            color={question.isDestructive === false ? undefined : "red"}
            disabled={!isTyped}
            data-autofocus={question.typed === undefined || undefined}
          >
            {question.action}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
