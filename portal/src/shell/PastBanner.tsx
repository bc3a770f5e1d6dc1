import { Button } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { ClockIcon } from "../ui/icons";
import { exact } from "../ui/When";
import { useBeginning } from "./beginning";
import css from "./Shell.module.css";

/** Says plainly that what is shown is the past. */
export function PastBanner() {
  const at = useSearch({ strict: false, select: (search) => search.at });
  if (at === undefined) return null;
  return <Past at={at} />;
}

function Past({ at }: { at: string }) {
  const navigate = useNavigate();
  const beginning = useBeginning();
  const time = new Date(at).getTime();
  const isBefore = beginning !== undefined && time < beginning;
  const isFuture = time > Date.now();
  return (
    <div className={css.banner} role="status">
      <span className={css.said}>
        <ClockIcon size={16} />{" "}
        {isFuture
          ? `${exact(at)} is in the future.`
          : `You are looking at the past: ${exact(at)}. Nothing can be changed there.`}
        {isBefore && ` That is before this organization began, on ${exact(new Date(beginning))}: nothing existed.`}
      </span>
      <Button
        size="compact-sm"
        variant="default"
        onClick={() => void navigate({ to: ".", search: (old) => ({ ...old, at: undefined }) })}
      >
        Back to now
      </Button>
    </div>
  );
}
