import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";

/** How much of a text is shown at first. */
const SHORT = 400;

/** A text that somebody wrote. If it is long, only its beginning shows at first, so that there is room for the rest of the page. */
export function LongText({ children }: { children: string }) {
  const [isWhole, whole] = useDisclosure(false);
  if (children.length <= SHORT) return <bdi>{children}</bdi>;
  return (
    <>
      <bdi>{isWhole ? children : `${children.slice(0, SHORT)}…`}</bdi>{" "}
      <Button size="compact-xs" variant="default" aria-expanded={isWhole} onClick={whole.toggle}>
        {isWhole ? "Show less" : "Show all"}
      </Button>
    </>
  );
}
