import { confirm } from "./confirm";
import ui from "./ui.module.css";

/** Something that is about to be written over. */
export interface Field {
  /** What it is called, like "Name". */
  what: string;
  /** What it was when it was shown. */
  shown: string;
  /** What it is on the server now. */
  now: string;
}

/** Longer texts are cut, because they stand in a dialog. */
const MAX_LENGTH = 200;

function said(text: string) {
  return text === "" ? "empty" : <bdi>“{text.slice(0, MAX_LENGTH)}”</bdi>;
}

/**
 * Whether to write over some fields: yes, if nobody changed them since they were shown; else it shows what somebody else made of
 * them, and asks. This is for what has no version that the server could compare.
 */
export async function askIfChanged(fields: Field[]): Promise<boolean> {
  const changed = fields.filter(({ shown, now }) => shown !== now);
  if (changed.length === 0) return true;
  return confirm({
    title: "Somebody changed this meanwhile",
    body: (
      <ul className={ui.changes}>
        {changed.map(({ what, shown, now }) => (
          <li key={what}>
            {what}: was {said(shown)}, is now {said(now)}
          </li>
        ))}
      </ul>
    ),
    action: "Save mine all the same",
  });
}
