import { Button, Group, Modal, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { type Asked, useQuestion } from "./confirm";

/** The dialog in which `confirm` asks. It is on the page once. */
export function ConfirmDialog() {
  const question = useQuestion();
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
