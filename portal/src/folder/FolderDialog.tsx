import { Button, Group, Modal, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { client, of } from "../api/client";
import { ProblemBox } from "../ui/ProblemBox";
import css from "../ui/ui.module.css";
import type { Folder } from "./folder";

interface FolderDialogProps {
  /** The folder to change; nothing for a new one. */
  folder?: Folder;
  parentUid: string | undefined;
  onClose: () => void;
  onDone: (folder: Folder) => void;
}

/** Makes a folder, or changes its title and description. */
export function FolderDialog({ folder, parentUid, onClose, onDone }: FolderDialogProps) {
  const [title, setTitle] = useState(folder?.title ?? "");
  const [description, setDescription] = useState(folder?.description ?? "");
  const [version, setVersion] = useState(folder?.version);
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);

  async function save() {
    setBusy(true);
    setError(undefined);
    try {
      const saved =
        folder === undefined
          ? await of(client.POST("/api/folders", { body: { title, description, parentUid } }))
          : await of(
              client.PUT("/api/folders/{folder_uid}", {
                params: { path: { folder_uid: folder.uid } },
                body: { title, description, version, overwrite: false },
              }),
            );
      onDone(saved);
    } catch (failure) {
      setError(failure);
      if (folder !== undefined) {
        // What somebody else saved meanwhile is shown, and a second try means to replace it.
        const path = { folder_uid: folder.uid };
        const now = await of(client.GET("/api/folders/{folder_uid}", { params: { path } })).catch(() => undefined);
        if (now !== undefined && now.version !== version) {
          setVersion(now.version);
          setError(
            new Error(
              `${now.updatedBy} changed this folder meanwhile: it is now called “${now.title}”. Save again to replace that.`,
            ),
          );
        }
      }
    } finally {
      setBusy(false);
    }
  }

  return (
    <Modal opened onClose={onClose} title={folder === undefined ? "New folder" : "Change folder"}>
      <form
        className={css.stack}
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        {error !== undefined && <ProblemBox error={error} />}
        <TextInput
          label="Title"
          required
          withAsterisk={false}
          value={title}
          onChange={(event) => setTitle(event.currentTarget.value)}
          data-autofocus
        />
        <Textarea
          label="Description"
          autosize={false}
          rows={3}
          value={description}
          onChange={(event) => setDescription(event.currentTarget.value)}
        />
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={isBusy}>
            {folder === undefined ? "Create folder" : "Save"}
          </Button>
        </Group>
      </form>
    </Modal>
  );
}
