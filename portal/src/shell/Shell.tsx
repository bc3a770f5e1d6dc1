import { Avatar, Loader, Menu, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect } from "react";
import { client, of, PORTAL_PATH } from "../api/client";
import { useConnection } from "../api/connection";
import { LoginDialog } from "../session/LoginDialog";
import { NoOrgPage } from "../session/NoOrgPage";
import { logOut, useMe } from "../session/session";
import { ConfirmDialog } from "../ui/confirm";
import { MenuIcon, SearchIcon, UpDownIcon } from "../ui/icons";
import { tellProblem } from "../ui/ProblemBox";
import { Mark } from "./Mark";
import { DESTINATIONS } from "./navigation";
import css from "./Shell.module.css";
import { PastBanner } from "./TimeSlider";

// The palette is not needed before somebody asks for it.
const loadPalette = () => import("./CommandPalette");
const CommandPalette = lazy(loadPalette);
/** How long after the first page it is loaded ahead, so that it opens at once. */
const PALETTE_DELAY_MS = 1500;

/** Pages that are about no org. */
const WITHOUT_ORG = /\/(profile|admin\/[a-z]+)$/;

const SHORTCUT = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘K" : "Ctrl K";

/** What is around all pages. */
export function Shell() {
  const [isOpen, menu] = useDisclosure(false);
  const [isSearching, search] = useDisclosure(false);
  const me = useMe();
  const path = useRouterState({ select: (state) => state.location.pathname });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the menu closes because the page changes.
  useEffect(() => menu.close(), [path]);
  useEffect(() => {
    function onKey(event: KeyboardEvent) {
      if (event.key.toLowerCase() === "k" && (event.metaKey || event.ctrlKey)) {
        event.preventDefault();
        search.toggle();
      }
      if (event.key === "Escape") menu.close();
    }
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [search, menu]);
  useEffect(() => {
    const timer = setTimeout(() => void loadPalette(), PALETTE_DELAY_MS);
    return () => clearTimeout(timer);
  }, []);
  const groups = [undefined, "Server"];
  return (
    <>
      <a className={css.skip} href="#main">
        Skip to the content
      </a>
      <div className={css.shell}>
        <div className={css.top}>
          <UnstyledButton aria-label="Open the menu" aria-expanded={isOpen} onClick={menu.toggle}>
            <MenuIcon size={22} />
          </UnstyledButton>
          <strong>
            <bdi>{me.org?.name ?? "Kymograph"}</bdi>
          </strong>
          <UnstyledButton aria-label="Search" onClick={search.open}>
            <SearchIcon size={20} />
          </UnstyledButton>
        </div>
        <div className={css.backdrop} data-open={isOpen} onClick={menu.close} aria-hidden="true" />
        <aside className={css.side} data-open={isOpen} aria-label="Navigation">
          <OrgSwitcher />
          <UnstyledButton className={css.search} onClick={search.open}>
            <SearchIcon size={15} /> Search or jump to… <kbd>{SHORTCUT}</kbd>
          </UnstyledButton>
          <nav className={css.nav} aria-label="Pages">
            {groups.map((group) => {
              const items = DESTINATIONS.filter((item) => item.group === group && item.isFor(me));
              if (items.length === 0) return null;
              return (
                <div key={group ?? ""} className={css.nav} style={{ flex: "none" }}>
                  {group !== undefined && <div className={css.group}>{group}</div>}
                  {items.map(({ to, label, icon: Icon }) => (
                    <Link key={to} to={to} className={css.item} activeOptions={{ exact: to === "/" }}>
                      <Icon /> {label}
                    </Link>
                  ))}
                </div>
              );
            })}
          </nav>
          <AccountMenu />
        </aside>
        <main className={css.main} id="main" tabIndex={-1}>
          <DownBanner />
          <PastBanner />
          {me.org === undefined && !WITHOUT_ORG.test(path) ? <NoOrgPage /> : <Outlet />}
        </main>
      </div>
      <LoginDialog />
      <ConfirmDialog />
      {isSearching && (
        <Suspense>
          <CommandPalette onClose={search.close} />
        </Suspense>
      )}
    </>
  );
}

function DownBanner() {
  const { isUp } = useConnection();
  return (
    <div role="status">
      {!isUp && (
        <div className={css.banner}>
          <Loader size={14} color="currentColor" /> The server does not answer, it may be restarting. This page goes on
          by itself as soon as it is back.
        </div>
      )}
    </div>
  );
}

function OrgSwitcher() {
  const me = useMe();
  const queries = useQueryClient();
  async function use(orgId: number) {
    try {
      await of(client.POST("/api/user/using/{org_id}", { params: { path: { org_id: orgId } } }));
      // Nothing of one org may show in another.
      queries.clear();
      window.location.assign(PORTAL_PATH);
    } catch (error) {
      tellProblem(error);
    }
  }
  const label = (
    <>
      <Mark size={26} />
      <span className={css.orgName}>
        <bdi>{me.org?.name ?? "No organization"}</bdi>
        <span className={css.small}>{me.org?.role ?? "not a member"}</span>
      </span>
    </>
  );
  if (me.orgs.length < 2) return <div className={css.org}>{label}</div>;
  return (
    <Menu width="target" position="bottom-start" shadow="md">
      <Menu.Target>
        <UnstyledButton className={css.org} title="Switch organization">
          {label}
          <UpDownIcon size={14} />
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown mah={360} style={{ overflowY: "auto" }}>
        <Menu.Label>Switch organization</Menu.Label>
        {me.orgs.map((org) => (
          <Menu.Item key={org.orgId} onClick={() => void use(org.orgId)} disabled={org.orgId === me.profile.orgId}>
            <bdi>{org.name}</bdi> <span className={css.small}>{org.role}</span>
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}

const SCHEMES = [
  ["light", "Light theme"],
  ["dark", "Dark theme"],
  ["auto", "Theme of the system"],
] as const;

function AccountMenu() {
  const { profile } = useMe();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const name = profile.name || profile.login;
  return (
    <Menu width={224} position="top-start" shadow="md">
      <Menu.Target>
        <UnstyledButton className={css.account} title="Account and theme">
          <Avatar size={26} name={name} color="accent" />
          <span className={css.orgName}>
            <bdi>{name}</bdi>
            <span className={css.small}>
              <bdi>{profile.email || profile.login}</bdi>
            </span>
          </span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item component={Link} to="/profile">
          Profile and sessions
        </Menu.Item>
        <Menu.Divider />
        {SCHEMES.map(([scheme, label]) => (
          <Menu.Item
            key={scheme}
            onClick={() => setColorScheme(scheme)}
            rightSection={colorScheme === scheme ? "✓" : undefined}
          >
            {label}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void logOut()}>Log out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
