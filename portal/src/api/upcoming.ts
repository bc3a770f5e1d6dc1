import { client, of } from "./client";

interface Options {
  path?: Record<string, string | number>;
  query?: Record<string, unknown>;
  body?: unknown;
  signal?: AbortSignal;
}

/** Calls an operation that the document at hand does not describe yet. */
export function call<T>(
  method: "get" | "post" | "put" | "patch" | "delete",
  path: string,
  options: Options = {},
): Promise<T> {
  const { body, signal } = options;
  const params = { path: options.path, query: options.query };
  type Loose = (
    method: string,
    path: string,
    init: unknown,
  ) => Promise<{ data?: T; error?: unknown; response: Response }>;
  return of((client.request as unknown as Loose)(method.toUpperCase(), path, { params, body, signal }));
}
