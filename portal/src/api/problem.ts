/** What went wrong, in the server's words, and what to try. */
export class Problem extends Error {
  readonly status: number;
  /** The code that programs test, like `version-mismatch`. */
  readonly code: string | undefined;
  readonly requestId: string | undefined;

  constructor(status: number, message: string, code?: string, requestId?: string) {
    super(message);
    this.name = "Problem";
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }

  /** What somebody can do about it. */
  get advice(): string {
    if (this.status === 0 || this.status === 502 || this.status === 503) {
      return "The server does not answer at the moment. Try again in a few seconds.";
    }
    if (this.status === 504) return "The request timed out. Request less at once, or try again later.";
    // The server's word for this is that nobody may have more, whatever their role.
    if (this.status === 403 && this.message === "Quota reached")
      return "The quota is reached. Delete what is no longer needed, or have a server admin raise the quota.";
    if (this.status === 403)
      return "Your role does not allow this. An admin of the organization can do it, or change your role.";
    if (this.status === 404 && this.message.endsWith("at that time")) return "Choose another time, or go back to now.";
    if (this.status === 404) return "Somebody may have moved or deleted it.";
    if (this.status === 409 || this.status === 412)
      return "Somebody else changed it meanwhile. Load it again to see what is new.";
    if (this.status === 413) return "It exceeds the size limit of the server, which an admin can raise.";
    if (this.status === 429) return "Wait a moment, then try again.";
    if (this.status >= 500) return "Internal error of the server. Its log has the details under the request id.";
    return "Check what you entered and try again.";
  }
}

/** Any error as a problem. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(-1, error instanceof Error ? error.message : String(error));
}
