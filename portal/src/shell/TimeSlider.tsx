import { Button, Popover, Slider, TextInput } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { useMe } from "../session/session";
import { ClockIcon } from "../ui/icons";
import ui from "../ui/ui.module.css";
import { exact } from "../ui/When";
import { useBeginning } from "./beginning";
import css from "./Shell.module.css";

const STEPS = 1000;
/** Who may not read the log gets a slider of this many days. */
const DEFAULT_DAYS = 30;

/** A moment as the field of a form wants it. */
function local(time: Date): string {
  const shifted = new Date(time.getTime() - time.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}

/** Chooses a past moment that folders and dashboards are shown at. */
export function TimeSlider() {
  const at = useSearch({ strict: false, select: (search) => search.at });
  const [isOpen, setOpen] = useState(false);
  const { isEditor } = useMe();
  // Viewers find nothing in the past.
  if (!isEditor && at === undefined) return null;
  return (
    <Popover opened={isOpen} onChange={setOpen} width={340} position="bottom-end" shadow="md" trapFocus>
      <Popover.Target>
        <Button
          variant="default"
          title="Look at the past"
          leftSection={<ClockIcon size={15} />}
          onClick={() => setOpen(!isOpen)}
        >
          {at === undefined ? "Now" : exact(at)}
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Choice at={at} />
      </Popover.Dropdown>
    </Popover>
  );
}

function Choice({ at }: { at: string | undefined }) {
  const navigate = useNavigate();
  const known = useBeginning();
  const [now] = useState(() => Date.now());
  const beginning = known ?? now - DEFAULT_DAYS * 86_400_000;
  const chosen = at === undefined ? now : new Date(at).getTime();
  const [place, setPlace] = useState<number>();
  const [isFuture, setFuture] = useState(false);
  const span = Math.max(now - beginning, 1);
  const shown = place ?? Math.min(Math.max(Math.round(((chosen - beginning) / span) * STEPS), 0), STEPS);
  const moment = place === undefined ? new Date(chosen) : new Date(beginning + (span * place) / STEPS);
  function go(time: Date | undefined) {
    const isPast = time !== undefined && time.getTime() < now - 1000;
    void navigate({ to: ".", search: (old) => ({ ...old, at: isPast ? time.toISOString() : undefined }) });
  }
  return (
    <div className={ui.stack}>
      <div>
        <strong>Look at the past</strong>
        <div className={css.small}>Folders and dashboards as they were. Nothing is changed by looking.</div>
      </div>
      <Slider
        min={0}
        max={STEPS}
        value={shown}
        label={null}
        onChange={setPlace}
        onChangeEnd={(value) => {
          setPlace(undefined);
          go(value >= STEPS ? undefined : new Date(beginning + (span * value) / STEPS));
        }}
        thumbLabel="Moment"
        thumbProps={{ "aria-valuetext": exact(moment) } as object}
      />
      <TextInput
        type="datetime-local"
        step={1}
        label="Exact moment"
        key={at ?? "now"}
        defaultValue={local(new Date(chosen))}
        min={known === undefined ? undefined : local(new Date(known))}
        max={local(new Date(now))}
        error={isFuture && "That is in the future."}
        onBlur={(event) => {
          const time = new Date(event.currentTarget.value);
          if (Number.isNaN(time.getTime()) || local(time) === local(new Date(chosen))) return;
          setFuture(time.getTime() > Date.now());
          if (time.getTime() <= Date.now()) go(time);
        }}
        onKeyDown={(event) => {
          if (event.key === "Enter") event.currentTarget.blur();
        }}
      />
      <Button variant="light" disabled={at === undefined} onClick={() => go(undefined)}>
        Back to now
      </Button>
    </div>
  );
}
