import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["e2e/*.e2e.ts"],
    // All tests share one server, and two browsers at once would only fight for the machine.
    fileParallelism: false,
    // A busy machine can keep a browser waiting past any limit once; a fault of a page fails again.
    retry: 1,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Only files and what failed in them are listed: a page takes longer than a unit test.
    slowTestThreshold: 60_000,
    // Its own second is less than a page takes on a busy machine.
    expect: { poll: { timeout: 20_000 } },
  },
});
