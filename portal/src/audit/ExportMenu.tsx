import { Button, Group, Menu, Modal, Progress as ProgressBar } from "@mantine/core";
import { useRef, useState } from "react";
import { tellDone, tellProblem } from "../ui/ProblemBox";
import { exportEvents, type Progress, save } from "./event";
import type { ExportFormat } from "./export";
import type { AuditFilter } from "./qualifier";

/** Saves what a filter lets through as a file. */
export function ExportMenu({ filter }: { filter: AuditFilter }) {
  const [progress, setProgress] = useState<Progress>();
  const stop = useRef<AbortController>(undefined);

  async function run(format: ExportFormat) {
    const controller = new AbortController();
    stop.current = controller;
    let last: Progress = { entries: 0, total: undefined };
    setProgress(last);
    try {
      const blob = await exportEvents(filter, format, controller.signal, (now) => {
        last = now;
        setProgress(now);
      });
      save(blob, `audit-${new Date().toISOString().slice(0, 10)}.${format}`);
      tellDone(`${count(last.entries)} exported`);
    } catch (error) {
      if (!controller.signal.aborted) tellProblem(error);
    }
    setProgress(undefined);
  }

  return (
    <>
      <Menu position="bottom-end" shadow="md">
        <Menu.Target>
          <Button variant="default">Export</Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Label>What the filter lets through</Menu.Label>
          <Menu.Item onClick={() => void run("ndjson")}>As JSON, one entry a line</Menu.Item>
          <Menu.Item onClick={() => void run("csv")}>As CSV</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {progress !== undefined && (
        <Modal opened onClose={() => stop.current?.abort()} title="Exporting">
          <Bar progress={progress} />
          <Group justify="space-between" mt="md">
            <span role="status">{inWords(progress)}</span>
            <Button variant="default" onClick={() => stop.current?.abort()}>
              Stop
            </Button>
          </Group>
        </Modal>
      )}
    </>
  );
}

function Bar({ progress: { entries, total } }: { progress: Progress }) {
  // A full bar that moves says that it goes on, and not how far it is.
  if (total === undefined) {
    return (
      <ProgressBar.Root>
        <ProgressBar.Section value={100} animated withAria={false} aria-label="Exporting" role="progressbar" />
      </ProgressBar.Root>
    );
  }
  // Entries that were added meanwhile come, too.
  return <ProgressBar value={total === 0 ? 100 : Math.min(100, (entries / total) * 100)} aria-label="Exporting" />;
}

function inWords({ entries, total }: Progress): string {
  if (total === undefined) return `${count(entries)} so far`;
  return `${entries.toLocaleString("en")} of ${count(Math.max(total, entries))}`;
}

function count(entries: number): string {
  return `${entries.toLocaleString("en")} ${entries === 1 ? "entry" : "entries"}`;
}
