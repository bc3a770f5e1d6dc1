import { queryOptions, useSuspenseQuery } from "@tanstack/react-query";
import { actFor, client, isActing, of, PORTAL_PATH, SERVER_PATH } from "../api/client";
import { asProblem } from "../api/problem";
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

async function readOwn(): Promise<[Profile, OwnOrg[]]> {
  const headers = { "X-No-Login": "1" };
  const read = () =>
    Promise.all([of(client.GET("/api/user", { headers })), of(client.GET("/api/user/orgs", { headers }))]);
  try {
    return await read();
  } catch (error) {
    if (!isActing() || asProblem(error).status !== 401) throw error;
    // Either the session has ended, or only the membership of the org has.
    actFor(undefined);
    return await read();
  }
}

/** Who is logged in. It fails with 401 instead of asking for a log-in. */
export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async (): Promise<Me> => {
    const [profile, orgs] = await readOwn();
    const org = orgs.find((candidate) => candidate.orgId === profile.orgId);
    // Nobody may act for the org that stands for none.
    actFor(profile.orgId > 0 ? profile.orgId : undefined);
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

/** Ends the session and leaves nothing of it in the page. */
export async function logOut() {
  try {
    await fetch(`${SERVER_PATH}/logout`, { redirect: "manual" });
  } finally {
    window.location.assign(`${PORTAL_PATH}login`);
  }
}

/** What a failed log-in means beyond what the server says. */
export function explainLogin({ code, message }: { code: string | undefined; message: string }): string {
  if (code === "login-attempt.blocked") {
    return "This account is locked for five minutes after too many wrong passwords. Wait, then try again: until then even the right password is refused. A server admin can set a new one.";
  }
  return `${message.replace(/\.$/, "")}.`;
}
