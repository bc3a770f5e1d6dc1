import { Button, PasswordInput, TextInput } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { client, of } from "../api/client";
import css from "../session/LoginPage.module.css";
import { Mark } from "../shell/Mark";
import { ProblemBox } from "../ui/ProblemBox";
import ui from "../ui/ui.module.css";
import { useWork } from "../ui/useWork";

/** The page of an invite's link, on which somebody without an account makes one. */
export function InvitePage() {
  const { code } = useParams({ from: "/invite/$code" });
  const navigate = useNavigate();
  const queries = useQueryClient();
  const invite = useQuery({
    queryKey: ["invite", code],
    queryFn: () => of(client.GET("/api/user/invite/{code}", { params: { path: { code } } })),
    retry: false,
  });
  useDocumentTitle("Invite · Kymograph");
  return (
    <main className={css.page}>
      <div className={css.box}>
        <div className={css.brand}>
          <Mark size={40} />
          <h1>Join Kymograph</h1>
          {invite.data !== undefined && (
            <p>
              <bdi>{invite.data.invitedBy}</bdi> invited <bdi>{invite.data.email}</bdi>.
            </p>
          )}
        </div>
        {invite.error !== null && <ProblemBox error={invite.error} />}
        {invite.data !== undefined && (
          <InviteForm
            code={code}
            email={invite.data.email}
            name={invite.data.name}
            onDone={async () => {
              queries.clear();
              await navigate({ to: "/" });
            }}
          />
        )}
      </div>
    </main>
  );
}

interface InviteFormProps {
  code: string;
  email: string;
  name: string;
  onDone: () => Promise<void>;
}

function InviteForm({ code, email, name, onDone }: InviteFormProps) {
  const [login, setLogin] = useState(email);
  const [fullName, setFullName] = useState(name);
  const [password, setPassword] = useState("");
  const { error, isBusy, run } = useWork();

  async function submit() {
    const body = { inviteCode: code, email, name: fullName, username: login.trim(), password };
    await of(client.POST("/api/user/invite/complete", { body }));
    await onDone();
  }

  return (
    <form
      className={ui.stack}
      onSubmit={(event) => {
        event.preventDefault();
        void run(submit);
      }}
    >
      {error !== undefined && <ProblemBox error={error} />}
      <TextInput label="Name" value={fullName} onChange={(event) => setFullName(event.currentTarget.value)} />
      <TextInput
        label="Login"
        autoComplete="username"
        required
        withAsterisk={false}
        value={login}
        onChange={(event) => setLogin(event.currentTarget.value)}
      />
      <PasswordInput
        label="Password"
        autoComplete="new-password"
        required
        withAsterisk={false}
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <Button type="submit" loading={isBusy} fullWidth>
        Create the account
      </Button>
    </form>
  );
}
