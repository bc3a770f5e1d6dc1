import { Modal, ScrollArea, TextInput, UnstyledButton } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, type ReactNode, useState } from "react";
import { asProblem } from "../api/problem";
import { searchQuery } from "../dashboard/search";
import { useMe } from "../session/session";
import { DashboardIcon, FolderIcon, SearchIcon } from "../ui/icons";
import css from "./CommandPalette.module.css";
import { DESTINATIONS } from "./navigation";

interface Command {
  id: string;
  label: string;
  hint: string;
  icon: ReactNode;
  run: () => void;
}

const MAX_HITS = 8;

/** Pages, folders and dashboards by a few letters of their names. */
export default function CommandPalette({ onClose }: { onClose: () => void }) {
  const me = useMe();
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const [wanted] = useDebouncedValue(text.trim(), 80);
  const hits = useQuery({
    ...searchQuery({ query: wanted, limit: MAX_HITS }),
    enabled: wanted !== "" && me.org !== undefined,
    placeholderData: keepPreviousData,
  });
  // What is shown can still belong to what was typed before.
  const isSearching = text.trim() !== wanted || (hits.isFetching && (hits.isPending || hits.isPlaceholderData));
  const lower = text.trim().toLowerCase();
  const commands: Command[] = DESTINATIONS.filter(
    (page) => page.isFor(me) && `${page.label} ${page.keywords}`.toLowerCase().includes(lower),
  ).map(({ to, label, icon: Icon }) => ({
    id: to,
    label,
    hint: "Page",
    icon: <Icon size={16} />,
    run: () => void navigate({ to }),
  }));
  if ("profile and sessions password".includes(lower)) {
    commands.push({
      id: "/profile",
      label: "Profile and sessions",
      hint: "Page",
      icon: null,
      run: () => void navigate({ to: "/profile" }),
    });
  }
  for (const hit of wanted === "" ? [] : (hits.data ?? [])) {
    const isFolder = hit.type === "dash-folder";
    commands.push({
      id: hit.uid,
      label: hit.title,
      hint: isFolder ? "Folder" : (hit.folderTitle ?? "Dashboard"),
      icon: isFolder ? <FolderIcon size={16} /> : <DashboardIcon size={16} />,
      run: () =>
        void (isFolder
          ? navigate({ to: "/dashboards", search: { folder: hit.uid } })
          : navigate({ to: "/dashboards/$uid", params: { uid: hit.uid } })),
    });
  }
  const current = Math.min(active, Math.max(0, commands.length - 1));

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "ArrowDown") setActive(Math.min(current + 1, commands.length - 1));
    else if (event.key === "ArrowUp") setActive(Math.max(current - 1, 0));
    else if (event.key === "Enter") choose(commands[current]);
    else return;
    event.preventDefault();
  }

  function choose(command: Command | undefined) {
    if (command === undefined) return;
    onClose();
    command.run();
  }

  return (
    <Modal
      opened
      onClose={onClose}
      withCloseButton={false}
      centered={false}
      padding={0}
      size="lg"
      attributes={{ content: { "aria-label": "Search or jump to" } }}
    >
      <TextInput
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setActive(0);
        }}
        onKeyDown={onKeyDown}
        placeholder="Pages, folders, dashboards"
        aria-label="Pages, folders, dashboards"
        role="combobox"
        aria-expanded
        aria-controls="palette"
        aria-activedescendant={commands[current] && `palette-${current}`}
        variant="unstyled"
        size="md"
        leftSection={<SearchIcon />}
        px="sm"
        data-autofocus
      />
      <ScrollArea.Autosize mah={380} className={css.list}>
        <div id="palette" role="listbox" aria-label="What was found">
          {commands.map((command, index) => (
            <UnstyledButton
              key={command.id}
              id={`palette-${index}`}
              role="option"
              tabIndex={-1}
              aria-selected={index === current}
              className={css.command}
              onMouseMove={() => setActive(index)}
              onClick={() => choose(command)}
            >
              {command.icon}
              <bdi className={css.label}>{command.label}</bdi>
              <bdi className={css.hint}>{command.hint}</bdi>
            </UnstyledButton>
          ))}
        </div>
        {hits.isError ? (
          <p className={css.none} role="alert">
            Folders and dashboards could not be searched: <bdi>{asProblem(hits.error).message}</bdi>
          </p>
        ) : (
          commands.length === 0 && (
            <p className={css.none} role="status">
              {isSearching ? "Searching…" : "No matches."}
            </p>
          )
        )}
      </ScrollArea.Autosize>
    </Modal>
  );
}
