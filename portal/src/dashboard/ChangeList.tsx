import ui from "../ui/ui.module.css";
import type { DashboardDocument } from "./document";
import { compare, inWords } from "./words";

/** More than these are counted, because the list stands among other things. */
const MAX_WORDS = 8;

/** What is different between two documents, in a few words. */
export function ChangeList({ before, after }: { before: DashboardDocument; after: DashboardDocument }) {
  const words = inWords(compare(before, after));
  const rest = words.length - MAX_WORDS;
  if (words.length === 0) return <span>No visible differences.</span>;
  return (
    <ul className={ui.changes}>
      {words.slice(0, MAX_WORDS).map((word, index) => (
        // Two panels of the same name can have changed in the same way.
        // biome-ignore lint/suspicious/noArrayIndexKey: the list is drawn anew with each document.
        <li key={index}>
          <bdi>{word.slice(0, 200)}</bdi>
        </li>
      ))}
      {rest > 0 && <li>and {rest} more</li>}
    </ul>
  );
}
