import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { client, of } from "../api/client";
import type { paths } from "../api/schema";
import { Card, Page } from "../ui/Page";
import { ProblemBox } from "../ui/ProblemBox";
import css from "./StatsPage.module.css";

type Stats = paths["/api/admin/stats"]["get"]["responses"]["200"]["content"]["application/json"];

/** What the server counts, and what it is called here. */
const GROUPS: [string, [keyof Stats, string][]][] = [
  [
    "What there is",
    [
      ["orgs", "Organizations"],
      ["users", "Users"],
      ["dashboards", "Dashboards"],
      ["tags", "Tags"],
      ["stars", "Stars"],
      ["datasources", "Data sources"],
      ["alerts", "Alert rules"],
    ],
  ],
  [
    "Roles",
    [
      ["admins", "Admins"],
      ["editors", "Editors"],
      ["viewers", "Viewers"],
    ],
  ],
  [
    "Who was here",
    [
      ["dailyActiveUsers", "Active today"],
      ["activeUsers", "Active in 30 days"],
      ["monthlyActiveUsers", "Active this month"],
      ["activeSessions", "Active sessions"],
    ],
  ],
];

/** How much there is on the server. */
export function StatsPage() {
  const stats = useQuery({
    queryKey: ["stats"],
    queryFn: () => of(client.GET("/api/admin/stats")),
  });
  return (
    <Page title="Statistics" description="Of the whole server, over all organizations.">
      {stats.isError ? (
        <ProblemBox error={stats.error} onRetry={() => void stats.refetch()} />
      ) : (
        GROUPS.map(([title, entries]) => (
          <Card key={title} title={title}>
            <dl className={css.numbers}>
              {entries.map(([key, label]) => (
                <div key={key}>
                  <dt>{label}</dt>
                  <dd>
                    {stats.isPending ? (
                      <Skeleton height={28} width={60} />
                    ) : (
                      (stats.data[key] ?? 0).toLocaleString("en")
                    )}
                  </dd>
                </div>
              ))}
            </dl>
          </Card>
        ))
      )}
    </Page>
  );
}
