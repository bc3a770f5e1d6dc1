import { TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useState } from "react";
import { SearchIcon } from "../ui/icons";
import ui from "../ui/ui.module.css";

/** Long enough to take the keys of a word together. The first key after a pause does not wait. */
const DELAY_MS = 60;

interface SearchBoxProps {
  initial: string;
  placeholder: string;
  onSearch: (text: string) => void;
}

/** A box to search in while one types. What is typed is its own state, so that a key draws this box and not the page. */
export function SearchBox({ initial, placeholder, onSearch }: SearchBoxProps) {
  const [typed, setTyped] = useState(initial);
  const search = useDebouncedCallback(onSearch, { delay: DELAY_MS, leading: true });
  return (
    <TextInput
      className={ui.grow}
      leftSection={<SearchIcon size={16} />}
      placeholder={placeholder}
      aria-label="Search folders and dashboards"
      value={typed}
      onChange={(event) => {
        const text = event.currentTarget.value;
        setTyped(text);
        search(text.trim());
      }}
    />
  );
}
