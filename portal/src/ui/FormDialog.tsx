import { Button, Group, Modal } from "@mantine/core";
import type { ReactNode } from "react";
import { ProblemBox } from "./ProblemBox";
import css from "./ui.module.css";
import { useWork } from "./useWork";

interface FormDialogProps {
  title: ReactNode;
  /** What the button says that sends the form. */
  action: string;
  /** The fields. */
  children: ReactNode;
  onClose: () => void;
  /** Sends the form. If it fails, the dialog says why and stays, with what was typed. */
  onSubmit: () => Promise<void>;
}

/** A form in a dialog: its fields, what the server refuses, and the two ways out. */
export function FormDialog({ title, action, children, onClose, onSubmit }: FormDialogProps) {
  const { error, isBusy, run } = useWork();
  return (
    <Modal opened onClose={onClose} title={title}>
      <form
        className={css.stack}
        onSubmit={(event) => {
          event.preventDefault();
          void run(onSubmit);
        }}
      >
        {error !== undefined && <ProblemBox error={error} />}
        {children}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={isBusy}>
            {action}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
