import { Progress, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { client, of } from "../api/client";
import { searchQuery } from "../dashboard/search";
import { ownQuotasQuery } from "../org/quota";
import { useMe } from "../session/session";
import ui from "../ui/ui.module.css";
import css from "./OverviewPage.module.css";

/** How much there is of something, as far as it is known by now. */
interface Amount {
  used: number | undefined;
  /** Whether there is more than that. */
  isMore?: boolean;
  error: Error | null;
}

/** What is counted one by one is counted so far. */
const COUNT_UP_TO = 1000;

/** How many hits a search has, as far as they are counted. */
function useHits(type: "dash-db" | "dash-folder"): Amount {
  const hits = useQuery(searchQuery({ type, limit: COUNT_UP_TO }));
  return { used: hits.data?.length, isMore: hits.data?.length === COUNT_UP_TO, error: hits.error };
}

/** What there is: an admin is told all of the org, others what they can see of it. */
export function Counts() {
  const { isAdmin } = useMe();
  return <div className={css.counts}>{isAdmin ? <OrgCounts /> : <OwnCounts />}</div>;
}

function OrgCounts() {
  const { isServerAdmin } = useMe();
  const usage = useQuery({
    queryKey: ["usage"],
    queryFn: () => of(client.GET("/api/org/usage")),
  });
  // The numbers do not wait for the limits.
  const quotas = useQuery(ownQuotasQuery(isServerAdmin));
  const limit = (target: string) =>
    quotas.data === null ? NO_LIMIT : quotas.data?.find((quota) => quota.target === target)?.limit;
  const amount = (used: number | undefined): Amount => ({ used, error: usage.error });
  return (
    <>
      <Count label="Dashboards" to="/dashboards" amount={amount(usage.data?.dashboards)} limit={limit("dashboard")} />
      <Count label="Folders" to="/dashboards" amount={amount(usage.data?.folders)} limit={limit("folder")} />
      <Count label="Members" to="/people" amount={amount(usage.data?.members)} limit={limit("org_user")} />
    </>
  );
}

function OwnCounts() {
  const dashboards = useHits("dash-db");
  const folders = useHits("dash-folder");
  return (
    <>
      <Count label="Dashboards" to="/dashboards" amount={dashboards} />
      <Count label="Folders" to="/dashboards" amount={folders} />
    </>
  );
}

const NO_LIMIT = -1;

interface CountProps {
  label: string;
  to: string;
  amount: Amount;
  /** How much there may be, if that is known. */
  limit?: number | undefined;
}

function Count({ label, to, amount, limit }: CountProps) {
  return (
    <Link to={to} className={css.count}>
      <span className={ui.dim}>{label}</span>
      <Used amount={amount} />
      {limit !== undefined && (
        <span className={ui.dim}>{limit < 0 ? "no limit" : `of ${limit.toLocaleString("en")} allowed`}</span>
      )}
      {limit !== undefined && limit > 0 && amount.used !== undefined && (
        <Progress
          value={Math.min(100, (amount.used / limit) * 100)}
          color={amount.used >= limit * 0.9 ? "red" : "accent"}
          size="xs"
          mt={6}
          aria-label={`${label} used of the quota`}
        />
      )}
    </Link>
  );
}

function Used({ amount: { used, isMore = false, error } }: { amount: Amount }) {
  if (used !== undefined) {
    return (
      <strong>
        {used.toLocaleString("en")}
        {isMore && "+"}
      </strong>
    );
  }
  if (error === null) return <Skeleton height={28} width={72} my={4} />;
  return <span className={css.uncounted}>Could not be counted: {error.message}</span>;
}
