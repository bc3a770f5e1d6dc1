import { queryOptions, useSuspenseQuery } from "@tanstack/react-query";
import { actFor, client, of } from "../api/client";
import type { components } from "../api/schema";

export type Profile = components["schemas"]["ProfileBody"];
export type OrgRole = components["schemas"]["OrgRole"];
export type OwnOrg = components["schemas"]["UserOrgBody"];

/** Who is logged in, in which of which orgs. */
export interface Me {
  profile: Profile;
  orgs: OwnOrg[];
  /** The org this page is about. */
  org: OwnOrg | undefined;
  isAdmin: boolean;
  isEditor: boolean;
  isServerAdmin: boolean;
}

/** Who is logged in. It fails with 401 instead of asking for a log-in. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async (): Promise<Me> => {
    const headers = { "X-No-Login": "1" };
    const [profile, orgs] = await Promise.all([
      of(client.GET("/api/user", { headers })),
      of(client.GET("/api/user/orgs", { headers })),
    ]);
    actFor(profile.orgId);
    const org = orgs.find((candidate) => candidate.orgId === profile.orgId);
    return {
      profile,
      orgs,
      org,
      isAdmin: org?.role === "Admin",
      isEditor: org?.role === "Admin" || org?.role === "Editor",
      isServerAdmin: profile.isGrafanaAdmin,
    };
  },
  staleTime: 60_000,
  retry: false,
});

/** Who is logged in, on a page that only who is logged in can see. */
export function useMe(): Me {
  return useSuspenseQuery(meQuery).data;
}

/** Logs in. */
export async function logIn(user: string, password: string): Promise<void> {
  await of(client.POST("/login", { body: { user, password }, headers: { "X-No-Login": "1" } }));
}

/** What a failed log-in means beyond what the server says. */
export function explainLogin({ code, message }: { code: string | undefined; message: string }): string {
  if (code === "login-attempt.blocked") {
    return "This account is locked for five minutes after too many wrong passwords. Wait, then try again: until then even the right password is refused. A server admin can set a new one.";
  }
  return `${message.replace(/\.$/, "")}.`;
}
