import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  type ErrorComponentProps,
  Link,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { whenUp } from "./api/chunk";
import { PORTAL_PATH } from "./api/client";
import { asProblem } from "./api/problem";
import type { AuditSearch } from "./audit/AuditPage";
import type { CompareSearch } from "./dashboard/ComparePage";
import type { DashboardSearch, DashboardTab } from "./dashboard/DashboardPage";
import type { DashboardsSearch } from "./dashboard/DashboardsPage";
import type { SinceSearch } from "./dashboard/SincePage";
import type { Sorting } from "./dashboard/search";
import type { PeopleSearch } from "./membership/PeoplePage";
import { OverviewPage } from "./overview/OverviewPage";
import { type Me, meQuery } from "./session/session";
import { DownBanner } from "./shell/DownBanner";
import { Shell } from "./shell/Shell";
import { Empty, Page } from "./ui/Page";
import { ProblemBox } from "./ui/ProblemBox";

type Raw = Record<string, unknown>;

function optionalText(value: unknown): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A moment in the address bar, as a time or in milliseconds; anything else means now. */
function optionalMoment(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  const time = new Date(value);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}

function positive(value: unknown): number | undefined {
  const number = Number(value);
  return Number.isInteger(number) && number > 0 ? number : undefined;
}

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Root,
  notFoundComponent: NotFound,
});

/** What is around all pages, with and without a session. */
function Root() {
  return (
    <>
      <DownBanner />
      <Outlet />
    </>
  );
}

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  component: lazyRouteComponent(
    whenUp(() => import("./session/LoginPage")),
    "LoginPage",
  ),
  validateSearch: (raw: Raw): { to?: string } => ({ to: optionalText(raw.to) }),
});

/** The link of an invite leads here, also somebody who is not logged in. */
const invite = createRoute({
  getParentRoute: () => root,
  path: "/invite/$code",
  component: lazyRouteComponent(
    whenUp(() => import("./membership/InvitePage")),
    "InvitePage",
  ),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  component: Shell,
  errorComponent: Failed,
  beforeLoad: async ({ context, location }): Promise<{ me: Me }> => {
    try {
      return { me: await context.queries.ensureQueryData(meQuery) };
    } catch (error) {
      if (asProblem(error).status !== 401) throw error;
      const to = location.href === "/" ? undefined : location.href;
      throw redirect({ to: "/login", search: { to } });
    }
  },
});

/** Turns away who a page is not for. The server refuses the calls of the page, too. */
function only(isFor: (me: Me) => boolean) {
  return ({ context }: { context: { me: Me } }) => {
    if (!isFor(context.me)) throw redirect({ to: "/" });
  };
}

const overview = createRoute({ getParentRoute: () => shell, path: "/", component: OverviewPage });

const SORTINGS: Sorting[] = ["alpha-asc", "alpha-desc"];

const dashboards = createRoute({
  getParentRoute: () => shell,
  path: "/dashboards",
  component: lazyRouteComponent(
    whenUp(() => import("./dashboard/DashboardsPage")),
    "DashboardsPage",
  ),
  validateSearch: (raw: Raw): DashboardsSearch => ({
    folder: optionalText(raw.folder),
    query: optionalText(raw.query),
    tags: Array.isArray(raw.tags) && raw.tags.length > 0 ? raw.tags.map(String) : undefined,
    starred: raw.starred === true || undefined,
    sort: SORTINGS.find((sorting) => sorting === raw.sort),
    at: optionalMoment(raw.at),
  }),
});

const TABS: DashboardTab[] = ["layout", "history", "variables", "json"];

const dashboard = createRoute({
  getParentRoute: () => shell,
  path: "/dashboards/$uid",
  component: lazyRouteComponent(
    whenUp(() => import("./dashboard/DashboardPage")),
    "DashboardPage",
  ),
  validateSearch: (raw: Raw): DashboardSearch => ({
    tab: TABS.find((tab) => tab === raw.tab),
    at: optionalMoment(raw.at),
  }),
});

