import { Alert, Button, PasswordInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { asProblem } from "../api/problem";
import css from "../ui/ui.module.css";
import { explainLogin, logIn } from "./session";

/** A login and password. */
export function LoginForm({ login = "", onDone }: { login?: string; onDone: () => void | Promise<void> }) {
  const [user, setUser] = useState(login);
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<string>();
  const [isBusy, setBusy] = useState(false);

  async function submit() {
    setBusy(true);
    setProblem(undefined);
    try {
      await logIn(user.trim(), password);
      await onDone();
    } catch (error) {
      setProblem(explainLogin(asProblem(error)));
      setPassword("");
    } finally {
      setBusy(false);
    }
  }

  return (
    <form
      className={css.stack}
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      {problem !== undefined && (
        <Alert color="red" role="alert">
          {problem}
        </Alert>
      )}
      <TextInput
        label="Login or e-mail"
        autoComplete="username"
        required
        withAsterisk={false}
        value={user}
        onChange={(event) => setUser(event.currentTarget.value)}
        data-autofocus={login === "" || undefined}
      />
      <PasswordInput
        label="Password"
        autoComplete="current-password"
        required
        withAsterisk={false}
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
        data-autofocus={login !== "" || undefined}
      />
      <Button type="submit" loading={isBusy} fullWidth>
        Log in
      </Button>
    </form>
  );
}
