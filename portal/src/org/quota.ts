/** How much of something an org may have. */
export interface Quota {
  org_id: number;
  target: string;
  /** -1 for no limit. */
  limit: number;
  used: number;
}
