import { Alert, Button, PasswordInput, TextInput } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { useCallback, useState } from "react";
import { client, of } from "../api/client";
import { type Session, SessionTable } from "../session/SessionTable";
import { useMe } from "../session/session";
import { askIfChanged } from "../ui/askIfChanged";
import { confirm } from "../ui/confirm";
import { Card, Page } from "../ui/Page";
import { ProblemBox, tellDone, tellProblem } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { useWork } from "../ui/useWork";

/** The caller's own account. */
export function ProfilePage() {
  return (
    <Page title="Profile" description="Your account on this server, in all organizations.">
      <div style={{ maxWidth: "44rem" }} className={ui.stack}>
        <EmailOutcome />
        <ProfileCard />
        <PasswordCard />
        <SessionsCard />
      </div>
    </Page>
  );
}

/** What came of the link in a mail, by the word that the server says of it. */
const EMAIL_OUTCOMES: Record<string, { color: string; text: string }> = {
  changed: { color: "green", text: "Your e-mail address is confirmed." },
  invalid: {
    color: "red",
    text: "This link is not valid: it was used, is too old, or belongs to another account. Your e-mail address has not changed.",
  },
  taken: { color: "red", text: "Somebody else has this e-mail address by now. Yours has not changed." },
  "log-in": { color: "yellow", text: "You were not logged in. Open the link in the mail once more." },
};

function EmailOutcome() {
  const { email = "" } = useSearch({ from: "/shell/profile" });
  const outcome = Object.hasOwn(EMAIL_OUTCOMES, email) ? EMAIL_OUTCOMES[email] : undefined;
  if (outcome === undefined) return null;
  return (
    <Alert color={outcome.color} role="alert">
      {outcome.text}
    </Alert>
  );
}

function ProfileCard() {
  const { profile } = useMe();
  const queries = useQueryClient();
  // What the fields began with; the profile itself can be read anew while somebody types.
  const [shown, setShown] = useState(profile);
  const [name, setName] = useState(profile.name);
  const [login, setLogin] = useState(profile.login);
  const [email, setEmail] = useState(profile.email);
  const { error, isBusy, run } = useWork();
  return (
    <Card title="Name and addresses">
      <form
        className={ui.stack}
        onSubmit={(event) => {
          event.preventDefault();
          void run(async () => {
            const now = await of(client.GET("/api/user"));
            const isWanted = await askIfChanged([
              { what: "Name", shown: shown.name, now: now.name },
              { what: "Login", shown: shown.login, now: now.login },
              { what: "E-mail", shown: shown.email, now: now.email },
            ]);
            if (!isWanted) return;
            const saved = await of(client.PUT("/api/user", { body: { name, login, email } }));
            setShown(await of(client.GET("/api/user")));
            await queries.invalidateQueries({ queryKey: ["me"] });
            // The server says more if another e-mail address has yet to be confirmed.
            tellDone(saved.message === "User updated" ? "Profile saved" : saved.message);
          });
        }}
      >
        {error !== undefined && <ProblemBox error={error} />}
        <TextInput
          label="Name"
          value={name}
          autoComplete="name"
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <TextInput
          label="Login"
          value={login}
          autoComplete="username"
          onChange={(event) => setLogin(event.currentTarget.value)}
        />
        <TextInput
          label="E-mail"
          value={email}
          autoComplete="email"
          onChange={(event) => setEmail(event.currentTarget.value)}
        />
        <div>
          <Button type="submit" loading={isBusy}>
            Save
          </Button>
        </div>
      </form>
    </Card>
  );
}

function PasswordCard() {
  const [oldPassword, setOld] = useState("");
  const [newPassword, setNew] = useState("");
  const [again, setAgain] = useState("");
  const { error, isBusy, run } = useWork();
  const isDifferent = again !== "" && again !== newPassword;
  return (
    <Card title="Change password">
      <form
        className={ui.stack}
        onSubmit={(event) => {
          event.preventDefault();
          if (isDifferent) return;
          void run(async () => {
            await of(client.PUT("/api/user/password", { body: { oldPassword, newPassword } }));
            for (const set of [setOld, setNew, setAgain]) set("");
            tellDone("Password changed");
          });
        }}
      >
        {error !== undefined && <ProblemBox error={error} />}
        <PasswordInput
          label="Old password"
          required
          withAsterisk={false}
          autoComplete="current-password"
          value={oldPassword}
          onChange={(event) => setOld(event.currentTarget.value)}
        />
        <PasswordInput
          label="New password"
          required
          withAsterisk={false}
          autoComplete="new-password"
          value={newPassword}
          onChange={(event) => setNew(event.currentTarget.value)}
        />
        <PasswordInput
          label="New password again"
          required
          withAsterisk={false}
          autoComplete="new-password"
          value={again}
          error={isDifferent && "The passwords differ"}
          onChange={(event) => setAgain(event.currentTarget.value)}
        />
        <div>
          <Button type="submit" loading={isBusy}>
            Change password
          </Button>
        </div>
      </form>
    </Card>
  );
}

function SessionsCard() {
  const queries = useQueryClient();
  const sessions = useQuery({
    queryKey: ["sessions"],
    queryFn: () => of(client.GET("/api/user/auth-tokens")),
  });
  const revoke = useCallback(
    async (list: Session[]) => {
      try {
        for (const session of list) {
          await of(client.POST("/api/user/revoke-auth-token", { body: { authTokenId: session.id } }));
        }
        tellDone(list.length === 1 ? "Session ended" : `${list.length} sessions ended`);
      } catch (error) {
        tellProblem(error);
      }
      await queries.invalidateQueries({ queryKey: ["sessions"] });
    },
    [queries],
  );
  const others = (sessions.data ?? []).filter((session) => !session.isActive);
  async function revokeOthers() {
    const isSure = await confirm({
      title: "End all other sessions?",
      body: `${others.length} ${others.length === 1 ? "session is" : "sessions are"} logged out at once. This one stays.`,
      action: "End all others",
    });
    if (isSure) await revoke(others);
  }
  return (
    <Card
      isFlush
      title="Sessions"
      aside={
        others.length > 0 && (
          <Button size="compact-sm" variant="default" onClick={() => void revokeOthers()}>
            End all others…
          </Button>
        )
      }
    >
      {sessions.isError ? (
        <ProblemBox error={sessions.error} />
      ) : (
        <SessionTable sessions={sessions.data} onRevoke={(session) => void revoke([session])} />
      )}
    </Card>
  );
}
