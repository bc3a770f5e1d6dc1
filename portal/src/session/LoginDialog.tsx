import { Modal, Text } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { PORTAL_PATH } from "../api/client";
import { loggedIn, useConnection } from "../api/connection";
import { LoginForm } from "./LoginForm";
import { type Me, meQuery } from "./session";

/** Asks for a new log-in over whatever is open when the session ends, so that nothing typed is lost. */
export function LoginDialog() {
  const queries = useQueryClient();
  const { isLoginNeeded } = useConnection();
  const me = queries.getQueryData<Me>(meQuery.queryKey);
  if (!isLoginNeeded) return null;
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
        Log in again to go on where you were. Nothing that you typed is lost.
      </Text>
      <LoginForm
        login={me?.profile.login ?? ""}
        onDone={async () => {
          const now = await queries.fetchQuery({ ...meQuery, staleTime: 0 });
          if (me !== undefined && now.profile.id !== me.profile.id) {
            // What is on the page belongs to somebody else.
            window.location.assign(PORTAL_PATH);
            return;
          }
          loggedIn();
        }}
      />
    </Modal>
  );
}
