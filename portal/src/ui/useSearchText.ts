import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useState } from "react";

/** The address bar follows when somebody pauses, because each change of it draws everything around the page, too. */
const ADDRESS_DELAY_MS = 300;

interface State {
  text: string;
  /** What the address said when it was looked at last. */
  seen: string;
  /** What was written into the address last. */
  written: string;
  turns: number;
}

/** What is searched for, and what a `SearchBox` has to know of it. */
interface SearchText {
  text: string;
  turns: number;
  onSearch: (text: string) => void;
  onLeave: (text: string) => void;
}

/**
 * A text that is searched for, and that the address bar has, too. What is typed comes first into the list and then into the
 * address, at the latest when somebody leaves the box, so that the way back leads to it. An address that became another one in
 * any other way, by the back button or a link, wins over what was typed.
 */
export function useSearchText(address: string, write: (text: string) => void): SearchText {
  const [state, setState] = useState<State>({ text: address, seen: address, written: address, turns: 0 });
  if (state.seen !== address) {
    const isOwn = address === state.written;
    setState({
      text: isOwn ? state.text : address,
      seen: address,
      written: address,
      turns: isOwn ? state.turns : state.turns + 1,
    });
  }
  function writeNow(text: string) {
    if (text === state.written) return;
    setState((old) => ({ ...old, text, written: text }));
    write(text);
  }
  const follow = useDebouncedCallback(writeNow, ADDRESS_DELAY_MS);
  // What was typed before the address changed must not follow into another one.
  // biome-ignore lint/correctness/useExhaustiveDependencies: each turn counts.
  useEffect(() => follow.cancel(), [state.turns, follow]);
  return {
    text: state.text,
    turns: state.turns,
    onSearch(text) {
      setState((old) => (old.text === text ? old : { ...old, text }));
      follow(text);
    },
    onLeave(text) {
      follow.cancel();
      writeNow(text);
    },
  };
}
