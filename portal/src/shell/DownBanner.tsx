import { Loader } from "@mantine/core";
import { useConnection } from "../api/connection";
import css from "./Shell.module.css";

/** Says that the server does not answer, over whatever page is open. */
export function DownBanner() {
  const { isUp } = useConnection();
  return (
    <div role="status" className={css.down}>
      {!isUp && (
        <div className={css.banner}>
          <Loader size={14} color="currentColor" /> The server does not answer, it may be restarting. This page
          continues when the server is back.
        </div>
      )}
    </div>
  );
}
