import { Progress, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { client, of } from "../api/client";
import { searchQuery } from "../dashboard/search";
import { ownQuotasQuery } from "../org/quota";
import { useMe } from "../session/session";
import ui from "../ui/ui.module.css";
import css from "./OverviewPage.module.css";

/** How much there is of something. */
interface Amount {
  used: number;
  /** Whether there is more than that. */
  isMore?: boolean;
  /** -1 for no limit. */
  limit: number;
}

const NO_LIMIT = -1;

/** What is counted one by one is counted so far. */
const COUNT_UP_TO = 1000;

/** How many hits a search has, as far as they are counted. */
function useHits(type: "dash-db" | "dash-folder", enabled: boolean): Amount | undefined {
  const hits = useQuery({ ...searchQuery({ type, limit: COUNT_UP_TO }), enabled });
  if (hits.data === undefined) return undefined;
  return { used: hits.data.length, isMore: hits.data.length === COUNT_UP_TO, limit: NO_LIMIT };
}

function useMembers(enabled: boolean): Amount | undefined {
  const members = useQuery({
    queryKey: ["members", "count"],
    queryFn: () => of(client.GET("/api/org/users/search", { params: { query: { perpage: 1 } } })),
    enabled,
  });
  return members.data === undefined ? undefined : { used: members.data.totalCount, limit: NO_LIMIT };
}

/** What the org has, against its quota. Quotas know all counts; without them it is counted what can be seen. */
export function Counts() {
  const { isAdmin, isServerAdmin } = useMe();
  const quotas = useQuery({ ...ownQuotasQuery(isServerAdmin), enabled: isAdmin });
  const isCounting = !isAdmin || quotas.isError || quotas.data === null;
  const dashboards = useHits("dash-db", isCounting);
  const folders = useHits("dash-folder", isCounting);
  const members = useMembers(isAdmin && isCounting);
  const quota = (target: string) => quotas.data?.find((one) => one.target === target);
  return (
    <div className={css.counts}>
      <Count label="Dashboards" to="/dashboards" amount={quota("dashboard") ?? dashboards} />
      <Count label="Folders" to="/dashboards" amount={quota("folder") ?? folders} />
      {isAdmin && <Count label="Members" to="/people" amount={quota("org_user") ?? members} />}
    </div>
  );
}

function Count({ label, to, amount }: { label: string; to: string; amount: Amount | undefined }) {
  return (
    <Link to={to} className={css.count}>
      <span className={ui.dim}>{label}</span>
      {amount === undefined ? (
        <Skeleton height={28} width={72} my={4} />
      ) : (
        <>
          <strong>
            {amount.used.toLocaleString("en")}
            {amount.isMore === true && "+"}
          </strong>
          <span className={ui.dim}>
            {amount.limit < 0 ? "no limit" : `of ${amount.limit.toLocaleString("en")} allowed`}
          </span>
          {amount.limit > 0 && (
            <Progress
              value={Math.min(100, (amount.used / amount.limit) * 100)}
              color={amount.used >= amount.limit * 0.9 ? "red" : "accent"}
              size="xs"
              mt={6}
              aria-label={`${label} used of the quota`}
            />
          )}
        </>
      )}
    </Link>
  );
}
