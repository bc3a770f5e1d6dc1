import { Button, FileButton, Group, Loader, Modal, Progress } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import ui from "../ui/ui.module.css";
import { forEach } from "./actions";
import { ChangeList } from "./ChangeList";
import css from "./ImportDialog.module.css";
import { type Choice, type ImportState, importDashboard, importFile } from "./import";

interface Item {
  key: string;
  file: File;
  state: ImportState;
}

/** Whether files are dragged over the page; what is dropped goes to the callback. */
export function useDrop(onFiles: ((files: File[]) => void) | undefined): boolean {
  const [depth, setDepth] = useState(0);
  useEffect(() => {
    if (onFiles === undefined) return;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => hasFiles(event) && setDepth((old) => old + 1);
    const leave = (event: DragEvent) => hasFiles(event) && setDepth((old) => Math.max(0, old - 1));
    const over = (event: DragEvent) => hasFiles(event) && event.preventDefault();
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setDepth(0);
      onFiles([...(event.dataTransfer?.files ?? [])]);
    };
    const handlers = { dragenter: enter, dragleave: leave, dragover: over, drop } as const;
    for (const [name, handler] of Object.entries(handlers)) window.addEventListener(name, handler as EventListener);
    return () => {
      for (const [name, handler] of Object.entries(handlers))
        window.removeEventListener(name, handler as EventListener);
    };
  }, [onFiles]);
  return depth > 0;
}

interface ImportDialogProps {
  files: File[];
  folderUid: string | undefined;
  onClose: () => void;
  onImported: () => unknown;
}

/** Imports files, and says of each what became of it. */
export function ImportDialog({ files, folderUid, onClose, onImported }: ImportDialogProps) {
  const [items, setItems] = useState<Item[]>([]);
  const count = useRef(0);
  const started = useRef<File[]>(undefined);
  const settle = (key: string, state: ImportState) =>
    setItems((old) => old.map((item) => (item.key === key ? { ...item, state } : item)));

  async function start(list: File[]) {
    const fresh = list.map((file): Item => {
      count.current += 1;
      return { key: String(count.current), file, state: { kind: "waiting" } };
    });
    setItems((old) => [...old, ...fresh]);
    await forEach(fresh, async ({ key, file }) => {
      settle(key, { kind: "saving" });
      settle(key, await importFile(file, folderUid));
    });
    onImported();
  }

  async function choose(item: Item, choice: Choice) {
    if (item.state.kind !== "taken") return;
    const { dashboard } = item.state;
    settle(item.key, { kind: "saving" });
    settle(item.key, await importDashboard(dashboard, folderUid, item.file.name, choice));
    onImported();
  }

  // biome-ignore lint/correctness/useExhaustiveDependencies: each drop is imported once.
  useEffect(() => {
    if (files.length > 0 && started.current !== files) {
      started.current = files;
      void start(files);
    }
  }, [files]);
  const settled = items.filter(({ state }) => state.kind !== "waiting" && state.kind !== "saving").length;
  const done = items.filter(({ state }) => state.kind === "done").length;
  return (
    <Modal opened onClose={onClose} title="Import dashboards" size="lg">
      <div className={ui.stack}>
        <div className={css.zone}>
          <p>Drop JSON files here, as exported by Grafana or returned by the API.</p>
          <FileButton accept="application/json,.json" multiple onChange={(list) => void start(list)}>
            {(props) => (
              <Button variant="default" {...props}>
                Choose files
              </Button>
            )}
          </FileButton>
        </div>
        {items.length > 0 && (
          <>
            <Progress value={(settled / items.length) * 100} aria-label="Files imported" size="sm" />
            <p className={css.sum} role="status">
              {done} of {items.length} imported
            </p>
            <ul className={css.list} aria-label="Files">
              {items.map((item) => (
                <li key={item.key}>
                  <bdi className={css.name}>{item.file.name}</bdi>
                  <Result item={item} onChoose={(choice) => void choose(item, choice)} />
                </li>
              ))}
            </ul>
          </>
        )}
        <Group justify="flex-end">
          <Button onClick={onClose}>{items.length === 0 ? "Close" : "Done"}</Button>
        </Group>
      </div>
    </Modal>
  );
}

function Result({ item, onChoose }: { item: Item; onChoose: (choice: Choice) => void }) {
  const { state } = item;
  switch (state.kind) {
    case "waiting":
    case "saving":
      return <Loader size={14} aria-label="Saving" />;
    case "done":
      return (
        <span className={css.done}>
          ✓{" "}
          <Link to="/dashboards/$uid" params={{ uid: state.uid }}>
            <bdi>{state.title}</bdi>
          </Link>
          , version {state.version}
        </span>
      );
    case "taken":
      return (
        <span className={css.failed}>
          <bdi>{state.message}</bdi>
          {state.there !== undefined && (
            <div className={css.taken}>
              What a new version would change:
              <ChangeList before={state.there} after={state.dashboard} />
            </div>
          )}{" "}
          <Button size="compact-xs" variant="default" onClick={() => onChoose("replace")}>
            Save as a new version
          </Button>{" "}
          <Button size="compact-xs" variant="default" onClick={() => onChoose("copy")}>
            Keep both
          </Button>
        </span>
      );
    case "failed":
      return (
        <span className={css.failed}>
          <bdi>{state.message}</bdi>
        </span>
      );
  }
}
