import { useQuery } from "@tanstack/react-query";
import { client, of } from "../api/client";
import { useMe } from "../session/session";

/** When the org's log begins, for who may read it. */
export function useBeginning(): number | undefined {
  const { isAdmin } = useMe();
  const first = useQuery({
    queryKey: ["beginning"],
    queryFn: () => of(client.GET("/api/audit/events", { params: { query: { order: "oldest", limit: 1 } } })),
    staleTime: Number.POSITIVE_INFINITY,
    enabled: isAdmin,
  });
  const time = first.data?.events[0]?.occurredAt;
  return time === undefined ? undefined : new Date(time).getTime();
}
