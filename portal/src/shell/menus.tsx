import { Menu, useMantineColorScheme } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { ReactElement } from "react";
import { client, of, PORTAL_PATH } from "../api/client";
import { logOut, useMe } from "../session/session";
import { tellProblem } from "../ui/ProblemBox";
import css from "./Shell.module.css";

/** The organizations that somebody can switch to. It begins open, because it is loaded when it is asked for. */
export function OrgMenu({ button }: { button: ReactElement }) {
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
  return (
    <Menu width="target" position="bottom-start" shadow="md" defaultOpened returnFocus>
      <Menu.Target>{button}</Menu.Target>
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

/** What is about who is logged in. It begins open, because it is loaded when it is asked for. */
export function AccountMenu({ button }: { button: ReactElement }) {
  // To switch transitions off for the moment of the change would take a style sheet that is added by script.
  const { colorScheme, setColorScheme } = useMantineColorScheme({ keepTransitions: true });
  return (
    <Menu width={224} position="top-start" shadow="md" defaultOpened returnFocus>
      <Menu.Target>{button}</Menu.Target>
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
