import { Button } from "@mantine/core";
import css from "./ui.module.css";

interface MoreProps {
  /** A list that is asked for a page at a time. */
  of: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => Promise<unknown> };
}

/** Says that a list goes on, and shows more of it. */
export function More({ of }: MoreProps) {
  if (!of.hasNextPage) return null;
  return (
    <div className={css.more}>
      <span>There are more than these.</span>
      <Button
        size="compact-sm"
        variant="default"
        loading={of.isFetchingNextPage}
        onClick={() => void of.fetchNextPage()}
      >
        Show more
      </Button>
    </div>
  );
}
