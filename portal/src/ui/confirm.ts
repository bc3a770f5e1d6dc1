import { type ReactNode, useSyncExternalStore } from "react";

interface Question {
  title: string;
  /** What will happen. */
  body: ReactNode;
  action: string;
  /** A text that has to be typed first. */
  typed?: string;
  isDestructive?: boolean;
}

/** A question with the way to answer it. */
export interface Asked extends Question {
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

/** What is asked at the moment, for a component. */
export function useQuestion(): Asked | undefined {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => asked,
  );
}
