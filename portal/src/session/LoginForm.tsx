import { Alert, Button, PasswordInput, TextInput } from "@mantine/core";
import { useState } from "react";
import { asProblem } from "../api/problem";
import css from "../ui/ui.module.css";
import { useWork } from "../ui/useWork";
import { explainLogin, logIn } from "./session";

/** A login and password. */
export function LoginForm({ login = "", onDone }: { login?: string; onDone: () => void | Promise<void> }) {
  const [user, setUser] = useState(login);
  const [password, setPassword] = useState("");
  const { error, isBusy, run } = useWork();

  async function submit() {
    try {
      await logIn(user.trim(), password);
      await onDone();
    } catch (failure) {
      setPassword("");
      throw failure;
    }
  }

  return (
    <form
      className={css.stack}
      onSubmit={(event) => {
        event.preventDefault();
        void run(submit);
      }}
    >
      {error !== undefined && (
        <Alert color="red" role="alert">
          {explainLogin(asProblem(error))}
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
