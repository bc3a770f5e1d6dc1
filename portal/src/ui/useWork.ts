import { useState } from "react";

/** A form's work: busy while it lasts, with its error. */
export function useWork() {
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  async function run(work: () => Promise<void>) {
    setBusy(true);
    setError(undefined);
    try {
      await work();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  }
  return { error, isBusy, run };
}
