import { Button, Group, Modal } from "@mantine/core";
import { type ReactNode, useState } from "react";
import { FolderTree } from "./FolderTree";

interface PickFolderDialogProps {
  title: string;
  /** What happens with the folder that is picked. */
  action?: string;
  hint?: ReactNode;
  onClose: () => void;
  /** Called with the folder, or with nothing for the top level. */
  onPick: (uid: string | undefined) => void;
}

/** Asks where to. */
export function PickFolderDialog({ title, action = "Move here", hint, onClose, onPick }: PickFolderDialogProps) {
  const [selected, setSelected] = useState<string>();
  return (
    <Modal opened onClose={onClose} title={title}>
      {hint !== undefined && <p style={{ marginTop: 0 }}>{hint}</p>}
      <div style={{ maxHeight: "50vh", overflow: "auto" }}>
        <FolderTree selected={selected} open={[]} onSelect={setSelected} rootLabel="Top level" />
      </div>
      <Group justify="flex-end" gap="xs" mt="md">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button onClick={() => onPick(selected)}>{action}</Button>
      </Group>
    </Modal>
  );
}
