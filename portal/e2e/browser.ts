import { type Browser, chromium } from "playwright-core";

/** Starts Debian's Chromium, without a window. */
export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // The tests may run as root in a container, where Chromium's sandbox cannot.
    args: ["--no-sandbox"],
  });
}
