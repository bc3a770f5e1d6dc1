import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const SITE = "dist/site";

/** Puts compressed forms beside the files, which the server embeds and sends as they are. */
function compress(): Plugin {
  return {
    name: "compress",
    apply: "build",
    closeBundle() {
      for (const entry of readdirSync(SITE, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || entry.name === "index.html") continue;
        const path = join(entry.parentPath, entry.name);
        const content = readFileSync(path);
        writeFileSync(`${path}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  // Addresses in the page are relative to its <base>, which the server sets: the portal can live under any path.
  base: "./",
  build: {
    outDir: SITE,
    emptyOutDir: true,
    target: "es2022",
    // An inlined file would be a data: address, which the Content-Security-Policy knows for images only.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [react(), compress()],
  server: { proxy: { "/api": "http://localhost:3000", "/login": "http://localhost:3000" } },
  test: { include: ["src/**/*.test.ts"] },
});
