import { queryOptions } from "@tanstack/react-query";
import { client, of } from "../api/client";
import { asProblem } from "../api/problem";
import type { components, operations } from "../api/schema";

/** How much of something an org may have, and has. A limit of -1 is none. */
export type Quota = components["schemas"]["QuotaBody"];

type QuotaTarget = operations["updateOrgQuota"]["parameters"]["path"]["quota_target"];

/** The quotas of the org that the caller works in; `null` if the server's settings switch quotas off. */
export function ownQuotasQuery(isServerAdmin: boolean) {
  return queryOptions({
    queryKey: ["quotas", "own"],
    queryFn: async (): Promise<Quota[] | null> => {
      // Who may read the settings need not be refused to find out, which the browser would complain about.
      if (isServerAdmin && !(await areSwitchedOn())) return null;
      try {
        return await of(client.GET("/api/org/quotas"));
      } catch (error) {
        if (areSwitchedOff(error)) return null;
        throw error;
      }
    },
  });
}

async function areSwitchedOn(): Promise<boolean> {
  const settings = await of(client.GET("/api/admin/settings"));
  return settings.quota?.enabled === "true";
}

export function readQuotas(orgId: number): Promise<Quota[]> {
  return of(client.GET("/api/orgs/{org_id}/quotas", { params: { path: { org_id: orgId } } }));
}

/** The quotas of any org. */
export function quotasQuery(orgId: number) {
  return queryOptions({ queryKey: ["quotas", orgId], queryFn: () => readQuotas(orgId) });
}

export function setQuota(orgId: number, target: string, limit: number) {
  const path = { org_id: orgId, quota_target: target as QuotaTarget };
  return of(client.PUT("/api/orgs/{org_id}/quotas/{quota_target}", { params: { path }, body: { limit } }));
}

/** Whether quotas could not be read because the server's settings switch them off. */
export function areSwitchedOff(error: unknown): boolean {
  return asProblem(error).code === "quota.disabled";
}
