import { Modal, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useState } from "react";
import { PORTAL_PATH } from "../api/client";
import { loggedIn, useConnection } from "../api/connection";
import { LoginForm } from "./LoginForm";
import { type Me, meQuery } from "./session";

/** Asks for a new log-in over whatever is open when the session ends, so that nothing typed is lost. */
export function LoginDialog() {
  const queries = useQueryClient();
  const { isLoginNeeded } = useConnection();
  const [isAsking, setAsking] = useState(false);
  const me = queries.getQueryData<Me>(meQuery.queryKey);
  const goOn = useCallback(async () => {
    const before = queries.getQueryData<Me>(meQuery.queryKey);
    const now = await queries.fetchQuery({ ...meQuery, staleTime: 0 });
    if (before !== undefined && (now.profile.id !== before.profile.id || now.profile.orgId !== before.profile.orgId)) {
      // What is on the page belongs to somebody else, or to an org that was left.
      window.location.assign(PORTAL_PATH);
      return;
    }
    loggedIn();
  }, [queries]);
  useEffect(() => {
    // Who lost the org has a session still, and so has who logged in again in another tab.
    if (isLoginNeeded) goOn().catch(() => setAsking(true));
    else setAsking(false);
  }, [isLoginNeeded, goOn]);
  if (!isLoginNeeded || !isAsking) return null;
  return (
    <Modal
      opened
      onClose={() => undefined}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      title="Your session has ended"
      zIndex={1000}
    >
      <Text size="sm" mb="md">
        Log in again to continue. Nothing that you typed is lost.
      </Text>
      <LoginForm login={me?.profile.login ?? ""} onDone={goOn} />
    </Modal>
  );
}
