declare const __SERVED__: Record<"audit" | "quotas" | "past" | "trash" | "statistics", boolean>;

/** What the server serves of what pages are there for. It is found out when the portal is built, from the types of the API:
 * portal and server are one binary. */
export const SERVED = __SERVED__;
