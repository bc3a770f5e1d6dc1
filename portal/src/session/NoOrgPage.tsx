import { Button, Group } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { PORTAL_PATH } from "../api/client";
import { Card, Empty, Page } from "../ui/Page";
import { logOut, useMe } from "./session";

/** What somebody sees who is a member of no organization. */
export function NoOrgPage() {
  const { profile, isServerAdmin } = useMe();
  return (
    <Page title="No organization">
      <Card>
        <Empty
          title="You are a member of no organization"
          action={
            <Group gap="xs" justify="center">
              <Button onClick={() => window.location.assign(PORTAL_PATH)}>Look again</Button>
              {isServerAdmin && (
                <Button component={Link} to="/admin/orgs" variant="default">
                  Organizations
                </Button>
              )}
              <Button variant="default" onClick={() => void logOut()}>
                Log out
              </Button>
            </Group>
          }
        >
          You are logged in as <bdi>{profile.login.slice(0, 100)}</bdi>, but there is nothing to see without an
          organization. Ask an admin of one to add you under this login; you need not log in again then.
        </Empty>
      </Card>
    </Page>
  );
}
