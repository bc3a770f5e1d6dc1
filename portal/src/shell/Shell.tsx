import { Avatar, UnstyledButton } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Link, Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";
import { whenUp } from "../api/chunk";
import { useConnection } from "../api/connection";
import { NoOrgPage } from "../session/NoOrgPage";
import { useMe } from "../session/session";
import { useQuestion } from "../ui/confirm";
import { MenuIcon, SearchIcon, UpDownIcon } from "../ui/icons";
import { Mark } from "./Mark";
import { DESTINATIONS } from "./navigation";
import { PastBanner } from "./PastBanner";
import css from "./Shell.module.css";

// None of these is needed before something is asked, so they and what dialogs are made of come after the first page.
const loadPalette = whenUp(() => import("./CommandPalette"));
const loadDialogs = whenUp(() => import("./Dialogs"));
const loadMenus = whenUp(() => import("./menus"));
const CommandPalette = lazy(loadPalette);
const Dialogs = lazy(loadDialogs);
const OrgMenu = lazy(async () => ({ default: (await loadMenus()).OrgMenu }));
const AccountMenu = lazy(async () => ({ default: (await loadMenus()).AccountMenu }));
/** How long after the first page they are loaded ahead, so that they open at once. */
const AHEAD_MS = 1500;

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
    const timer = setTimeout(
      () => void Promise.all([loadPalette(), loadDialogs(), loadMenus()]).catch(() => undefined),
      AHEAD_MS,
    );
    return () => clearTimeout(timer);
  }, []);
  const { isLoginNeeded } = useConnection();
  const question = useQuestion();
  // What was asked once stays, because a dialog closes slowly.
  const [isAsked, setAsked] = useState(false);
  if (!isAsked && (isLoginNeeded || question !== undefined)) setAsked(true);
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
          <Account />
        </aside>
        <main className={css.main} id="main" tabIndex={-1}>
          <PastBanner />
          {me.org === undefined && !WITHOUT_ORG.test(path) ? <NoOrgPage /> : <Outlet />}
        </main>
      </div>
      {isAsked && (
        <Suspense>
          <Dialogs />
        </Suspense>
      )}
      {isSearching && (
        <Suspense>
          <CommandPalette onClose={search.close} />
        </Suspense>
      )}
    </>
  );
}

function OrgSwitcher() {
  const me = useMe();
  const [isUsed, setUsed] = useState(false);
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
  const button = (
    <UnstyledButton className={css.org} title="Switch organization" aria-haspopup="menu" onClick={() => setUsed(true)}>
      {label}
      <UpDownIcon size={14} />
    </UnstyledButton>
  );
  return isUsed ? (
    <Suspense fallback={button}>
      <OrgMenu button={button} />
    </Suspense>
  ) : (
    button
  );
}

function Account() {
  const { profile } = useMe();
  const [isUsed, setUsed] = useState(false);
  const name = profile.name || profile.login;
  const button = (
    <UnstyledButton
      className={css.account}
      title="Account and theme"
      aria-haspopup="menu"
      onClick={() => setUsed(true)}
    >
      <Avatar size={26} name={name} color="accent" />
      <span className={css.orgName}>
        <bdi>{name}</bdi>
        <span className={css.small}>
          <bdi>{profile.email || profile.login}</bdi>
        </span>
      </span>
    </UnstyledButton>
  );
  return isUsed ? (
    <Suspense fallback={button}>
      <AccountMenu button={button} />
    </Suspense>
  ) : (
    button
  );
}
