const QUOTE = 0x22;
const LINE_FEED = 0x0a;

/** How exports are written. */
export type ExportFormat = "ndjson" | "csv";

/** Counts the entries in the bytes of an export as they come. */
export class EntryCounter {
  private lines = 0;
  private isQuoted = false;

  constructor(private readonly format: ExportFormat) {}

  add(bytes: Uint8Array) {
    for (const byte of bytes) {
      // Somebody's text has line breaks of its own, which in CSV are between quotes; JSON writes them another way.
      if (byte === QUOTE && this.format === "csv") this.isQuoted = !this.isQuoted;
      else if (byte === LINE_FEED && !this.isQuoted) this.lines += 1;
    }
  }

  /** How many entries have come. The first line of CSV is none. */
  get entries(): number {
    return this.format === "csv" ? Math.max(this.lines - 1, 0) : this.lines;
  }
}