const compare = createRoute({
  getParentRoute: () => shell,
  path: "/dashboards/$uid/compare",
  component: lazyRouteComponent(
    whenUp(() => import("./dashboard/ComparePage")),
    "ComparePage",
  ),
  validateSearch: (raw: Raw): CompareSearch => ({
    from: positive(raw.from) ?? 1,
    to: positive(raw.to) ?? 1,
    as: raw.as === "json" ? "json" : undefined,
  }),
});

const since = createRoute({
  getParentRoute: () => shell,
  path: "/dashboards/$uid/since",
  component: lazyRouteComponent(
    whenUp(() => import("./dashboard/SincePage")),
    "SincePage",
  ),
  validateSearch: (raw: Raw): SinceSearch => ({
    since: optionalMoment(raw.since),
    as: raw.as === "json" ? "json" : undefined,
  }),
});

const trash = createRoute({
  getParentRoute: () => shell,
  path: "/trash",
  component: lazyRouteComponent(
    whenUp(() => import("./dashboard/TrashPage")),
    "TrashPage",
  ),
  beforeLoad: only((me) => me.isEditor),
});

const people = createRoute({
  getParentRoute: () => shell,
  path: "/people",
  component: lazyRouteComponent(
    whenUp(() => import("./membership/PeoplePage")),
    "PeoplePage",
  ),
  validateSearch: (raw: Raw): PeopleSearch => ({ query: optionalText(raw.query), page: positive(raw.page) }),
  beforeLoad: only((me) => me.isAdmin),
});

const audit = createRoute({
  getParentRoute: () => shell,
  path: "/audit",
  component: lazyRouteComponent(
    whenUp(() => import("./audit/AuditPage")),
    "AuditPage",
  ),
  validateSearch: (raw: Raw): AuditSearch => ({ q: optionalText(raw.q) }),
  beforeLoad: only((me) => me.isAdmin),
});

const profile = createRoute({
  getParentRoute: () => shell,
  path: "/profile",
  // The link in a mail leads here, with a word on what came of it.
  validateSearch: (raw: Raw): { email?: string } => ({ email: optionalText(raw.email) }),
  component: lazyRouteComponent(
    whenUp(() => import("./user/ProfilePage")),
    "ProfilePage",
  ),
});

const adminOrgs = createRoute({
  getParentRoute: () => shell,
  path: "/admin/orgs",
  component: lazyRouteComponent(
    whenUp(() => import("./org/OrgsPage")),
    "OrgsPage",
  ),
  beforeLoad: only((me) => me.isServerAdmin),
});

const adminUsers = createRoute({
  getParentRoute: () => shell,
  path: "/admin/users",
  component: lazyRouteComponent(
    whenUp(() => import("./user/UsersPage")),
    "UsersPage",
  ),
  beforeLoad: only((me) => me.isServerAdmin),
});

const adminStats = createRoute({
  getParentRoute: () => shell,
  path: "/admin/stats",
  component: lazyRouteComponent(
    whenUp(() => import("./statistic/StatsPage")),
    "StatsPage",
  ),
  beforeLoad: only((me) => me.isServerAdmin),
});

function NotFound() {
  return (
    <Page title="There is no such page">
      <Empty title="Nothing is here" action={<Link to="/">Go to the overview</Link>}>
        The address may be misspelt, or the page has moved.
      </Empty>
    </Page>
  );
}

/** What is shown instead of a page that failed. */
export function Failed({ error, reset }: ErrorComponentProps) {
  return (
    <Page title="This page could not be shown">
      <ProblemBox error={error} onRetry={reset} />
    </Page>
  );
}

/** The router of the portal, under whatever path it is served. */
export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: root.addChildren([
      login,
      invite,
      shell.addChildren([
        overview,
        dashboards,
        dashboard,
        compare,
        since,
        trash,
        people,
        audit,
        profile,
        adminOrgs,
        adminUsers,
        adminStats,
      ]),
    ]),
    basepath: PORTAL_PATH,
    context: { queries },
    defaultPreload: "intent",
    defaultErrorComponent: Failed,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
