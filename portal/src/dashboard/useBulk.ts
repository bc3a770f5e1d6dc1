import { useCallback, useState } from "react";
import { tellDone, tellProblem } from "../ui/ProblemBox";
import { deleteHit, forEach, isFolder, moveTo } from "./actions";
import { askToDelete } from "./askToDelete";
import type { Hit } from "./search";
import { restoreDeleted } from "./trash";

/** What is being done to many things, and how far it has come. */
export interface Progress {
  /** What is done, like "Moving". */
  what: string;
  done: number;
  total: number;
}

/** Not all that failed is told of, because the same thing can fail a thousand times. */
const TOLD = 3;

/** Moves and deletes any number of folders and dashboards, and tells what came of it. */
export function useBulk(onFinished: () => void) {
  const [progress, setProgress] = useState<Progress>();

  const run = useCallback(
    async (list: Hit[], [what, past]: [string, string], work: (hit: Hit) => Promise<unknown>, undo?: () => void) => {
      setProgress({ what, done: 0, total: list.length });
      const failed = await forEach(list, async (hit) => {
        try {
          await work(hit);
        } finally {
          setProgress((old) => old && { ...old, done: old.done + 1 });
        }
      });
      setProgress(undefined);
      onFinished();
      const count = list.length - failed.length;
      if (count > 0) {
        tellDone(list.length === 1 ? `“${list[0]?.title.slice(0, 80)}” ${past}` : `${count} ${past}`, undo);
      }
      for (const { error } of failed.slice(0, TOLD)) tellProblem(error);
    },
    [onFinished],
  );

  const remove = useCallback(
    async (list: Hit[]) => {
      if (!(await askToDelete(list))) return;
      const undo = () => void run(list, ["Restoring", "restored"], (hit) => restoreDeleted(hit.uid));
      await run(list, ["Deleting", "deleted"], deleteHit, list.some(isFolder) ? undefined : undo);
    },
    [run],
  );

  const move = useCallback(
    (list: Hit[], folderUid: string | undefined) => run(list, ["Moving", "moved"], (hit) => moveTo(hit, folderUid)),
    [run],
  );

  return { progress, move, remove };
}
