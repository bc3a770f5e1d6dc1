import { TextInput } from "@mantine/core";
import { useThrottledCallback } from "@mantine/hooks";
import { useState } from "react";
import { SearchIcon } from "./icons";

/** How often is searched while somebody types fast. The first key after a pause does not wait. */
const INTERVAL_MS = 60;

interface SearchBoxProps {
  className?: string;
  label: string;
  placeholder: string;
  /** What is searched for. */
  text: string;
  /** Counts how often the text became another one without being typed here, which the box then shows. */
  turns: number;
  onSearch: (text: string) => void;
  /** Called with what was typed when somebody leaves the box. */
  onLeave?: (text: string) => void;
}

/** A box to search in while one types. What is typed is its own state, so that a key draws this box and not the page. */
export function SearchBox({ className, label, placeholder, text, turns, onSearch, onLeave }: SearchBoxProps) {
  const [typed, setTyped] = useState(text);
  const [shown, setShown] = useState(turns);
  if (shown !== turns) {
    setShown(turns);
    setTyped(text);
  }
  // What waits here while the text becomes another one would search for what was typed before.
  const search = useThrottledCallback((now: string, turn: number) => {
    if (turn === turns) onSearch(now);
  }, INTERVAL_MS);
  return (
    <TextInput
      className={className}
      leftSection={<SearchIcon size={16} />}
      placeholder={placeholder}
      aria-label={label}
      value={typed}
      onChange={(event) => {
        const now = event.currentTarget.value;
        setTyped(now);
        search(now.trim(), turns);
      }}
      onBlur={() => onLeave?.(typed.trim())}
    />
  );
}
