import { SERVER_PATH } from "./client";
import { untilUp } from "./connection";

/** The style sheets that could not be loaded. Others may be on their way, which must not be disturbed. */
const failed = new Set<HTMLLinkElement>();

document.addEventListener(
  "error",
  ({ target }) => {
    if (target instanceof HTMLLinkElement && target.rel === "stylesheet") failed.add(target);
  },
  // Such an event does not bubble.
  { capture: true },
);

function loadAgain(old: HTMLLinkElement): Promise<void> {
  return new Promise((resolve, reject) => {
    const link = old.cloneNode() as HTMLLinkElement;
    link.onload = () => resolve();
    link.onerror = () => reject(new Error("A style sheet of the portal could not be loaded."));
    old.replaceWith(link);
  });
}

let loading: Promise<unknown> = Promise.resolve();

/**
 * A style sheet can only have failed while the server was away, and is not asked for a second time by itself. Parts of the portal
 * that are loaded at the same time can share one, so each waits for what another has asked for.
 */
function loadStylesAgain(): Promise<unknown> {
  const links = [...failed];
  failed.clear();
  loading = Promise.all([loading.catch(() => undefined), ...links.map(loadAgain)]);
  return loading;
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
