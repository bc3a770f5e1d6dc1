import { Button, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { client, of } from "../api/client";
import { FormDialog } from "../ui/FormDialog";
import { LongText } from "../ui/LongText";
import css from "../ui/ui.module.css";
import { type Folder, readFolder } from "./folder";

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
  /** What a change is based on: the folder as it was shown, or as somebody else left it and was seen. */
  const [shown, setShown] = useState(folder);
  const [theirs, setTheirs] = useState<Folder>();

  async function save() {
    try {
      const saved =
        folder === undefined
          ? await of(client.POST("/api/folders", { body: { title, description, parentUid } }))
          : await of(
              client.PUT("/api/folders/{folder_uid}", {
                params: { path: { folder_uid: folder.uid } },
                body: { title, description, version: (theirs ?? shown)?.version, overwrite: false },
              }),
            );
      onDone(saved);
    } catch (failure) {
      const now = folder === undefined ? undefined : await readFolder(folder.uid).catch(() => undefined);
      if (now === undefined || now.version === (theirs ?? shown)?.version) throw failure;
      setTheirs(now);
    }
  }

  return (
    <FormDialog
      title={folder === undefined ? "New folder" : "Change folder"}
      action={folder === undefined ? "Create folder" : theirs === undefined ? "Save" : "Replace with mine"}
      onClose={onClose}
      onSubmit={save}
    >
      {theirs !== undefined && shown !== undefined && (
        <Changed
          shown={shown}
          theirs={theirs}
          onTake={() => {
            setTitle(theirs.title);
            setDescription(theirs.description ?? "");
            setShown(theirs);
            setTheirs(undefined);
          }}
        />
      )}
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
    </FormDialog>
  );
}

interface ChangedProps {
  shown: Folder;
  theirs: Folder;
  onTake: () => void;
}

/** What somebody else made of a folder while it was being changed here. */
function Changed({ shown, theirs, onTake }: ChangedProps) {
  const [description, place] = [theirs.description ?? "", theirs.parentUid ?? ""];
  return (
    <div className={css.problem} role="alert">
      <p>
        <strong>
          <bdi>{theirs.updatedBy.slice(0, 100)}</bdi> changed this folder meanwhile.
        </strong>
      </p>
      <ul className={css.changes}>
        {theirs.title !== shown.title && (
          <li>
            it is now called <bdi>“{theirs.title}”</bdi>
          </li>
        )}
        {description !== (shown.description ?? "") && (
          <li>
            {description === "" ? (
              "it has no description any more"
            ) : (
              <>
                its description is now “<LongText>{description}</LongText>”
              </>
            )}
          </li>
        )}
        {place !== (shown.parentUid ?? "") && <li>it is in another folder now, where it stays</li>}
      </ul>
      <p>Take theirs and change that, or replace the title and the description with yours.</p>
      <Button size="xs" variant="default" onClick={onTake}>
        Take theirs
      </Button>
    </div>
  );
}
