import { useDocumentTitle } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { Mark } from "../shell/Mark";
import { LoginForm } from "./LoginForm";
import css from "./LoginPage.module.css";
import { meQuery } from "./session";

/** Where somebody without a session starts. */
export function LoginPage() {
  const navigate = useNavigate();
  const router = useRouter();
  const queries = useQueryClient();
  const { to } = useSearch({ from: "/login" });
  useDocumentTitle("Log in · Kymograph");
  return (
    <main className={css.page}>
      <div className={css.box}>
        <div className={css.brand}>
          <Mark size={40} />
          <h1>Log in to Kymograph</h1>
          <p>Every change is recorded, and can be undone.</p>
        </div>
        <LoginForm
          onDone={async () => {
            queries.clear();
            await queries.fetchQuery(meQuery);
            // Only the path and the query count: nobody is led to another host.
            const { pathname, search } = new URL(to ?? "/", "http://portal");
            await navigate({ to: pathname, search: router.options.parseSearch(search) as never });
          }}
        />
      </div>
    </main>
  );
}
