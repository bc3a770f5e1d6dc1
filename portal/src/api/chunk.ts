import { SERVER_PATH } from "./client";
import { untilUp } from "./connection";

/** Whether the rules of a style sheet are not there. Those of one that could not be loaded may not even be asked for. */
function isMissing({ sheet }: HTMLLinkElement): boolean {
  try {
    return sheet === null || sheet.cssRules.length === 0;
  } catch {
    return true;
  }
}

/** A style sheet can only have failed while the server was away, and is not asked for a second time by itself. */
async function loadStylesAgain() {
  const failed = [...document.querySelectorAll<HTMLLinkElement>("link[rel=stylesheet]")].filter(isMissing);
  await Promise.all(
    failed.map(
      (old) =>
        new Promise<void>((resolve, reject) => {
          const link = old.cloneNode() as HTMLLinkElement;
          link.onload = () => resolve();
          link.onerror = () => reject(new Error("A style sheet of the portal could not be loaded."));
          old.replaceWith(link);
        }),
    ),
  );
}

async function isUp(): Promise<boolean> {
  try {
    return (await fetch(`${SERVER_PATH}/readyz`, { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/**
 * Loads a part of the portal, and waits for that until the server answers if it is away. What cannot be loaded twice from a server
 * that answers is not there: another version of the portal has taken its place.
 */
export function whenUp<T>(load: () => Promise<T>): () => Promise<T> {
  return async () => {
    for (let hasAnswered = false; ; ) {
      try {
        return await load();
      } catch (error) {
        if (hasAnswered) throw error;
        hasAnswered = await isUp();
        if (!hasAnswered) await untilUp(`${SERVER_PATH}/readyz`);
        await loadStylesAgain();
      }
    }
  };
}
